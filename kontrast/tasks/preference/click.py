"""CLICK: wanted answers are likelier than unwanted ones by a margin, beside the language model's own loss."""

from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.losses.preference.click import CLICK as Loss
from kontrast.tasks.preference.answer_task import AnswerTask


class CLICK(AnswerTask):
    """Trains a causal language model to avoid a kind of answer: toxic, repetitive, off topic.

    Take it if unwanted answers are of one kind that the model itself wrote, as in the paper. For graded preferences
    take `DPO`. It needs no reference model.

    Args:
        encoders: Facts of the encoders; takes `causal_lm`.
        chosen: Field of the wanted answers, or of transcripts that end with them.
        rejected: Field of the unwanted ones.
        prompt: Field of the prompts; None: the field `prompt` if there is one.
        margin: In summed log-probability; 20 as in the authors' code.
        contrast: Weight of the contrastive term; 0.5 as in the authors' code.
        likelihood: Weight of the language-model term on wanted answers; 1 as in the paper.

    Equation:
        L = likelihood (-s_w / n_w) + contrast max(0, margin - s_w + s_l), s summed over tokens, n their number

    Reference:
        Zheng et al. 2023, arXiv:2306.03350.

    Example:
        >>> info = EncoderInfo({"chosen": 8, "rejected": 8}, {"chosen": 1, "rejected": 1})
        >>> CLICK(info).loss.margin
        20.0
    """

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        chosen: str = "chosen",
        rejected: str = "rejected",
        prompt: str | None = None,
        margin: float = 20.0,
        contrast: float = 0.5,
        likelihood: float = 1.0,
    ) -> None:
        super().__init__(encoders, Loss(margin=margin), chosen, rejected, prompt, likelihood, contrast)
