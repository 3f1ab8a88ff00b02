"""Gradients of several tasks with respect to shared parameters, one backward pass per task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor, nn

from kontrast.core.embeddings import exact
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.core.shards import sharded
from kontrast.tasks.aggregators.aggregator import Aggregator
from kontrast.training.learner import Learner

CHUNK = 1 << 20  # numbers per task that are summed in float64 at once


@dataclass(frozen=True)
class TaskGradients:
    """Gradients of the tasks of a step, averaged over ranks.

    Attributes:
        tasks: Names of the T tasks.
        shared: Parameters that several tasks train.
        rows: (T, N) gradient of each task with respect to all shared parameters.
        own: Parameters that belong to one task, with its plain gradient.
        gramian: (T, T) inner products of `rows`, summed in float64, on the CPU.
    """

    tasks: tuple[str, ...]
    shared: Sequence[nn.Parameter]
    rows: Tensor
    own: Sequence[tuple[nn.Parameter, Tensor]]
    gramian: Tensor

    @property
    def norms(self) -> dict[str, float]:
        """Task -> norm of its gradient with respect to the shared parameters."""
        return dict(zip(self.tasks, self.gramian.diagonal().sqrt().tolist(), strict=True))

    @property
    def cosines(self) -> dict[str, float]:
        """Pair of tasks, as "one/other" -> cosine of their gradients; below 0 they conflict. 0 if a gradient is."""
        norms = self.gramian.diagonal().sqrt().clamp_min(torch.finfo(torch.float64).tiny)
        cosines = (self.gramian / norms / norms[:, None]).tolist()
        pairs = combinations(range(len(self.tasks)), 2)
        return {f"{self.tasks[i]}/{self.tasks[j]}": cosines[i][j] for i, j in pairs}

    def weights(self, aggregator: Aggregator, seed: int) -> Tensor:
        """Weights that an aggregator gives the tasks, (T,); NaN if a gradient is not finite.

        Args:
            aggregator: Combines gradients.
            seed: Seed of the step, equal on all ranks.
        """
        if not self.gramian.isfinite().all():  # solvers fail on such a Gramian; the loop reports the gradient
            return torch.full_like(self.gramian[0], torch.nan)
        return aggregator.aggregate(self.gramian, seed)

    def assign(self, weights: Tensor) -> None:
        """Leaves the final gradient in every parameter.

        Shared parameters get the weighted sum over tasks. A task's own parameters get its plain gradient, as with
        torchjd: no other task has a part in them, and a small weight must not slow them.

        Args:
            weights: (T,) weights of the tasks.
        """
        joint = torch.zeros_like(self.rows[0])
        for row, weight in zip(self.rows, weights.tolist(), strict=True):
            joint.add_(row, alpha=weight)
        for p, part in zip(self.shared, joint.split([p.numel() for p in self.shared]), strict=True):
            p.grad = _laid_out(part, p)
        summed: dict[nn.Parameter, Tensor] = {}
        for p, part in self.own:
            summed[p] = summed[p] + part if p in summed else part
        for p, part in summed.items():
            p.grad = _laid_out(part, p)


def task_gradients(
    starts: Mapping[str, Sequence[tuple[Tensor, Tensor]]],
    shared: Sequence[nn.Parameter],
    own: Mapping[str, Sequence[nn.Parameter]],
    ranks: Ranks,
    *,
    keep: bool = False,
) -> TaskGradients:
    """Computes the gradient of each task with one backward pass per task, and averages it over ranks.

    The average comes before any aggregation, which is not linear; heads are averaged in the same exchange. Nothing is
    left in `.grad`, and the hooks of DDP do not run, so that no gradient is averaged twice.

    Args:
        starts: Task -> tensors to go back from, each with its gradient: the loss with 1, or embeddings with the
            gradient that the loss gave them. Several tasks may start from one graph. All ranks name the same tasks in
            the same order, and the same tensors.
        shared: Parameters that several tasks train.
        own: Task -> parameters that it alone trains. One that several tasks name gets the sum.
        ranks: Rank and number of processes.
        keep: Whether the graph stays for another backward pass. Default: False.

    Returns:
        The gradients. They take T copies of the shared gradient, and one more while it is computed.
    """
    names = tuple(starts)
    width = sum(p.numel() for p in shared)
    like = shared[0] if shared else next((t for pairs in starts.values() for t, _ in pairs))
    rows = like.new_empty((len(names), width)).detach()
    plain: list[tuple[nn.Parameter, Tensor]] = []
    for k, name in enumerate(names):
        wanted = [*shared, *own.get(name, ())]
        flat = _gradient(starts[name], wanted, keep=keep or k < len(names) - 1)
        flat = ranks.sum(flat) / ranks.world
        rows[k] = flat[:width]
        heads = flat[width:].split([p.numel() for p in wanted[len(shared) :]])
        plain += zip(wanted[len(shared) :], (part.clone() for part in heads), strict=True)
    return TaskGradients(names, shared, rows, plain, _gramian(rows))


def of_tasks(
    learner: Learner,
    losses: Mapping[str, Tensor],
    outputs: Mapping[tuple[str, str], Tensor],
    leaves: Mapping[tuple[str, str], Tensor],
    ranks: Ranks,
    *,
    keep: bool = False,
) -> TaskGradients:
    """Gradient of each task of a learner, whose graph is cut at the outputs of the tasks.

    Args:
        learner: Encoders and tasks.
        losses: Task -> this rank's scaled loss of `leaves`; a task without an anchor is left out, on all ranks.
        outputs: (Task, name) -> output, with the graph of encoders and heads.
        leaves: (Task, name) -> the same numbers, from which the losses were computed.
        ranks: Rank and number of processes.
        keep: Whether both graphs stay for another backward pass. Default: False.
    """
    shared, own = owners(learner)
    starts: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for k, (task, loss) in enumerate(losses.items()):
        mine = [name for name in leaves if name[0] == task]
        wanted = [*(leaves[name] for name in mine), *shared, *own[task]]
        slopes = torch.autograd.grad(loss, wanted, retain_graph=keep or k < len(losses) - 1, allow_unused=True)
        # Outputs without a gradient get zeros: backward has collectives, which no rank may leave out.
        pairs = [
            (outputs[n], torch.zeros_like(leaves[n]) if d is None else d) for n, d in zip(mine, slopes, strict=False)
        ]
        direct = zip(wanted[len(mine) :], slopes[len(mine) :], strict=True)
        starts[task] = [*pairs, *((p, d) for p, d in direct if d is not None)]
    return task_gradients(starts, shared, {task: own[task] for task in losses}, ranks, keep=keep)


def owners(learner: Learner) -> tuple[list[nn.Parameter], dict[str, list[nn.Parameter]]]:
    """Trained parameters of the encoders that several tasks read, and those that each task trains alone.

    An encoder that a single task reads is its own, as its head is.
    """
    encoders, readers = learner.encoders, dict[str, set[str]]()
    for task, names in learner.names.items():
        fields = {learner.drawn[learner.groups[task]][drawn].field for drawn in names.values()}
        for field in fields:
            readers.setdefault(encoders.network_of[field], set()).add(task)
    modules: dict[str, list[nn.Module]] = {name: [task] for name, task in learner.tasks.items()}
    common: list[nn.Module] = []
    for key, tasks in readers.items():
        (common if len(tasks) > 1 else modules[next(iter(tasks))]).append(encoders.networks[key])
    shared = list(dict.fromkeys(p for module in common for p in module.parameters() if p.requires_grad))
    taken = set(shared)
    own = {
        name: [p for module in some for p in module.parameters() if p.requires_grad and p not in taken]
        for name, some in modules.items()
    }
    return shared, own


def words(terms: Mapping[str, float], norms: Mapping[str, float], cosines: Mapping[str, float]) -> str:
    """Terms of the loss, norms and cosines of the tasks' gradients, for the first screen."""
    parts = (
        ("loss", [f"{term} {value:.3g}" for term, value in terms.items()]),
        ("gradient", [f"{task} {norm:.3g}" for task, norm in norms.items()]),
        ("cosine", [f"{pair} {cosine:+.2f}" for pair, cosine in cosines.items()]),
    )
    return "   ".join(f"{name} {' · '.join(said)}" for name, said in parts if said)


def copies(learner: Learner, passes: int | None) -> int:
    """Bytes that the gradients of a learner's tasks take beside the usual ones; 0 if they are not measured."""
    if not measurable(learner, passes):
        return 0
    return len(learner.tasks) * sum(p.numel() * p.element_size() for p in owners(learner)[0])


def measurable(learner: Learner, passes: int | None) -> bool:
    """Whether there are several tasks, and their gradients are computed in one piece."""
    return len(learner.tasks) > 1 and passes is None and not any(map(sharded, learner.parameters()))


def needs_each(learner: Learner) -> bool:
    """Whether the learner's aggregator needs the gradient of each task on its own."""
    return isinstance(learner.aggregator, Aggregator) and learner.aggregator.jacobian


def refuse(learner: Learner, *, passes: int | None, splits: bool) -> None:
    """Refuses an aggregator of gradients where they are not computed in one piece.

    Args:
        learner: Encoders, tasks and their aggregator.
        passes: Rows per pass; None for all at once.
        splits: Whether each process holds only a part of the encoders' parameters (fsdp).

    Raises:
        UserError: The aggregator combines gradients, and the run uses passes or fsdp.
    """
    found = "--strategy fsdp" if splits else "" if passes is None else f"plan.passes={passes}"
    if found and needs_each(learner):
        raise UserError(
            f"aggregator '{type(learner.aggregator).__name__.lower()}' needs the whole gradient of each task at once, "
            f"which {found} does not give; leave that out, or take the aggregator weighted or uncertainty."
        )


def _gradient(starts: Sequence[tuple[Tensor, Tensor]], wanted: Sequence[nn.Parameter], *, keep: bool) -> Tensor:
    """Gradient of one task with respect to some parameters, as one vector; 0 where it has no part."""
    pairs = [(t, d) for t, d in starts if t.requires_grad]
    found: Sequence[Tensor | None] = [None] * len(wanted)
    if pairs and wanted:
        tensors, slopes = zip(*pairs, strict=True)
        found = torch.autograd.grad(tensors, wanted, slopes, retain_graph=keep, allow_unused=True)
    parts = [torch.zeros_like(p) if d is None else d for p, d in zip(wanted, found, strict=True)]
    return torch.cat([part.detach().flatten() for part in parts])


def _gramian(rows: Tensor) -> Tensor:
    """Inner products of rows, in float64 where the device has it, one chunk of columns after the other."""
    total = exact(rows.new_zeros((len(rows), len(rows))))
    for chunk in rows.split(CHUNK, dim=1):
        part = exact(chunk)
        total += part @ part.T
    return total.cpu().double()


def _laid_out(flat: Tensor, p: nn.Parameter) -> Tensor:
    """Part of a flat gradient in the shape and memory layout of its parameter, as optimisers expect it."""
    return torch.empty_like(p).detach().copy_(flat.view_as(p))
