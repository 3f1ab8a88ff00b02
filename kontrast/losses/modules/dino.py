"""DINO: a student predicts the sharpened, centred outputs of its own running mean, the teacher."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from kontrast.core.ranks import Ranks
from kontrast.layers.centre import Centre
from kontrast.losses import functional as F
from kontrast.losses.engine.reduction import Reduction
from kontrast.losses.loss_module import LossModule


class DINO(LossModule):
    """DINO: a student predicts the sharpened, centred outputs of its own running mean, the teacher.

    Needs no negatives. This module holds the centre; each call in training mode moves it, after the loss.

    Args:
        dim: Number of outputs; 65,536 in the paper, hundreds to thousands for small data.
        temperature: Above 0, of the student; 0.1 as in the paper.
        teacher_temperature: Above 0, of the teacher; 0.04, where the paper starts its warm-up.
        momentum: Share of the old centre that each update keeps; 0.9 as in the paper.
        reduction: "mean" over samples and pairs of views (default), "sum", or "none" (the sum of the pairs of each
            sample).
        gather: Centre over the rows of all processes if torch.distributed runs (default); False: this process alone.

    Shape:
        student and teacher: one tensor (N, dim) each, of different views; or a list of such tensors each, one per view.
            View k of both lists is the same view, and is not compared with itself.

    Equation:
        L = -sum_k q_k log softmax(student / temperature)_k, q = softmax((teacher - centre) / teacher_temperature).

    Reference:
        Caron et al. 2021, arXiv:2104.14294.

    Example:
        >>> views = [torch.eye(4), torch.eye(4)]
        >>> DINO(dim=4)(views, views)
        tensor(0.0001)
    """

    compared: ClassVar[int | None] = 0

    def __init__(
        self,
        *,
        dim: int,
        temperature: float = 0.1,
        teacher_temperature: float = 0.04,
        momentum: float = 0.9,
        reduction: Reduction = "mean",
        gather: bool = True,
    ) -> None:
        super().__init__(reduction=reduction, gather=gather)
        self.temperature, self.teacher_temperature = temperature, teacher_temperature
        self.centre = Centre(width=dim, momentum=momentum)

    def forward(self, student: Tensor | Sequence[Tensor], teacher: Tensor | Sequence[Tensor]) -> Tensor:
        """Returns the loss: a scalar; with "none" (N,)."""
        teachers = [teacher] if isinstance(teacher, Tensor) else list(teacher)
        # A single tensor of the student is another view than the teacher's: it takes the second place.
        students = [student, student] if isinstance(student, Tensor) else list(student)
        centre = self.centre.mean.clone()  # a copy: the update below must not change what backward reads
        loss = self.reduced(
            lambda: F.dino(
                students,
                [t.detach() for t in teachers],
                centre,
                temperature=self.temperature,
                teacher_temperature=self.teacher_temperature,
            )
        )
        if self.training:
            self.centre.update(torch.stack([t.detach() for t in teachers]), Ranks(alone=not self.gather))
        return loss
