"""Instance discrimination: each sample is a class of its own, known by its slot in a memory of all samples."""

from typing import ClassVar

import torch
from torch import Tensor

from kontrast.layers.memory_bank import MemoryBank
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class InstanceDiscrimination(LossModule):
    """Instance discrimination: each sample is a class of its own, known by its slot in a memory of all samples.

    One view per sample suffices. The memory begins with random directions; each call in training mode moves the slots
    of its samples, after the loss. Labels are not used.

    Args:
        rows: Number of samples of the data; ids are 0 to rows - 1.
        dim: Width of the embeddings.
        temperature: Above 0; 0.07 in the paper.
        keep: How much of a slot stays at each visit; 0.5 in the paper.
        noise: Number of samples drawn for noise-contrastive estimation, shared by the batch (4,096 in the paper).
            0: all slots, which is exact.
        proximal: Weight of the squared distance from the slot, which keeps embeddings from leaping; 30 in the paper.
        seed: Of the first directions.
        reduction: "mean" over the anchors, "sum" of them, or "none" (one number per anchor).
        gather: Average over the rows of all processes, where torch.distributed runs; the memory is always one.

    Shape:
        z (N, dim) and ids (N,), whole numbers.

    Equation:
        L_i = log sum_n e^(S_in) - S_ii, n the slots, S the cosine over the temperature.

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
        """(N, dim) and (N,) -> a scalar; "none": (N,)."""
        noise = torch.randint(len(self.memory), (self.noise,), device=z.device) if self.noise else None
        loss = self.reduced(
            lambda: F.instance_discrimination(
                z, ids, self.memory, temperature=self.temperature, noise=noise, proximal=self.proximal
            )
        )
        if self.training:
            self.memory.update(torch.as_tensor(ids, device=z.device), z)
        return loss
