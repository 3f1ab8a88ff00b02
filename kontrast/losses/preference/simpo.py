"""SimPO: the chosen answer is to be likelier a token than the rejected one, by a margin; no reference model."""

from torch import Tensor
from torch.nn import functional as F

from kontrast.core.errors import UserError
from kontrast.losses.engine import input_checks
from kontrast.losses.preference_loss import Answers, PreferenceLoss


class SimPO(PreferenceLoss):
    """L = -log sigmoid(beta s_w / n_w - beta s_l / n_l - margin), n tokens (Meng, Xia, Chen 2024, arXiv:2405.14734).

    The paper's margin is half its beta, 2 to 10.
    """

    def __init__(self, *, beta: float = 2.0, margin: float = 1.0) -> None:
        super().__init__()
        self.beta = input_checks.number(beta, "simpo: beta", above=0)
        self.margin = input_checks.number(margin, "simpo: margin")

    def per_pair(self, chosen: Answers, rejected: Answers) -> Tensor:
        """The equation above."""
        return F.softplus(self.beta * (_per_token(rejected) - _per_token(chosen)) + self.margin)


def _per_token(answers: Answers) -> Tensor:
    if answers.length is None:
        raise UserError("simpo: no lengths; expected the number of tokens of each answer.")
    return answers.score / answers.length.clamp_min(1)
