"""Direct preference optimisation: chosen answers gain more over a reference model."""

from torch import Tensor
from torch.nn import functional as F

from kontrast.core.errors import UserError
from kontrast.losses.engine import input_checks
from kontrast.losses.preference_loss import Answers, PreferenceLoss


class DPO(PreferenceLoss):
    """Direct preference optimisation: chosen answers gain more over a reference model.

    Take it to align a language model with pairs of chosen and rejected answers. It needs the log-probabilities of a
    frozen first model; `SimPO` needs none.

    Args:
        beta: Strength of the tie to the reference, above 0; 0.1 as in the paper and in trl.

    Shape:
        Summed log-probabilities (N,) of chosen and rejected answers, each with `reference` (N,) -> (N,).

    Raises:
        UserError: `beta` is not above 0, or answers have no `reference`.

    Equation:
        L = -log sigmoid(beta [(s_w - ref_w) - (s_l - ref_l)]), w chosen, l rejected.

    Reference:
        Rafailov et al. 2023, arXiv:2305.18290.

    Example:
        >>> chosen = Answers(torch.tensor([-4.0]), reference=torch.tensor([-5.0]))
        >>> rejected = Answers(torch.tensor([-9.0]), reference=torch.tensor([-9.0]))
        >>> round(DPO(beta=1.0)(chosen, rejected).value().item(), 4)  # log(1 + 1 / e)
        0.3133
    """

    def __init__(self, *, beta: float = 0.1) -> None:
        super().__init__()
        self.beta = input_checks.number(beta, "dpo: beta", above=0)

    def per_pair(self, chosen: Answers, rejected: Answers) -> Tensor:
        """Loss of each pair, shape (N,)."""
        return F.softplus(self.beta * (_gain(rejected) - _gain(chosen)))


def _gain(answers: Answers) -> Tensor:
    if answers.reference is None:
        raise UserError(
            "dpo: no reference log-probabilities; expected those of the frozen first model. SimPO needs none."
        )
    return answers.score - answers.reference
