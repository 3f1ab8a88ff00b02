"""CPL: chosen answers are likelier than rejected ones, and stay likely.

Take it to train a causal language model as a policy, without reward or reference model: fields `chosen` and `rejected`,
and `prompt` if it is a field of its own. For example `kontrast train pairs.jsonl --recipe cpl`.

Parts: method `cpl`, encoder `causal_lm`.
Settings: `alpha` 0.1 and `bias` 0.5 as in the authors' code. Without a pretrained model, set `likelihood` to 1.
Reference: Hejna et al. 2024, arXiv:2310.13639.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The method and its encoder; views follow from the data."""
    return Experiment(tasks=one_task("cpl"), encoders={"text": Choice("causal_lm")})
