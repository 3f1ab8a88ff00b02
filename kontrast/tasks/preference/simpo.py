"""SimPO: the chosen answer is likelier per token than the rejected one, by a margin."""

from torch import Tensor

from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.losses.preference.simpo import SimPO as Loss
from kontrast.losses.preference_loss import Answers
from kontrast.tasks.preference.answer_task import AnswerTask


class SimPO(AnswerTask):
    """Trains a causal language model by pairs of answers, per token and without a reference model.

    Take it where answers of one kind are longer: it weighs tokens, not sums. It is more sensitive to its settings than
    `DPO`. A small random model has to learn the language first: set `likelihood`.

    Args:
        encoders: Facts of the encoders; takes `causal_lm`.
        chosen: Field of the chosen answers, or of transcripts that end with them.
        rejected: Field of the rejected ones.
        prompt: Field of the prompts; None: the field `prompt` if there is one.
        beta: Scale of the mean log-probability. Default 2; 2 to 10 in the paper.
        margin: Default 1, half of `beta`, as in the paper.
        likelihood: Weight of a language-model term on chosen answers; 0 as in the paper.

    Equation:
        L = -log sigmoid(beta s_w / n_w - beta s_l / n_l - margin), n tokens, w chosen, l rejected

    Reference:
        Meng, Xia & Chen 2024, arXiv:2405.14734.

    Example:
        >>> info = EncoderInfo({"chosen": 8, "rejected": 8}, {"chosen": 1, "rejected": 1})
        >>> SimPO(info, beta=2.5, margin=1.25).loss.margin
        1.25
    """

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        chosen: str = "chosen",
        rejected: str = "rejected",
        prompt: str | None = None,
        beta: float = 2.0,
        margin: float = 1.0,
        likelihood: float = 0.0,
    ) -> None:
        super().__init__(encoders, Loss(beta=beta, margin=margin), chosen, rejected, prompt, likelihood)

    def reward(self, answers: Answers) -> Tensor:
        """Mean log-probability per token."""
        assert answers.length is not None
        return answers.score / answers.length.clamp_min(1)
