"""Settings that make small runs quick: FAST, for `settings=` of `kt.train`."""

FAST = {"plan.batch": 64, "plan.precision": "32", "plan.channels_last": "off", "plan.compile": "off"}
