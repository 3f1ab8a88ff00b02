"""Takes the shortest mean of the tasks' gradients (MGDA)."""

import torch
from torch import Tensor

from kontrast.core.errors import needs
from kontrast.tasks.aggregators.aggregator import Aggregator

REGULAR = 1e-10  # part of the squared norm that makes the Gramian definite


class MGDA(Aggregator):
    """Takes the weighted mean of the tasks' gradients with the smallest norm.

    All tasks fall alike to first order; the update is zero where no direction helps all. It follows the task with the
    smallest gradient, so that a nearly solved task slows all others, and a larger weight of a task makes it count less.
    Take UPGrad first. It costs one backward pass and one copy of the shared gradient per task, and is refused with
    passes and fsdp.

    Raises:
        UserError: quadprog is not installed (`pip install 'kontrast[tasks]'`).

    Equation:
        g = sum_t w_t g_t, where w minimises |sum_t w_t g_t| over w_t >= 0 with sum_t w_t = 1

    Reference:
        Désidéri 2012, doi:10.1016/j.crma.2012.03.014; Sener, Koltun 2018, arXiv:1810.04650. They, and torchjd, take
        Frank-Wolfe steps, which stop far from the minimum if gradients differ in norm; here the program is solved.
    """

    jacobian = True

    def __init__(self) -> None:
        super().__init__()
        needs("quadprog", "tasks")

    def aggregate(self, gramian: Tensor, seed: int) -> Tensor:
        """Weights of the shortest mean; they are 0 or more and add up to 1."""
        import quadprog

        norms = gramian.diagonal().sqrt()
        if not norms.all():  # the shortest mean is 0
            return (norms == 0).double() / (norms == 0).sum()
        unit = torch.eye(len(gramian), dtype=gramian.dtype)
        # Of unit gradients, or the smallest ones would vanish in rounding: their weights are v, those sought v / norms.
        smallest = norms.min()
        limits = torch.cat([(smallest / norms)[None], unit]).T  # columns: a sum that equals 1; each weight, 0 or more
        bounds = torch.eye(1, 1 + len(gramian), dtype=gramian.dtype)[0]
        cosines = gramian / (norms[:, None] * norms) + REGULAR * unit
        v = quadprog.solve_qp(cosines.numpy(), torch.zeros_like(norms).numpy(), limits.numpy(), bounds.numpy(), 1)[0]
        weights = (torch.from_numpy(v) / norms).clamp_min(0)
        return weights / weights.sum()
