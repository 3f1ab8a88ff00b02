"""CLICK: wanted texts must be likelier than unwanted ones by a margin."""

from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.engine import input_checks
from kontrast.losses.preference_loss import Answers, PreferenceLoss


class CLICK(PreferenceLoss):
    """CLICK: wanted texts must be likelier than unwanted ones by a margin.

    Take it to teach a language model to avoid a kind of text, beside its own loss, with weight 0.5 in the paper. It
    needs no reference model. For graded human preferences take `DPO`.

    Args:
        margin: In summed log-probability, at least 0; 20 as in the authors' code.

    Shape:
        Summed log-probabilities (N,) of wanted and unwanted texts -> (N,).

    Raises:
        UserError: `margin` is below 0.

    Equation:
        L = max(0, margin - s_w + s_l), s summed over tokens, w wanted, l unwanted.

    Reference:
        Zheng et al. 2023, arXiv:2306.03350.

    Example:
        >>> chosen, rejected = Answers(torch.tensor([-4.0])), Answers(torch.tensor([-9.0]))
        >>> round(CLICK()(chosen, rejected).value().item(), 4)  # 20 + 4 - 9
        15.0
    """

    def __init__(self, *, margin: float = 20.0) -> None:
        super().__init__()
        self.margin = input_checks.number(margin, "click: margin", least=0)

    def per_pair(self, chosen: Answers, rejected: Answers) -> Tensor:
        """Loss of each pair, shape (N,)."""
        return F.relu(self.margin - chosen.score + rejected.score)
