"""Triplet loss: a row of the class is nearer than a row of another by a margin (FaceNet, arXiv:1503.03832).

Needs labels; batches of P classes x K rows. Mining: `--set method.loss.triplets=all`, `semihard` or `hard`
(arXiv:1703.07737). The temperature 0.5 makes the cosine the negative squared distance on the sphere.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment, Plan


def experiment() -> Experiment:
    """The experiment before the data is seen."""
    return Experiment(
        method=Choice(
            "",
            {
                "loss": {"name": "triplet", "triplets": "semihard"},
                "relation": {"name": "same_key", "key": "label"},
                "temperature": 0.5,
            },
        ),
        plan=Plan(sampler=Choice("balanced")),
    )
