"""The step: encode, compare, send back; whole or in passes, one rank or many."""

import contextlib
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kontrast.core import random_streams
from kontrast.core.embeddings import Embeddings, LossTerm, exact
from kontrast.core.ranks import Ranks
from kontrast.core.shards import sharded
from kontrast.data.dataset.reader import Batch
from kontrast.methods.method import Method


@dataclass(frozen=True)
class Outcome:
    """What a step found: the loss over all ranks, its terms, how much was compared, and the rows themselves.

    chance: the loss of embeddings that know nothing; None where a term has no such value.
    """

    loss: float
    terms: Mapping[str, float]
    anchors: float
    negatives: float
    rows: Mapping[str, Embeddings]
    chance: float | None = None


def step(
    method: Method,
    encode: nn.Module,
    batch: Batch,
    ranks: Ranks,
    *,
    seed: int,
    passes: int | None = None,
    no_sync: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
) -> Outcome:
    """Leave the gradient of the global mean in every parameter; `encode` is the method as DDP wrapped it.

    The graph is always cut at the embeddings: what comes back to them is the same whether the encoder's graph was kept
    (one pass) or is run again (`passes` rows at a time: gradient caching, arXiv:2101.06983).
    """
    cuts = _cuts(batch, passes, ranks)

    def run(k: int) -> dict[str, Tensor]:
        random_streams.sow(seed + k, batch.keys["id"].device)  # dropout falls alike in both runs, and in a resumed one
        return encode(batch[cuts[k]].views, batch[cuts[k]].keys)

    with torch.set_grad_enabled(len(cuts) == 1):
        kept = [run(k) for k in range(len(cuts))]
    leaves = {name: torch.cat([out[name] for out in kept]).detach().requires_grad_() for name in kept[0]}
    with torch.no_grad():
        fixed = method.targets(batch.views, batch.keys)
    view = torch.zeros_like(batch.keys["id"])
    rows = {
        name: Embeddings(z, {**batch.keys, "view": view + 64 * k})
        for k, (name, z) in enumerate({**leaves, **fixed}.items())
    }
    loss, terms = ranks.divide(means := method.compare(rows, ranks))
    own = [p for p in method.parameters() if p.requires_grad and not sharded(p)]
    slopes = torch.autograd.grad(loss, [*leaves.values(), *own], allow_unused=True, materialize_grads=ranks.world > 1)
    back = {n: torch.zeros_like(z) if d is None else d for (n, z), d in zip(leaves.items(), slopes, strict=False)}
    learned = [(p, d) for p, d in zip(own, slopes[len(leaves) :], strict=True) if d is not None]
    for k, cut in enumerate(cuts):
        last = k == len(cuts) - 1
        with contextlib.nullcontext() if last else no_sync():
            out = kept[k] if len(cuts) == 1 else run(k)
            sent = [(z, back[name][cut]) for name, z in out.items() if z.requires_grad]
            # On several ranks every parameter takes part once, used or not: none waits for a modality it did not see.
            sent += learned if last else []
            torch.autograd.backward([z for z, _ in sent], [d for _, d in sent])
    for p in own:  # what nobody used still decays and keeps its momentum, as it would on several ranks
        p.grad = torch.zeros_like(p) if p.grad is None else p.grad
    total = sum(means[name].weight * value for name, value in terms.items())
    sums = ranks.sum(torch.stack([_counted(mean) for mean in means.values()])).tolist()
    anchors, negatives = (sum(part) for part in zip(*(counted[:2] for counted in sums), strict=True))
    level = sum(m.weight * c / n for m, (n, _, c) in zip(means.values(), sums, strict=True) if n)
    kept = {name: r.detach() for name, r in rows.items()}
    return Outcome(total, terms, anchors, negatives, kept, level if math.isfinite(level) else None)


def _counted(mean: LossTerm) -> Tensor:
    """(3,): anchors, pairs that repelled, and the sum of what embeddings that know nothing lose, NaN if unknown."""
    level = torch.nan if mean.chance is None else mean.chance
    parts = (exact(mean.count), _number(mean.negatives, mean.count), _number(level, mean.count))
    return torch.stack([part.to(parts[0].dtype) for part in parts])


def _cuts(batch: Batch, passes: int | None, ranks: Ranks) -> list[slice]:
    """The rows of each pass: as many passes as the rank with most rows needs, for encoders may wait for one another."""
    rows = len(batch)
    if passes is None:
        return [slice(0, rows)]
    most = int(ranks.max(batch.keys["id"].new_full((1,), rows)))
    return [slice(min(k, rows), min(k + passes, rows)) for k in range(0, max(most, 1), passes)]


def _number(n: Tensor | float, like: Tensor) -> Tensor:
    return exact(torch.as_tensor(n, dtype=torch.float32 if isinstance(n, float) else None, device=like.device))
