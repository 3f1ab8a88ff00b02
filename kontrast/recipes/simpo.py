"""SimPO: chosen answers are likelier per token than rejected ones, by a margin.

Take it to align a causal language model without a reference model: fields `chosen` and `rejected`, and `prompt` if it
is a field of its own. For example `kontrast train pairs.jsonl --recipe simpo --set encoders.text.model=FOLDER`.

Parts: method `simpo`, encoder `causal_lm`.
Settings: `beta` 2 and `margin` 1 (2 to 10, and half of it, in the paper). Without a pretrained model, set
`likelihood` to 1.
Reference: Meng, Xia & Chen 2024, arXiv:2405.14734.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The method and its encoder; views follow from the data."""
    return Experiment(tasks=one_task("simpo"), encoders={"text": Choice("causal_lm")})
