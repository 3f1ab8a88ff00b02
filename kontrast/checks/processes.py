"""W processes = 1 process: a loss in a whole training step, on several ranks with uneven batches against on one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD, Optimizer

from kontrast.checks.results import Broken, near
from kontrast.core import factory
from kontrast.core.embeddings import Embeddings, Keys, LossTerm
from kontrast.core.ranks import RankFailed, Ranks, on_ranks
from kontrast.data.dataset.reader import Batch
from kontrast.layers.prototypes import Prototypes
from kontrast.losses.alignment_loss import AlignmentLoss
from kontrast.losses.clustering_loss import ClusteringLoss
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.engine.tile_weights import TILE
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.preference_loss import Answers
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.within_group import WithinGroup
from kontrast.methods.method import Method
from kontrast.training.step import step

# Rows of three steps: uneven on 2 and on 3 ranks; one row on a rank; on the last of 3 ranks none.
BATCHES = (11, 3, 2)
IN, WIDTH = 8, 6
DESCENT = partial(SGD, lr=0.01, momentum=0.9)


@dataclass(frozen=True)
class Trace:
    """What three steps left on a rank: the value of each, the gradients of each, the parameters at the end."""

    values: Tensor
    gradients: Sequence[Mapping[str, Tensor]]
    parameters: Mapping[str, Tensor]


class Trial(Method):
    """A small network without batch norm or dropout, and one loss of any of the four contracts over its two views.

    All parts are there for every loss, a learnable temperature and prototypes too, used or not: as in a method some of
    whose parts a step does not meet.
    """

    def __init__(self, loss: nn.Module, tile: int = TILE) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(IN, 16), nn.Tanh(), nn.Linear(16, WIDTH))
        self.kernel, self.prototypes = Cosine(temperature=1.0, learnable=True), Prototypes(width=WIDTH, prototypes=5)
        self.loss, self.tile = loss, tile

    def draws(self) -> dict[str, str]:
        """One field, drawn twice."""
        return {"1": "x", "2": "x"}

    def forward(self, views: Mapping[str, Tensor], keys: Keys) -> dict[str, Tensor]:
        """Both views through the network."""
        return {name: self.net(x) for name, x in views.items()}

    def compare(self, rows: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """The loss as its contract is called."""
        one, two = rows.values()
        loss = self.loss
        if isinstance(loss, ContrastiveLoss):
            ours, everyone = Embeddings.stack(one, two), Embeddings.stack(*ranks.gather(rows).values())
            relations = {
                "sample": SameKey("id") & ExcludeDuplicates("content x"),
                "label": SameKey("label") & WithinGroup("group"),
            }
            return {
                name: contrast(ours, everyone, relation, loss=loss, kernel=self.kernel, tile=self.tile)
                for name, relation in relations.items()
            }
        if isinstance(loss, AlignmentLoss):
            return {"pairs": loss(*(ranks.gather(rows).values() if loss.whole else (one, two)))}
        if isinstance(loss, ClusteringLoss):
            s, t = self.prototypes(one.z), self.prototypes(two.z)
            targets = loss.targets(s.detach(), ranks), loss.targets(t.detach(), ranks)
            return {"1>2": 0.5 * loss(t, targets[0]), "2>1": 0.5 * loss(s, targets[1])}
        reference, length = one.keys["soft"], one.keys["score"] + 3
        sides = (Answers(r.z.sum(1), reference[:, k], length + 2 * k) for k, r in enumerate((one, two)))
        return {"preference": loss(*sides)}

    def embed(self, field: str, x: Tensor) -> Tensor:
        """What the network gives."""
        return self.net(x)

    def outline(self, rows: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """The two views."""
        one, two = rows.values()
        return [(one, two)]


def batch_of(n: int, seed: int) -> Batch:
    """n samples in two views, in float64, with all the keys a relation or a loss may ask for."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, IN, generator=g, dtype=torch.float64)
    views = {k: x + 0.5 * torch.randn(n, IN, generator=g, dtype=torch.float64) for k in ("1", "2")}
    ids = torch.arange(n)
    keys = {"id": ids, "label": ids % 4, "group": ids % 2, "score": ids * 7 % 5, "has x": ids >= 0}
    return Batch(
        views,
        {
            **keys,
            "content x": torch.where(ids == 2, 1, ids),
            "soft": torch.rand(n, 3, generator=g, dtype=torch.float64),
        },
    )


def trace(
    ranks: Ranks,
    method: Method,
    batches: Sequence[Batch],
    *,
    encode: nn.Module | None = None,
    optimiser: Callable[..., Optimizer] = DESCENT,
    passes: int | None = None,
) -> Trace:
    """A training step a batch, each on this rank's part of it. encode: the method as wrapped for several ranks; DDP
    around it if nothing is given."""
    encode = encode or (DistributedDataParallel(method) if ranks.world > 1 else method)
    no_sync = encode.no_sync if isinstance(encode, DistributedDataParallel) else nullcontext
    learned = {name: p for name, p in method.named_parameters() if p.requires_grad}
    moving = optimiser(learned.values())
    values, gradients = [], []
    for n, batch in enumerate(batches):
        part = batch[slice(*(len(batch) * (ranks.rank + k) // ranks.world for k in (0, 1)))]
        moving.zero_grad()
        outcome = step(method, encode, part, ranks, seed=n, passes=passes, no_sync=no_sync)
        values.append(outcome.loss)
        gradients.append({name: p.grad.clone() for name, p in learned.items() if p.grad is not None})
        moving.step()
        method.after_update(outcome.rows, ranks)
    found = {name: p.detach().clone() for name, p in learned.items()}
    return Trace(torch.tensor(values, dtype=torch.float64), gradients, found)


def trace_losses(ranks: Ranks, losses: Mapping[str, Mapping[str, Any]]) -> dict[str, Trace]:
    """A trace of every loss, by name, each with its settings. What one does on W ranks, W in one process group."""
    found = {}
    for name, settings in losses.items():
        with doubles():
            trial = Trial(factory.build("losses", name, settings).double())
            found[name] = trace(ranks, trial, [batch_of(n, seed) for seed, n in enumerate(BATCHES)])
    return found


def same(one: Trace, many: Sequence[Trace], *, relative: float = 1e-9, absolute: float = 1e-10) -> None:
    """Refuse the traces of W ranks that are not the trace of one, in words: what, in which step, on which rank."""
    how = {"relative": relative, "absolute": absolute}
    for rank, trace in enumerate(many):
        on = f"on rank {rank} of {len(many)}"
        for n, (value, wanted) in enumerate(zip(trace.values, one.values, strict=True)):
            near(f"step {n + 1}, {on}: the value", [value], [wanted], **how)
            for name, gradient in one.gradients[n].items():
                near(f"step {n + 1}, {on}: the gradient of {name}", [trace.gradients[n][name]], [gradient], **how)
        for name, wanted in one.parameters.items():
            near(f"after {len(one.values)} steps, {on}: {name}", [trace.parameters[name]], [wanted], **how)


def equal_to_one(name: str, settings: Mapping[str, Any], world: int, *, timeout: float = 300.0) -> str:
    """The property of `world` processes, for one loss; slow, for every process imports torch."""
    losses = {name: settings}
    one = trace_losses(Ranks(alone=True), losses)[name]
    try:
        many = on_ranks(trace_losses, world, losses, timeout=timeout)
    except RankFailed as failed:
        raise Broken(str(failed).split("\n", 1)[0]) from failed
    same(one, [traces[name] for traces in many])
    parts = "; ".join("+".join(str(n * (k + 1) // world - n * k // world) for k in range(world)) for n in BATCHES)
    return f"value, gradients and parameters of {len(BATCHES)} steps; rows a rank {parts}"


@contextmanager
def doubles() -> Iterator[None]:
    """New tensors are float64 and random numbers begin at 0; afterwards everything is as it was."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield
    finally:
        torch.set_default_dtype(before)
