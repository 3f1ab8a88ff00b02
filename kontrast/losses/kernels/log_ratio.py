"""How much likelier a policy finds a candidate than a reference does."""

from torch import Tensor

from kontrast.core.errors import UserError
from kontrast.losses.engine import input_checks
from kontrast.losses.kernel import Kernel


class LogRatio(Kernel):
    """S_ij = beta (log p(c_j) - log p_ref(c_j)); candidates are rows (log p, log p_ref), or (log p) without reference.

    The reward of DPO (arXiv:2305.18290), with `Preferred` and `Infonce`; with log p a token, and no reference,
    SimPO's (arXiv:2405.14734). The anchor is the prompt: its z, of any width, is not read, its keys say whose
    candidates they are.
    """

    def __init__(self, *, beta: float = 0.1) -> None:
        super().__init__()
        self.beta = input_checks.number(beta, "log_ratio: beta", above=0)

    def forward(self, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """(beta, -beta) for every anchor, candidates as they are."""
        if c.shape[-1] > 2:
            raise UserError(f"kernel 'log_ratio' compares (log p, log p_ref) or (log p); found rows of {c.shape[-1]}.")
        signs = c.new_tensor([self.beta, -self.beta])[: c.shape[-1]]
        return signs.expand(*a.shape[:-1], -1), c

    def unit(self) -> float:
        """Beta."""
        return self.beta
