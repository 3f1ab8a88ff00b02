"""CLICK: a text of unwanted kind is to be less likely than a wanted one, by a margin in log-probability."""

from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.engine import input_checks
from kontrast.losses.preference_loss import Answers, PreferenceLoss


class CLICK(PreferenceLoss):
    """L = max(0, margin - s_w + s_l), s summed over tokens (Zheng et al. 2023, arXiv:2306.03350); beside a language
    model's loss, weighed 0.5.
    """

    def __init__(self, *, margin: float = 20.0) -> None:
        super().__init__()
        self.margin = input_checks.number(margin, "click: margin", least=0)

    def per_pair(self, chosen: Answers, rejected: Answers) -> Tensor:
        """The equation above."""
        return F.relu(self.margin - chosen.score + rejected.score)
