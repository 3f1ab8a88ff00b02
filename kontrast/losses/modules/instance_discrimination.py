"""Instance discrimination: each sample is its own class, represented by a memory slot."""

from typing import ClassVar

import torch
from torch import Tensor

from kontrast.layers.memory_bank import MemoryBank
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class InstanceDiscrimination(LossModule):
    """Instance discrimination: each sample is its own class, represented by a memory slot.

    For data without labels where one view per sample is available. The memory starts with random directions; each call
    in training mode moves the slots of its samples, after the loss.

    Args:
        rows: Number of samples in the data; ids are 0 to rows - 1.
        dim: Width of the embeddings.
        temperature: Above 0; 0.07 as in the paper.
        keep: Share of the old slot that each visit keeps, from 0 to below 1; 0.5 as in the paper.
        noise: Number of samples drawn for noise-contrastive estimation, shared by the batch; 4,096 in the paper. 0
            (default): all slots, which is exact.
        proximal: Weight of the squared distance to the slot, which damps jumps; 30 in the paper, 0 by default.
        seed: Seed of the initial directions.
        reduction: "mean" over the rows (default), "sum", or "none" (one number per row).
        gather: Average over the rows of all processes if torch.distributed runs (default); the memory is shared in any
            case.

    Shape:
        z (N, dim) and ids (N,), integers.

    Equation:
        L_i = log sum_n e^(S_in) - S_ii, n the slots, S the cosine over the temperature, S_ii that with i's own slot.

    Reference:
        Wu et al. 2018, arXiv:1805.01978.

    Example:
        >>> loss = InstanceDiscrimination(rows=1000, dim=64)
        >>> bool(loss(torch.eye(64), torch.arange(64)).isfinite())
        True
    """

    compared: ClassVar[int | None] = 1

    def __init__(
        self,
        *,
        rows: int,
        dim: int,
        temperature: float = 0.07,
        keep: float = 0.5,
        noise: int = 0,
        proximal: float = 0.0,
        seed: int = 0,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature, self.noise, self.proximal = temperature, noise, proximal
        self.memory = MemoryBank(samples=rows, width=dim, keep=keep, seed=seed)

    def forward(self, z: Tensor, ids: Tensor) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        noise = torch.randint(len(self.memory), (self.noise,), device=z.device) if self.noise else None
        loss = self.reduced(
            lambda: F.instance_discrimination(
                z, ids, self.memory, temperature=self.temperature, noise=noise, proximal=self.proximal
            )
        )
        if self.training:
            self.memory.update(torch.as_tensor(ids, device=z.device), z)
        return loss
