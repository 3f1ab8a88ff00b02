"""Ranks: the only file that knows torch.distributed. With one process, nothing happens."""

import itertools
from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from kontrast.core.rows import Mean, Rows


class Ranks:
    """What a step may ask of the other ranks; W processes compute exactly what one would, uneven batches included."""

    def __init__(self) -> None:
        self.world = dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
        self.rank = dist.get_rank() if self.world > 1 else 0

    def gather(self, rows: Mapping[str, Rows]) -> dict[str, Rows]:
        """Everyone's rows with their keys, gradient included: each rank's part of the loss sends its share back to the
        rank that owns the row."""
        if self.world == 1:
            return dict(rows)
        whole = iter(_Everyone.apply(*(t for r in rows.values() for t in (r.z, *r.keys.values()))))
        return {name: Rows(next(whole), {key: next(whole) for key in r.keys}) for name, r in rows.items()}

    def sum(self, x: Tensor) -> Tensor:
        """Over ranks, without gradient."""
        if self.world > 1:
            dist.all_reduce(x := x.clone())
        return x

    def max(self, x: Tensor) -> Tensor:
        """The largest value on any rank, without gradient; a rank may hold none."""
        x = x.max() if x.numel() else x.new_tensor(-torch.inf)
        if self.world > 1:
            dist.all_reduce(x, op=dist.ReduceOp.MAX)
        return x

    def divide(self, terms: Mapping[str, Mean]) -> tuple[Tensor, dict[str, float]]:
        """This rank's loss, scaled so that DDP's average of gradients is the gradient of the global mean; and the
        global means themselves.

        A term without anchors anywhere (a pair of fields that no row of this batch has) is left out; if all are, that
        is an error.
        """
        sums = torch.stack([torch.stack([t.total.detach().double(), t.count.double()]) for t in terms.values()])
        totals, counts = self.sum(sums).T.tolist()
        here = [(name, t, total, n) for (name, t), total, n in zip(terms.items(), totals, counts, strict=True) if n]
        if not here:
            raise ValueError(
                f"{', '.join(terms)}: no anchor of this batch, on any rank, has a positive. Draw several views, "
                "or several samples, of one key per batch."
            )
        loss = torch.stack([t.weight * self.world * t.total / n for _, t, _, n in here]).sum()
        return loss, {name: total / n for name, _, total, n in here}


class _Everyone(torch.autograd.Function):
    """All tensors of all ranks in one collective, rows in rank order, however many each has; backward adds what every
    rank found, in one more."""

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        widths = [t.new_empty((1, *t.shape[1:])).numel() * t.element_size() for t in tensors]
        device = tensors[0].device
        ours = torch.tensor([len(t) for t in tensors], device=device)
        sizes = [torch.empty_like(ours) for _ in range(dist.get_world_size())]
        dist.all_gather(sizes, ours)
        padded = [
            [-(-int(n) * w // 8) * 8 for n, w in zip(of_rank, widths, strict=True)] for of_rank in sizes
        ]  # whole words, so that views align
        mine = torch.zeros(max(map(sum, padded)), dtype=torch.uint8, device=device)
        for t, start in zip(tensors, itertools.accumulate(padded[dist.get_rank()], initial=0), strict=False):
            mine[start : start + t.numel() * t.element_size()] = t.contiguous().view(-1).view(torch.uint8)
        theirs = [torch.empty_like(mine) for _ in sizes]
        dist.all_gather(theirs, mine)
        out: list[list[Tensor]] = [[] for _ in tensors]
        for of_rank, pads, buffer in zip(sizes, padded, theirs, strict=True):
            for k, start in enumerate(itertools.accumulate(pads[:-1], initial=0)):
                n = int(of_rank[k])
                out[k].append(
                    buffer[start : start + n * widths[k]].view(tensors[k].dtype).view(n, *tensors[k].shape[1:])
                )
        rank = dist.get_rank()
        ctx.mine = [
            slice(sum(int(s[k]) for s in sizes[:rank]), sum(int(s[k]) for s in sizes[: rank + 1]))
            for k in range(len(tensors))
        ]
        whole = [torch.cat(parts) for parts in out]
        ctx.mark_non_differentiable(*(w for w, t in zip(whole, tensors, strict=True) if not t.requires_grad))
        return tuple(whole)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        wanted = [k for k, needed in enumerate(ctx.needs_input_grad) if needed]
        flat = torch.cat([grads[k].flatten() for k in wanted])
        dist.all_reduce(flat)
        parts = flat.split([grads[k].numel() for k in wanted])
        found = {k: part.view_as(grads[k])[ctx.mine[k]] for k, part in zip(wanted, parts, strict=True)}
        return tuple(found.get(k) for k in range(len(grads)))
