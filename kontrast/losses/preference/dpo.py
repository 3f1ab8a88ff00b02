"""DPO: the chosen answer is to gain more over a reference model than the rejected one does."""

from torch import Tensor
from torch.nn import functional as F

from kontrast.core.errors import UserError
from kontrast.losses.engine import input_checks
from kontrast.losses.preference_loss import Answers, PreferenceLoss


class DPO(PreferenceLoss):
    """L = -log sigmoid(beta [(s_w - ref_w) - (s_l - ref_l)]), w chosen, l rejected (Rafailov et al. 2023,
    arXiv:2305.18290).
    """

    def __init__(self, *, beta: float = 0.1) -> None:
        super().__init__()
        self.beta = input_checks.number(beta, "dpo: beta", above=0)

    def per_pair(self, chosen: Answers, rejected: Answers) -> Tensor:
        """The equation above."""
        return F.softplus(self.beta * (_gain(rejected) - _gain(chosen)))


def _gain(answers: Answers) -> Tensor:
    if answers.reference is None:
        raise UserError(
            "dpo: no reference log-probabilities; expected those of the frozen first model. SimPO needs none."
        )
    return answers.score - answers.reference
