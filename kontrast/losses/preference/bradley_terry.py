"""Bradley-Terry: the chosen one's score is to beat the other's; BPR of recommenders, the loss of reward models."""

from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.engine import input_checks
from kontrast.losses.preference_loss import Answers, PreferenceLoss


class BradleyTerry(PreferenceLoss):
    """L = -log sigmoid(s_chosen - s_rejected - margin) (Bradley & Terry 1952; BPR, arXiv:1205.2618; reward models,
    arXiv:2203.02155).
    """

    def __init__(self, *, margin: float = 0.0) -> None:
        super().__init__()
        self.margin = input_checks.number(margin, "bradley_terry: margin")

    def per_pair(self, chosen: Answers, rejected: Answers) -> Tensor:
        """The equation above."""
        return F.softplus(rejected.score - chosen.score + self.margin)
