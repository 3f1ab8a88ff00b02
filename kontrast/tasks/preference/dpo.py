"""DPO: the chosen answer gains more over the model of the start than the rejected one."""

from collections.abc import Mapping

import torch
from torch import Tensor

from kontrast.core.embeddings import Embeddings
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.losses.preference.dpo import DPO as Loss
from kontrast.losses.preference_loss import Answers
from kontrast.tasks.preference.answer_task import SIDES, AnswerTask, summed
from kontrast.tasks.preference.preference_task import answers
from kontrast.tasks.task import Output


class DPO(AnswerTask):
    """Trains a causal language model by pairs of answers, tied to the model that it began as.

    Take it to align a pretrained model. The reference is a frozen copy of the start; its scores never change, so each
    training row is scored once and kept, in checkpoints too. A small random model has to learn the language in a run
    before: over a random reference, longer answers gain more whatever they say.

    Args:
        encoders: Facts of the encoders; takes `causal_lm`.
        samples: Number of training rows; from the data.
        chosen: Field of the chosen answers, or of transcripts that end with them.
        rejected: Field of the rejected ones.
        prompt: Field of the prompts; None: the field `prompt` if there is one.
        beta: Strength of the tie to the reference; 0.1 as in the paper and in trl.
        likelihood: Weight of a language-model term on chosen answers; 0 as in the paper.

    Equation:
        L = -log sigmoid(beta [(s_w - ref_w) - (s_l - ref_l)]), w chosen, l rejected

    Reference:
        Rafailov et al. 2023, arXiv:2305.18290.

    Example:
        >>> info = EncoderInfo({"chosen": 8, "rejected": 8}, {"chosen": 1, "rejected": 1})
        >>> DPO(info, samples=100).loss.beta
        0.1
    """

    uses = frozenset({"dense", "reference"})
    needs = frozenset({"sample"})
    kept: Tensor
    known: Tensor

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        samples: int,
        chosen: str = "chosen",
        rejected: str = "rejected",
        prompt: str | None = None,
        beta: float = 0.1,
        likelihood: float = 0.0,
    ) -> None:
        super().__init__(encoders, Loss(beta=beta), chosen, rejected, prompt, likelihood)
        self.register_buffer("kept", torch.zeros(samples, len(SIDES)))
        self.register_buffer("known", torch.zeros(samples, dtype=torch.bool))

    def targets(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Log-probabilities of both answers under the model of the start."""
        sample = batch.keys["sample"]
        if not encoders.together and len(sample) and bool((self.known[sample] & (sample >= 0)).all()):
            scores = self.kept[sample]
        else:
            found = encoders.reference(answers(batch), SIDES)
            scores = torch.cat([summed(found[side]) for side in SIDES], 1)
        return {f"{side} reference": Output(scores[:, k : k + 1], side) for k, side in enumerate(SIDES)}

    def after_update(self, out: Mapping[str, Embeddings], ranks: Ranks) -> None:
        """Keeps the reference scores of the rows of all ranks."""
        both = torch.cat([out[f"{side} reference"].z for side in SIDES], 1)
        keys = out["chosen reference"].keys
        everyone = ranks.gather(
            {"reference": Embeddings(both, {name: keys[name] for name in ("id", "view", "sample")})}
        )
        sample = everyone["reference"].keys["sample"]
        self.kept[sample], self.known[sample] = everyone["reference"].z.to(self.kept.dtype), True

    def reward(self, answers: Answers) -> Tensor:
        """Gain in log-probability over the model of the start."""
        assert answers.reference is not None
        return answers.score - answers.reference
