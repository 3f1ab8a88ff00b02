"""Shared part of tasks that train a causal language model by its log-probabilities of answers."""

from abc import ABC
from collections.abc import Mapping

from torch import Tensor

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.data.view import Batch
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews
from kontrast.encoders.features import Features
from kontrast.losses.preference_loss import Answers, PreferenceLoss
from kontrast.tasks.preference.preference_task import PreferenceTask, answers, parts_of
from kontrast.tasks.task import Output

SIDES = ("chosen", "rejected")


class AnswerTask(PreferenceTask, ABC):
    """Log-probabilities of the chosen and the rejected answer of each row, compared by a loss.

    Args:
        encoders: Facts of the encoders; `causal_lm` gives log-probabilities.
        loss: Compares the answers.
        chosen: Field of the chosen answers, or of transcripts that end with them.
        rejected: Field of the rejected ones.
        prompt: Field of the prompts; None: the field `prompt` if there is one, else a transcript holds its prompt.
        likelihood: Weight of a language-model term on chosen answers, per token.
        contrast: Weight of the loss.

    Raises:
        UserError: a field that the data lacks, an encoder without log-probabilities, or a negative weight.
    """

    uses = frozenset({"dense"})

    def __init__(
        self,
        encoders: EncoderInfo,
        loss: PreferenceLoss,
        chosen: str,
        rejected: str,
        prompt: str | None,
        likelihood: float,
        contrast: float = 1.0,
    ) -> None:
        super().__init__(encoders, parts_of(encoders, chosen, rejected, prompt), "original")
        name = type(self).__name__.lower()
        for field in (chosen, rejected):
            if encoders.dense.get(field) != 1:
                raise UserError(
                    f"task '{name}' learns from the log-probability of each token, which the encoder of '{field}' does "
                    "not give; expected causal_lm: --encoder text=causal_lm."
                )
        if likelihood < 0 or contrast < 0:
            raise UserError(f"task '{name}': a weight is negative; expected 0 or more.")
        self.loss, self.likelihood, self.contrast = loss, likelihood, contrast

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """Summed log-probability of each answer, (B, 1), with its number of tokens as the key `length`."""
        found = encoders(answers(batch), SIDES)
        return {side: Output(summed(found[side]), side, {"length": length(found[side])}) for side in SIDES}

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """The loss over rows that have both answers, and the language-model term if it has a weight."""
        here = self.complete(out["chosen"])
        chosen, rejected = (self.answers({name: rows[here] for name, rows in out.items()}, side) for side in SIDES)
        terms = {"preference": self.contrast * self.loss(chosen, rejected)}
        if self.likelihood and chosen.length is not None:
            terms["likelihood"] = self.likelihood * LossTerm(-chosen.score.sum(), chosen.length.sum().float())
        return terms

    def answers(self, out: Mapping[str, Embeddings], side: str) -> Answers:
        """What the loss compares on one side."""
        reference = out.get(f"{side} reference")
        return Answers(out[side].z[:, 0], None if reference is None else reference.z[:, 0], out[side].keys["length"])

    def lead(self, out: Mapping[str, Embeddings]) -> Tensor:
        """Reward of the chosen answer minus that of the rejected one, (B,)."""
        return self.reward(self.answers(out, "chosen")) - self.reward(self.answers(out, "rejected"))

    def reward(self, answers: Answers) -> Tensor:
        """What the loss makes large for chosen answers, (B,): the summed log-probability, or what a subclass says."""
        return answers.score


def summed(features: Features) -> Tensor:
    """Log-probability of each answer: the sum over its tokens, (B, 1)."""
    assert features.dense is not None
    return features.dense.sum(1)


def length(features: Features) -> Tensor:
    """Number of tokens of each answer, its end included, (B,)."""
    assert features.mask is not None
    return features.mask.sum(1)
