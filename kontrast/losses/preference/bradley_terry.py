"""Bradley-Terry: the chosen answer must score higher than the rejected one."""

from torch import Tensor
from torch.nn import functional as F

from kontrast.losses.engine import input_checks
from kontrast.losses.preference_loss import Answers, PreferenceLoss


class BradleyTerry(PreferenceLoss):
    """Bradley-Terry: the chosen answer must score higher than the rejected one.

    Take it for reward models and, as Bayesian personalised ranking (BPR), for recommenders. To train a language model
    itself take `DPO` or `SimPO`.

    Args:
        margin: By which the chosen score must lead; 0 as in the papers.

    Shape:
        Scores (N,) of chosen and rejected answers -> (N,).

    Raises:
        UserError: `margin` is no finite number.

    Equation:
        L = -log sigmoid(s_chosen - s_rejected - margin)

    Reference:
        Bradley & Terry 1952, Biometrika 39; BPR arXiv:1205.2618; reward models arXiv:2203.02155.

    Example:
        >>> chosen, rejected = Answers(torch.tensor([2.0])), Answers(torch.tensor([1.0]))
        >>> round(BradleyTerry()(chosen, rejected).value().item(), 4)  # log(1 + 1 / e)
        0.3133
    """

    def __init__(self, *, margin: float = 0.0) -> None:
        super().__init__()
        self.margin = input_checks.number(margin, "bradley_terry: margin")

    def per_pair(self, chosen: Answers, rejected: Answers) -> Tensor:
        """Loss of each pair, shape (N,)."""
        return F.softplus(rejected.score - chosen.score + self.margin)
