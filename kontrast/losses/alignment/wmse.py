"""W-MSE: views agree after each view's batch is whitened."""

import torch
from torch import Tensor

from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.errors import UserError
from kontrast.core.normalize import sphere
from kontrast.losses.alignment_loss import AlignmentLoss, sides
from kontrast.losses.engine import input_checks


class WMSE(AlignmentLoss):
    """W-MSE: views agree after each view's batch is whitened.

    Take it for views without negatives; whitening excludes collapse by construction. It needs more rows per group than
    the width D. For wide embeddings take `VICReg`. Needs the rows of all processes.

    Args:
        size: Rows whitened together; None (default) for all. Rows beyond the last full group are left out.
        shrink: Share of the identity mixed into the covariance, in [0, 1). 0 in the paper; 0.001 (default) keeps a
            narrow batch computable.

    Shape:
        Two views (N, D), not normalised -> a term with count 1.

    Raises:
        UserError: A setting outside its bounds, no full group of rows, or a covariance without full rank.

    Equation:
        L = mean_k 2 - 2 cos(W x_k, W' y_k), W the inverse Cholesky factor of a view's covariance / (n - 1).

    Reference:
        Ermolov et al. 2021, arXiv:2007.06346.

    Example:
        >>> from kontrast.losses.engine.adapters import rows
        >>> one, two = rows(torch.eye(6)[:, :2]), rows(torch.eye(6)[:, :2], view=1)
        >>> round(WMSE()(one, two).value().item(), 4)  # equal views
        0.0
    """

    whole = True

    def __init__(self, *, size: int | None = None, shrink: float = 1e-3) -> None:
        super().__init__()
        self.size = None if size is None else input_checks.whole(size, "wmse: size", least=2)
        self.shrink = input_checks.number(shrink, "wmse: shrink", least=0, below=1)

    def forward(self, one: Embeddings, two: Embeddings) -> LossTerm:
        """Computes the loss of the whole batch."""
        x, y = sides(self, one, two)
        size = self.size or len(x)
        if size < 2 or len(x) < size:
            raise UserError(f"wmse: {len(x)} rows on all ranks, groups of {size}; expected a full group of 2 or more.")
        kept = len(x) // size * size
        with torch.autocast(x.device.type, enabled=False):
            x, y = (sphere(self._white(z[:kept].view(-1, size, z.shape[1]))) for z in (x, y))
            total = (2 - 2 * (x * y).sum(-1)).mean()
        return LossTerm(total, torch.ones_like(total))

    def _white(self, z: Tensor) -> Tensor:
        """Each group centred and whitened, (G, n, D)."""
        z = z - z.mean(1, keepdim=True)
        eye = torch.eye(z.shape[2], dtype=z.dtype, device=z.device)
        covariance = (1 - self.shrink) * (z.mT @ z) / (z.shape[1] - 1) + self.shrink * eye
        factor, failed = torch.linalg.cholesky_ex(covariance)
        if failed.any():
            raise UserError(
                f"wmse: a covariance of {z.shape[1]} rows of width {z.shape[2]} has no full rank; "
                "expected more rows than the width. Take larger groups, a narrower head, or more shrink."
            )
        return torch.linalg.solve_triangular(factor, z.mT, upper=False).mT
