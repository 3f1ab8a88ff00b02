"""Comparison of a training step on W processes, with uneven batches, with one process."""

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
from kontrast.core.clock import Clock
from kontrast.core.embeddings import Embeddings, LossTerm
from kontrast.core.ranks import RankFailed, Ranks, on_ranks
from kontrast.data.view import Batch, View, ViewSpec
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import EncodedViews, Encoders
from kontrast.layers.prototypes import Prototypes
from kontrast.losses.alignment_loss import AlignmentLoss
from kontrast.losses.clustering_loss import ClusteringLoss
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.preference_loss import Answers
from kontrast.losses.relations.exclude_duplicates import ExcludeDuplicates
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.within_group import WithinGroup
from kontrast.losses.tile_weights import TILE
from kontrast.tasks.task import Output, Task
from kontrast.training.learner import Learner
from kontrast.training.step import step

# Rows of three steps: uneven on 2 and 3 ranks; a rank with one row; one of 3 ranks without rows.
BATCHES = (11, 3, 2)
IN, WIDTH, MAIN = 8, 6, "contrast"
DESCENT = partial(SGD, lr=0.01, momentum=0.9)


@dataclass(frozen=True)
class Trace:
    """Results of the training steps on one rank.

    Attributes:
        values: Loss of each step.
        gradients: Gradients of each step, by parameter.
        parameters: Parameters after the last step.
    """

    values: Tensor
    gradients: Sequence[Mapping[str, Tensor]]
    parameters: Mapping[str, Tensor]


class Trial(Task):
    """A small task for any loss: a network of its own without batch norm or dropout.

    A learnable temperature and prototypes are always there, used or not, as in a task that does not use all its parts
    in each step.

    Args:
        loss: A loss of any contract.
        tile: Most numbers per tile of a contrastive loss.
    """

    def __init__(self, loss: nn.Module, tile: int = TILE) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(IN, 16), nn.Tanh(), nn.Linear(16, WIDTH))
        self.kernel, self.prototypes = Cosine(temperature=1.0, learnable=True), Prototypes(width=WIDTH, prototypes=5)
        self.loss, self.tile = loss, tile

    def views(self) -> dict[str, ViewSpec]:
        """One field, drawn twice."""
        return {"1": ViewSpec("x"), "2": ViewSpec("x")}

    def forward(self, encoders: EncodedViews, batch: Batch) -> dict[str, Output]:
        """The network's output for both views."""
        return {name: Output(self.net(view.data), name) for name, view in batch.views.items()}

    def compute_loss(self, out: Mapping[str, Embeddings], ranks: Ranks) -> dict[str, LossTerm]:
        """Terms of the loss, called as its contract demands."""
        one, two = out.values()
        loss = self.loss
        if isinstance(loss, ContrastiveLoss):
            ours, everyone = Embeddings.stack(one, two), Embeddings.stack(*ranks.gather(out).values())
            relations = {
                "sample": SameKey("id") & ExcludeDuplicates("content x"),
                "label": SameKey("label") & WithinGroup("group"),
            }
            return {
                name: contrast(ours, everyone, relation, loss=loss, kernel=self.kernel, tile=self.tile)
                for name, relation in relations.items()
            }
        if isinstance(loss, AlignmentLoss):
            return {"pairs": loss(*(ranks.gather(out).values() if loss.whole else (one, two)))}
        if isinstance(loss, ClusteringLoss):
            s, t = self.prototypes(one.z), self.prototypes(two.z)
            targets = loss.targets(s.detach(), ranks), loss.targets(t.detach(), ranks)
            return {"1>2": 0.5 * loss(t, targets[0]), "2>1": 0.5 * loss(s, targets[1])}
        reference, length = one.keys["soft"], one.keys["score"] + 3
        sides = (Answers(r.z.sum(1), reference[:, k], length + 2 * k) for k, r in enumerate((one, two)))
        return {"preference": loss(*sides)}

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """The two views."""
        one, two = out.values()
        return [(one, two)]


def batch_of(n: int, seed: int) -> Batch:
    """A batch of n samples in two float64 views, with all keys."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, IN, generator=g, dtype=torch.float64)
    views = {
        f"{MAIN}/{k}": View("x", x + 0.5 * torch.randn(n, IN, generator=g, dtype=torch.float64)) for k in ("1", "2")
    }
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


def single_task(task: Task, encoders: Encoders | None = None) -> Learner:
    """A learner of one task; without encoders if the task has a network of its own."""
    return Learner(encoders or Encoders({}, {}, EncoderInfo({})), {MAIN: task}, MAIN)


def trace(
    ranks: Ranks,
    learner: Learner,
    batches: Sequence[Batch],
    *,
    encode: nn.Module | None = None,
    optimiser: Callable[..., Optimizer] = DESCENT,
    passes: int | None = None,
) -> Trace:
    """One training step per batch, each on this rank's part of it.

    Args:
        ranks: This rank and the others.
        learner: Encoders and tasks to train.
        batches: The batches of all ranks together.
        encode: The learner as wrapped for several ranks; None: DDP.
        optimiser: Builds the optimiser from the parameters.
        passes: Passes of gradient caching; None: chosen by the step.
    """
    encode = encode or (DistributedDataParallel(learner) if ranks.world > 1 else learner)
    no_sync = encode.no_sync if isinstance(encode, DistributedDataParallel) else nullcontext
    learned = {name: p for name, p in learner.named_parameters() if p.requires_grad}
    moving = optimiser(learned.values())
    values, gradients = [], []
    for n, batch in enumerate(batches):
        part = batch[slice(*(len(batch) * (ranks.rank + k) // ranks.world for k in (0, 1)))]
        moving.zero_grad()
        learner.begin(Clock(n, n / len(batches)))
        outcome = step(learner, encode, {"": part}, ranks, seed=n, passes=passes, no_sync=no_sync)
        values.append(outcome.loss)
        gradients.append({name: p.grad.clone() for name, p in learned.items() if p.grad is not None})
        moving.step()
        learner.after_update(outcome.rows, ranks)
    found = {name: p.detach().clone() for name, p in learned.items()}
    return Trace(torch.tensor(values, dtype=torch.float64), gradients, found)


def trace_losses(ranks: Ranks, losses: Mapping[str, Mapping[str, Any]]) -> dict[str, Trace]:
    """A trace of each loss by name, with its settings, in one process group."""
    found = {}
    for name, settings in losses.items():
        with doubles():
            trial = single_task(Trial(factory.build("losses", name, settings))).double()
            found[name] = trace(ranks, trial, [batch_of(n, seed) for seed, n in enumerate(BATCHES)])
    return found


def same(one: Trace, many: Sequence[Trace], *, relative: float = 1e-9, absolute: float = 1e-10) -> None:
    """Raises `Broken` if the traces of W ranks differ from the trace of one process.

    The message says what differs, in which step and on which rank.
    """
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
    """Checks one loss on `world` processes; slow, since every process imports torch.

    Raises:
        Broken: a rank failed, or differs from one process.
    """
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
    """Makes new tensors float64 and seeds random numbers with 0 inside the block."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield
    finally:
        torch.set_default_dtype(before)
