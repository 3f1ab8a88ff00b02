"""CPL: the chosen of two answers is likelier, and chosen ones stay likely."""

from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.losses.preference.cpl import CPL as Loss
from kontrast.tasks.preference.answer_task import AnswerTask


class CPL(AnswerTask):
    """Trains a causal language model as a policy: tokens are the actions, prompt and earlier tokens the state.

    Take it if neither a reference model nor a reward model is wanted. For answers of very different length take
    `SimPO`: a sum of log-probabilities prefers the shorter one. For segments of another kind of behaviour use the loss
    `kontrast.losses.modules.cpl`. A small random model has to learn the language first: set `likelihood`.

    Args:
        encoders: Facts of the encoders; takes `causal_lm`.
        chosen: Field of the chosen answers, or of transcripts that end with them.
        rejected: Field of the rejected ones.
        prompt: Field of the prompts; None: the field `prompt` if there is one.
        alpha: Temperature of the advantage; 0.1 as in the authors' code.
        bias: The paper's lambda: below 1 it keeps chosen answers likely; 0.5 as in the authors' code.
        likelihood: Weight of a language-model term on chosen answers (the paper clones behaviour first). Default 0.

    Equation:
        L = -log e^{alpha s_w} / (e^{alpha s_w} + e^{bias alpha s_l}), s summed over tokens, w chosen, l rejected

    Reference:
        Hejna et al. 2024, arXiv:2310.13639.

    Example:
        >>> info = EncoderInfo({"chosen": 8, "rejected": 8}, {"chosen": 1, "rejected": 1})
        >>> CPL(info).loss.bias
        0.5
    """

    def __init__(
        self,
        encoders: EncoderInfo,
        *,
        chosen: str = "chosen",
        rejected: str = "rejected",
        prompt: str | None = None,
        alpha: float = 0.1,
        bias: float = 0.5,
        likelihood: float = 0.0,
    ) -> None:
        super().__init__(encoders, Loss(alpha=alpha, bias=bias), chosen, rejected, prompt, likelihood)
