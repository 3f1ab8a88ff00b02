"""Removes from each task's gradient what conflicts with another task's (PCGrad)."""

import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.tasks.aggregators.aggregator import Aggregator


class PCGrad(Aggregator):
    """Projects each gradient onto the normal plane of each one it conflicts with, in random order, and adds all.

    With two tasks the update harms neither; with more, a later projection can bring back an earlier conflict, which
    UPGrad rules out. Without conflict it equals `weighted`. It costs one backward pass and one copy of the shared
    gradient per task, and is refused with passes and fsdp.

    A projected gradient stays a combination of the tasks' gradients, so that its coefficients and the Gramian are all
    it takes. The order depends on the seed of the step only: ranks agree, and so does a resumed run.

    Equation:
        for each t: g'_t = g_t; for other u in random order: g'_t -= min(g'_t . g_u, 0) / |g_u|^2 g_u; g = sum_t g'_t

    Reference:
        Yu et al. 2020, arXiv:2001.06782.
    """

    jacobian = True

    def aggregate(self, gramian: Tensor, seed: int) -> Tensor:
        """Sum of the coefficients of the projected gradients, each at least 1."""
        count = len(gramian)
        mixed = torch.eye(count, dtype=gramian.dtype)
        for task, own in enumerate(mixed):
            for other in random_streams.permutation(seed, task, count).tolist():
                conflict = float(gramian[other] @ own)
                if other != task and conflict < 0:
                    own[other] -= conflict / gramian[other, other]
        return mixed.sum(0)
