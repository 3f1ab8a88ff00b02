"""The demo: two drawings of each emoji, by two vendors, and its names in one space; judged on emoji never seen.

    kontrast demo
Bundled data (see NOTICE), about four minutes on two idle CPU cores. Measured figures stand in the README, with their
command.
"""

from importlib.resources import files

from kontrast.core.experiment import Choice, Experiment, Plan, Source

# Three minutes on two idle cores; in steps, so that the score is not the machine's.
STEPS = 590
FIELDS = {"google": "image", "twitter": "image", "text": "text", "group": "label"}


def experiment() -> Experiment:
    """Image, image and text; everything else follows from the data."""
    data = files("kontrast.data.bundled") / "emoji.parquet"
    fields = {**FIELDS, "id": "id", "names": "ignore", "tags": "ignore", "subgroup": "meta"}
    return Experiment(
        source=Source(data=str(data), fields=fields),
        method=Choice("clip", {"own": True}),
        plan=Plan(batch=256, steps=STEPS),
        seed=1,
    )
