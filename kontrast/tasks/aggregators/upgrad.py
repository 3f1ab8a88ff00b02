"""Projects each task's gradient so that the update harms no task (UPGrad)."""

import torch
from torch import Tensor

from kontrast.core.errors import needs
from kontrast.tasks.aggregators.aggregator import Aggregator

REGULAR = 1e-10  # share of the trace that makes the Gramian definite


class UPGrad(Aggregator):
    """Projects the gradient of each task onto the directions that harm no task, and adds the projections.

    To first order, no task's loss grows. Without conflict it equals `weighted`. Take it if tasks pull in opposite
    directions and none may be given up. It costs one backward pass and one copy of the shared gradient per task, and
    is refused with passes and fsdp. The weight of a task multiplies its projection.

    The quadratic programs are solved by torchjd (`pip install 'kontrast[tasks]'`), in float64.

    Raises:
        UserError: torchjd or quadprog is not installed.

    Equation:
        g = sum_t g'_t, where g'_t is the point nearest to g_t with g'_t . g_u >= 0 for all tasks u

    Reference:
        Quinton, Rey 2024, arXiv:2406.16232. They average the projections, here they are added, as `weighted` adds
        losses. torchjd adds 1e-4 of the trace to the Gramian, which lets an update harm a task with small gradients;
        here gradients have unit norm in the program, and it is 1e-10.
    """

    jacobian = True

    def __init__(self) -> None:
        super().__init__()
        needs("torchjd", "tasks")
        needs("quadprog", "tasks")

    def aggregate(self, gramian: Tensor, seed: int) -> Tensor:
        """Weights of the projected sum, each at least 1."""
        from torchjd.aggregation import UPGradWeighting
        from torchjd.linalg import QuadprogProjector

        norms = gramian.diagonal().sqrt()
        norms = torch.where(norms > 0, norms, 1.0)
        # Unit gradients: torchjd takes a Gramian with a trace below 1e-4 for zero, and hardly sees a short gradient.
        weighting = UPGradWeighting(norms, QuadprogProjector(reg_eps=REGULAR))
        return weighting(gramian / (norms[:, None] * norms)) / norms
