"""CLICK: wanted answers are likelier than unwanted ones by a margin.

Take it to teach a causal language model what not to write, beside its own loss: fields `chosen` and `rejected`, and
`prompt` if it is a field of its own. For example `kontrast train pairs.jsonl --recipe click`.

Parts: method `click`, encoder `causal_lm`.
Settings: `margin` 20 and `contrast` 0.5 as in the authors' code, `likelihood` 1.
Reference: Zheng et al. 2023, arXiv:2306.03350.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The method and its encoder; views follow from the data."""
    return Experiment(tasks=one_task("click"), encoders={"text": Choice("causal_lm")})
