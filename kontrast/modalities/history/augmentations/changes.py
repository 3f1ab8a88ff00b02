"""Changes of sequences of items for whole batches: crop, mask and reorder, each row by its own key.

Axis letters: B rows, L items of a row; -1 is after the end.
"""

import torch
from torch import Tensor

from kontrast.core import random_streams

END = -1


def cropped(x: Tensor, key_B: Tensor, share: float) -> Tensor:
    """A random span of this share of each row, at least one item; the shape stays.

    Example:
        >>> cropped(torch.tensor([[5, 6, 7, 8]]), torch.tensor([3]), 0.5).tolist()
        [[5, 6, -1, -1]]
    """
    n_B1 = (x >= 0).sum(1, keepdim=True)
    kept_B1 = (share * n_B1).ceil().long().clamp_min(1)
    start_B1 = (random_streams.uniform(key_B, 1) * (n_B1 - kept_B1 + 1)).long()
    at = torch.arange(x.shape[1], device=x.device)
    found = x.gather(1, (start_B1 + at).clamp_max(x.shape[1] - 1))
    return found.masked_fill(at >= kept_B1, END)


def masked(x: Tensor, key_B: Tensor, share: float, token: int) -> Tensor:
    """A random share of each row's items, rounded down, replaced by a token."""
    there = x >= 0
    u = random_streams.uniform(key_B, x.shape[1]).masked_fill(~there, 2.0)
    chosen = u.argsort(1).argsort(1) < (share * there.sum(1, keepdim=True)).floor()
    return x.masked_fill(chosen & there, token)


def reordered(x: Tensor, key_B: Tensor, share: float) -> Tensor:
    """A random span of this share of each row, rounded down, in random order."""
    n_B1 = (x >= 0).sum(1, keepdim=True)
    span_B1 = (share * n_B1).long()
    u = random_streams.uniform(key_B, x.shape[1] + 1)
    start_B1 = (u[:, -1:] * (n_B1 - span_B1 + 1)).long()
    at = torch.arange(x.shape[1], device=x.device).expand_as(x)
    inside = (at >= start_B1) & (at < start_B1 + span_B1)
    order = torch.where(inside, start_B1 + u[:, :-1].double() * span_B1, at.double())
    return x.gather(1, order.argsort(dim=1, stable=True))


def last(x: Tensor, most: int, left_out: int = 0) -> Tensor:
    """The last `most` items of each row without the very last `left_out`, -1 after them; empty columns are dropped.

    A row keeps its first item in any case.
    """
    end_B1 = ((x >= 0).sum(1, keepdim=True) - left_out).clamp_min(1)
    start_B1 = (end_B1 - most).clamp_min(0)
    width = min(most, int(end_B1.amax())) if len(x) else 1
    at = start_B1 + torch.arange(width, device=x.device)
    return x.gather(1, at.clamp_max(x.shape[1] - 1)).masked_fill(at >= end_B1, END)


def trimmed(x: Tensor) -> Tensor:
    """The batch without columns that lie after the end of all rows; one column stays."""
    return x[:, : max(1, int((x >= 0).sum(1).amax()))] if len(x) else x[:, :1]
