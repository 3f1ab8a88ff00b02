"""How the points of a cloud spread over a grid: features without learning."""

import torch
from torch import Tensor

from kontrast.modalities.points.sampling import DIMENSIONS, there


def occupancy(batch: Tensor, side: int) -> Tensor:
    """Square root of the share of points in each cell of a grid around the cloud: (B, side^3).

    The grid is the smallest cube with the middle of the cloud that holds it. The root lets cells with few points count.

    Args:
        batch: (B, C, N), coordinates first, NaN after the end of a cloud.
        side: Cells along each axis.
    """
    exists = there(batch)
    places = batch[:, :DIMENSIONS].masked_fill(~exists[:, None], torch.nan).double()
    low = places.nan_to_num(torch.inf).amin(2, keepdim=True)
    high = places.nan_to_num(-torch.inf).amax(2, keepdim=True)
    half = (high - low).amax(1, keepdim=True) / 2
    inside = (places.nan_to_num(0.0) - (low + high) / 2) / half.clamp_min(1e-12)
    cell = ((inside + 1) / 2 * side).floor().clamp(0, side - 1).long()
    number = (cell[:, 0] * side + cell[:, 1]) * side + cell[:, 2]
    counts = torch.zeros(len(batch), side**DIMENSIONS, device=batch.device, dtype=torch.float64)
    counts.scatter_add_(1, number, exists.double())
    return (counts / exists.sum(1, keepdim=True).clamp_min(1)).sqrt().float()
