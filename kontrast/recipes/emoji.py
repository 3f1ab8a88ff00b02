"""The demo: two drawings of each emoji and its names, in one space.

Run by `kontrast demo` on bundled data (see NOTICE), in about four minutes on two idle CPU cores; evaluated on emoji
that training never saw. The README has the measured numbers with their command.

Parts: task `clip` on two image fields and a text field.
Settings: `own`, so that other rows of the same field are negatives too; batches of 256, seed 1.
"""

from importlib.resources import files

from kontrast.core.experiment import Experiment, Plan, Source
from kontrast.core.task_choice import one_task

# Steps instead of minutes, so that the score does not depend on the machine; three minutes on two idle cores.
STEPS = 590
FIELDS = {"google": "image", "twitter": "image", "text": "text", "group": "label"}


def experiment() -> Experiment:
    """The experiment on the bundled data; encoders follow from it."""
    data = files("kontrast.data.bundled") / "emoji.parquet"
    fields = {**FIELDS, "id": "id", "names": "ignore", "tags": "ignore", "subgroup": "meta"}
    return Experiment(
        source=Source(data=str(data), fields=fields),
        tasks=one_task("clip", {"own": True}),
        plan=Plan(batch=256, steps=STEPS),
        seed=1,
    )
