"""DINO: a student predicts the sharpened, centred outputs of a teacher that is its own running mean."""

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
    """DINO: a student predicts the sharpened, centred outputs of a teacher that is its own running mean.

    The centre is this module's; each call in training mode moves it, after the loss.

    Args:
        dim: Number of outputs; 65,536 in the paper, some hundreds to thousands for small data.
        temperature: Above 0, of the student; 0.1 in the paper.
        teacher_temperature: Above 0; 0.04 in the paper, after a warm-up.
        momentum: Of the centre; 0.9 in the paper.
        reduction: "mean" over samples and pairs of views, "sum" of them, or "none" (the sum of each sample's).
        gather: Centre over the rows of all processes, where torch.distributed runs.

    Shape:
        student and teacher: one tensor (N, dim) each, of different views; or lists of them, one per view, view k of
        both the same one, which does not predict itself.

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
        """(N, dim) each, or a list of them -> a scalar; "none": (N,)."""
        told = [teacher] if isinstance(teacher, Tensor) else list(teacher)
        # Of one tensor each, the student's is another view than the teacher's: it takes the second place.
        said = [student, student] if isinstance(student, Tensor) else list(student)
        centre = self.centre.mean.clone()  # it moves on before the gradient may ask for what it was
        loss = self.reduced(
            lambda: F.dino(
                said,
                [t.detach() for t in told],
                centre,
                temperature=self.temperature,
                teacher_temperature=self.teacher_temperature,
            )
        )
        if self.training:
            self.centre.update(torch.stack([t.detach() for t in told]), Ranks(alone=not self.gather))
        return loss
