"""Matryoshka: applies a loss to prefixes of the embeddings, so that they can be truncated."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from kontrast.core.errors import UserError
from kontrast.losses.loss_module import LossModule


class Matryoshka(LossModule):
    """Matryoshka: applies a loss to prefixes of the embeddings, so that they can be truncated.

    Wraps any loss of `kt.losses` whose parameters do not depend on the embeddings' width.

    Args:
        loss: The loss, called once per width.
        dims: Widths, usually including the full one.
        weights: Weight of each width; None (default): 1 each.

    Shape:
        The inputs of the loss; its embeddings (N, D), D at least the largest width.

    Raises:
        UserError: no width, not one weight per width, a loss without embeddings, or embeddings narrower than the
            largest width.

    Equation:
        L = sum_d weight_d loss(z[:, :d]).

    Reference:
        Kusupati et al. 2022, arXiv:2205.13147.

    Example:
        >>> from kontrast.losses.modules.ntxent import NTXent
        >>> z = torch.eye(4)
        >>> whole, nested = NTXent()(z, z), Matryoshka(NTXent(), dims=(4, 4), weights=(1.0, 0.5))(z, z)
        >>> bool(torch.isclose(nested, 1.5 * whole))
        True
    """

    compared: ClassVar[int | None] = None

    def __init__(self, loss: LossModule, dims: Sequence[int], weights: Sequence[float] | None = None) -> None:
        super().__init__(reduction=loss.reduction, gather=loss.gather)
        weights = (1.0,) * len(dims) if weights is None else weights
        if not len(dims) or min(dims) < 1 or len(weights) != len(dims):
            raise UserError(
                f"Matryoshka: dims={tuple(dims)}, weights={tuple(weights)}; expected one width or more, each "
                "at least 1, and one weight per width."
            )
        if loss.compared == 0:
            raise UserError(
                f"Matryoshka: {type(loss).__name__} compares no embeddings, so it has no width; expected a loss of "
                "embeddings."
            )
        self.loss, self.dims, self.weights = loss, tuple(dims), tuple(weights)

    def forward(self, *inputs: Any) -> Tensor:
        """Returns the weighted sum of the losses of all widths."""
        n = len(inputs) if self.loss.compared is None else self.loss.compared
        for z in inputs[:n]:
            if not isinstance(z, Tensor) or z.shape[-1] < max(self.dims):
                found = tuple(z.shape) if isinstance(z, Tensor) else type(z).__name__
                raise UserError(
                    f"Matryoshka: embeddings {found} for widths {self.dims}; expected at least the largest of them."
                )
        parts = [
            weight * self.loss(*(z[..., :d] for z in inputs[:n]), *inputs[n:])
            for d, weight in zip(self.dims, self.weights, strict=True)
        ]
        return torch.stack(parts).sum(0)
