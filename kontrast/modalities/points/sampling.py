"""The points of a view: their choice, and the unit sphere around them.

Axis letters: B rows, C channels, N points of a batch, P points of a view.
"""

import torch
from torch import Tensor

from kontrast.core import random_streams

DIMENSIONS = 3


def there(batch: Tensor) -> Tensor:
    """Which points exist, (B, N); NaN marks the others, after the end of a cloud."""
    return ~batch[:, 0].isnan()


def first(batch: Tensor, number: int, start: int = 0) -> Tensor:
    """Successive points of each cloud, which are stored in random order: (B, C, number).

    A cloud with fewer points gives them repeatedly.

    Args:
        batch: (B, C, N), NaN after the end of a cloud.
        number: Points of each.
        start: The first of them.
    """
    count_B = there(batch).sum(1).clamp_min(1)
    at = (torch.arange(start, start + number, device=batch.device) % count_B[:, None])[:, None]
    return batch.gather(2, at.expand(-1, batch.shape[1], -1))


def drawn(batch: Tensor, key_B: Tensor, number: int, share_B: Tensor, *, sliced: bool = False) -> Tensor:
    """Points drawn from a part of each cloud, without replacement as far as there are enough: (B, C, number).

    Args:
        batch: (B, C, N), NaN after the end of a cloud.
        key_B: (B,) int64, a random stream per row.
        number: Points of each.
        share_B: (B,) share of the points that the part holds.
        sliced: Whether the part lies on one side of a plane; otherwise it is what is nearest to a random point.
    """
    at = places(batch, key_B, number, share_B, sliced=sliced)
    return batch.gather(2, at[:, None].expand(-1, batch.shape[1], -1))


def places(batch: Tensor, key_B: Tensor, number: int, share_B: Tensor, *, sliced: bool = False) -> Tensor:
    """Places of the points that `drawn` gives, (B, number) int64; arguments are the same."""
    exists = there(batch)
    count_B = exists.sum(1)
    kept_B = (share_B.to(batch.device) * count_B).ceil().long().clamp_min(1)
    inside = exists
    if bool((kept_B < count_B).any()):
        far = _along(batch, key_B) if sliced else _distance(batch, key_B, count_B)
        inside = far.masked_fill(~exists, torch.inf).argsort(dim=1, stable=True).argsort(dim=1) < kept_B[:, None]
    order = random_streams.uniform(random_streams.fork(key_B, 1), batch.shape[2]).to(batch.device)
    at = order.masked_fill(~inside, 2.0).argsort(dim=1, stable=True)
    nth = torch.arange(number, device=batch.device) % kept_B.clamp_min(1)[:, None]
    return at.gather(1, nth)


def on_sphere(x: Tensor) -> Tensor:
    """Coordinates around their mean with the farthest point at distance 1; other channels stay.

    Args:
        x: (B, C, P), coordinates first, all of which exist.
    """
    places, rest = x[:, :DIMENSIONS], x[:, DIMENSIONS:]
    places = places - places.mean(2, keepdim=True)
    radius = places.square().sum(1, keepdim=True).amax(2, keepdim=True).sqrt()
    return torch.cat([places / radius.clamp_min(1e-12), rest], 1)


def _distance(batch: Tensor, key_B: Tensor, count_B: Tensor) -> Tensor:
    """Squared distance of each point to a random one of its cloud, (B, N)."""
    u_B = random_streams.uniform(key_B, 1)[:, 0].to(batch.device)
    at_B = (u_B * count_B).long().clamp_max(batch.shape[2] - 1)
    middle = batch[:, :DIMENSIONS].gather(2, at_B[:, None, None].expand(-1, DIMENSIONS, 1))
    return (batch[:, :DIMENSIONS] - middle).square().sum(1)


def _along(batch: Tensor, key_B: Tensor) -> Tensor:
    """Place of each point along a random direction, (B, N)."""
    towards = random_streams.normal(key_B, DIMENSIONS).to(batch.device)
    return (batch[:, :DIMENSIONS] * towards[..., None]).sum(1)
