"""Implicit reward: log-probability of a candidate relative to a reference model."""

from torch import Tensor

from kontrast.core.errors import UserError
from kontrast.losses.engine import input_checks
from kontrast.losses.kernel import Kernel


class LogRatio(Kernel):
    """Implicit reward: log-probability of a candidate relative to a reference model.

    Take it with `Preferred` and `InfoNCE` for preference learning among several answers per prompt. With one chosen and
    one rejected answer `DPO` is simpler. The anchor is the prompt: its z is not read.

    Args:
        beta: Above 0; 0.1 as in DPO and in trl.

    Shape:
        Anchors (..., N, any), candidates (..., M, 2) of (log p, log p_ref) or (..., M, 1) of (log p) -> (..., N, M).

    Raises:
        UserError: `beta` is not above 0, or candidates are wider than 2.

    Equation:
        S_ij = beta (log p(c_j) - log p_ref(c_j))

    Reference:
        DPO arXiv:2305.18290; per token and without reference SimPO arXiv:2405.14734.

    Example:
        >>> a, c = LogRatio(beta=1.0)(torch.zeros(1, 3), torch.tensor([[-4.0, -5.0], [-9.0, -9.0]]))
        >>> (a @ c.T).tolist()
        [[1.0, 0.0]]
    """

    def __init__(self, *, beta: float = 0.1) -> None:
        super().__init__()
        self.beta = input_checks.number(beta, "log_ratio: beta", above=0)

    def forward(self, a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """(beta, -beta) for every anchor, and candidates unchanged."""
        if c.shape[-1] > 2:
            raise UserError(f"kernel 'log_ratio' compares (log p, log p_ref) or (log p); found rows of {c.shape[-1]}.")
        signs = c.new_tensor([self.beta, -self.beta])[: c.shape[-1]]
        return signs.expand(*a.shape[:-1], -1), c

    def unit(self) -> float:
        """`beta`."""
        return self.beta
