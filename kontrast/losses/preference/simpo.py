"""SimPO: chosen answers must be likelier per token than rejected ones, by a margin."""

from torch import Tensor
from torch.nn import functional as F

from kontrast.core.errors import UserError
from kontrast.losses.engine import input_checks
from kontrast.losses.preference_loss import Answers, PreferenceLoss


class SimPO(PreferenceLoss):
    """SimPO: chosen answers must be likelier per token than rejected ones, by a margin.

    Take it to align a language model without a reference model. It is more sensitive to its settings than `DPO`: tune
    both.

    Args:
        beta: Scale of the mean log-probability, above 0. Default 2; 2 to 10 in the paper.
        margin: Default 1, half of `beta`, as in the paper.

    Shape:
        Summed log-probabilities (N,) of chosen and rejected answers, each with `length` (N,) in tokens -> (N,).

    Raises:
        UserError: A setting outside its bounds, or answers without `length`.

    Equation:
        L = -log sigmoid(beta s_w / n_w - beta s_l / n_l - margin), n tokens, w chosen, l rejected.

    Reference:
        Meng, Xia & Chen 2024, arXiv:2405.14734.

    Example:
        >>> chosen = Answers(torch.tensor([-4.0]), length=torch.tensor([8]))
        >>> rejected = Answers(torch.tensor([-9.0]), length=torch.tensor([6]))
        >>> round(SimPO()(chosen, rejected).value().item(), 4)  # 2 * (-0.5 + 1.5) - 1 = 1: log(1 + 1 / e)
        0.3133
    """

    def __init__(self, *, beta: float = 2.0, margin: float = 1.0) -> None:
        super().__init__()
        self.beta = input_checks.number(beta, "simpo: beta", above=0)
        self.margin = input_checks.number(margin, "simpo: margin")

    def per_pair(self, chosen: Answers, rejected: Answers) -> Tensor:
        """Loss of each pair, shape (N,)."""
        return F.softplus(self.beta * (_per_token(rejected) - _per_token(chosen)) + self.margin)


def _per_token(answers: Answers) -> Tensor:
    if answers.length is None:
        raise UserError("simpo: no lengths; expected the number of tokens of each answer.")
    return answers.score / answers.length.clamp_min(1)
