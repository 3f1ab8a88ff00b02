"""DPO: chosen answers gain more over the model of the start than rejected ones.

Take it to align a causal language model with pairs of answers: fields `chosen` and `rejected`, and `prompt` if it is a
field of its own. For example `kontrast train pairs.jsonl --recipe dpo --set encoders.text.model=FOLDER`.

Parts: method `dpo`, encoder `causal_lm`, a frozen copy of the start.
Settings: `beta` 0.1 as in the paper and in trl; `likelihood` 0. It needs a model that knows the language.
Reference: Rafailov et al. 2023, arXiv:2305.18290.
"""

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task


def experiment() -> Experiment:
    """The method and its encoder; views follow from the data."""
    return Experiment(tasks=one_task("dpo"), encoders={"text": Choice("causal_lm")})
