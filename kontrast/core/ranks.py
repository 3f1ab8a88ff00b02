"""Exchange between processes that train together.

Only this file, shards.py and training/launcher.py use torch.distributed. With a single process, nothing is exchanged.
"""

import datetime
import faulthandler
import itertools
import math
import multiprocessing
import os
import pickle
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings, LossTerm, exact

_ALONE: ContextVar[bool] = ContextVar("alone", default=False)


@contextmanager
def by_itself() -> Iterator[None]:
    """Makes `Ranks` see a single process inside the context, as `torch.no_grad` does for gradients."""
    before = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(before)


class Ranks:
    """Collective operations of a training step.

    W processes compute exactly what a single one would, also with batches of unequal size.

    Attributes:
        world: Number of processes, W.
        rank: Number of this process, 0 to W - 1.
    """

    def __init__(self, *, alone: bool = False) -> None:
        """Args:
        alone: Whether to ignore other processes, for local trials. Default: False.
        """
        others = dist.is_available() and dist.is_initialized() and not (alone or _ALONE.get())
        self.world = dist.get_world_size() if others else 1
        self.rank = dist.get_rank() if self.world > 1 else 0

    def leave(self) -> None:
        """Ends the exchange with other processes; waits for all of them first."""
        if self.world > 1:
            dist.barrier()
            dist.destroy_process_group()

    def gather(self, rows: Mapping[str, Embeddings]) -> dict[str, Embeddings]:
        """Collects the embeddings of all ranks with their keys, gradient included.

        Each rank's part of the loss sends its gradient back to the rank that owns the row.

        With M rows on all ranks, a rank holds the gathered embeddings (twice while they arrive), later their gradient,
        and a single tile of logits at a time. `contrast` cuts by anchors, so the whole row of candidates of an anchor
        is available, which losses need that rank, mine or sort candidates. A ring, which passes parts of the candidates
        on, would support running sums only. M = 32,768 rows of width 512 take 64 MB, a tile 8 MB, all logits would take
        4 GB.

        Embeddings (B, P, D) may have another number of positions on each rank, as series of other lengths do. They and
        their keys (B, P) are padded with zeros to the most positions; the key `mask`, added if there was none, says
        which positions exist.

        Args:
            rows: Name -> this rank's embeddings; names and keys are the same on all ranks.

        Returns:
            Name -> the embeddings of all ranks, in rank order.

        Raises:
            ValueError: Ranks have another width of embeddings or of a key.
        """
        if self.world == 1:
            return dict(rows)
        tensors = [t for r in rows.values() for t in (r.z, *r.keys.values())]
        sizes = _sizes(tensors)
        whole, at = iter(_Everyone.apply(sizes, *tensors)), 0
        found = {}
        for name, r in rows.items():
            ragged = _ragged(name, r, [of_rank[at : at + 1 + len(r.keys)] for of_rank in sizes])
            z, keys = next(whole), {key: next(whole) for key in r.keys}
            if ragged and "mask" not in keys:
                n, p = (torch.tensor(list(sides), device=z.device) for sides in zip(*ragged, strict=True))
                keys["mask"] = torch.arange(z.shape[1], device=z.device) < p.repeat_interleave(n)[:, None]
            found[name], at = Embeddings(z, keys), at + 1 + len(r.keys)
        return found

    def exchange(self, value: Any) -> list[Any]:
        """Values of all ranks, in rank order; pickled on the way between processes of one run."""
        found = [value] * self.world
        if self.world > 1:
            dist.all_gather_object(found, value)
        return found

    def sum(self, x: Tensor) -> Tensor:
        """Sum over ranks, without gradient."""
        if self.world > 1:
            dist.all_reduce(x := x.clone())
        return x

    def max(self, x: Tensor) -> Tensor:
        """Largest value on any rank, without gradient; -inf if no rank holds one."""
        x = x.max() if x.numel() else x.new_tensor(-torch.inf)
        if self.world > 1:
            dist.all_reduce(x, op=dist.ReduceOp.MAX)
        return x

    def divide(self, terms: Mapping[str, LossTerm]) -> tuple[Tensor, dict[str, float]]:
        """Scales this rank's loss so that DDP's average gradient is that of the global mean.

        Args:
            terms: Name -> this rank's sum and count. A term without anchors on any rank (a pair of fields that no row
                of the batch has) is left out.

        Returns:
            The scaled loss of this rank, and name -> global mean.

        Raises:
            ValueError: No term has an anchor on any rank.
        """
        scaled, means = self.scale(terms)
        return torch.stack([*scaled.values()]).sum(), means

    def scale(self, terms: Mapping[str, LossTerm]) -> tuple[dict[str, Tensor], dict[str, float]]:
        """The same as `divide`, but each term on its own: name -> scaled loss of this rank, and name -> global mean."""
        sums = torch.stack([torch.stack([exact(t.total.detach()), exact(t.count)]) for t in terms.values()])
        totals, counts = self.sum(sums).T.tolist()
        here = [(name, t, total, n) for (name, t), total, n in zip(terms.items(), totals, counts, strict=True) if n]
        if not here:
            raise ValueError(
                f"{', '.join(terms)}: no anchor of this batch, on any rank, has a positive. Draw several views, "
                "or several samples, of one key per batch."
            )
        scaled = {name: t.weight * self.world * t.total / n for name, t, _, n in here}
        return scaled, {name: total / n for name, _, total, n in here}


Sizes = list[list[tuple[int, int]]]
"""Rank -> tensor -> its lengths on axes 0 and 1; 1 if there is no axis 1."""


def _sizes(tensors: Sequence[Tensor]) -> Sizes:
    """Lengths of the tensors on all ranks."""
    sides = [[len(t), t.shape[1] if t.ndim > 1 else 1] for t in tensors]
    ours = torch.tensor(sides, device=tensors[0].device)
    theirs = [torch.empty_like(ours) for _ in range(dist.get_world_size())]
    dist.all_gather(theirs, ours)
    return [[(n, p) for n, p in of_rank.tolist()] for of_rank in theirs]


def _ragged(name: str, rows: Embeddings, sizes: Sizes) -> list[tuple[int, int]] | None:
    """Rows and positions per rank if ranks have other numbers of positions, else None.

    Raises:
        ValueError: z has no positions, or a key differs that has not as many as z.
    """
    positions, *of_keys = [[p for _, p in of_tensor] for of_tensor in zip(*sizes, strict=True)]
    for key, found in zip(("z", *rows.keys), (positions, *of_keys), strict=True):
        if len(set(found)) > 1 and (rows.z.ndim != 3 or found != positions):
            raise ValueError(
                f"'{name}': {key} has {found} columns on ranks 0 to {len(found) - 1}; expected one number."
            )
    return [of_rank[0] for of_rank in sizes] if len(set(positions)) > 1 else None


class _Everyone(torch.autograd.Function):
    """Gathers all tensors of all ranks in a single collective, in rank order.

    Ranks may have different numbers of rows, and on axis 1 different lengths, which are padded with zeros to the
    longest. Backward adds the gradients of all ranks in a second collective.
    """

    @staticmethod
    def forward(ctx: Any, sizes: Sizes, *tensors: Tensor) -> tuple[Tensor, ...]:
        widths = [math.prod(t.shape[2:]) * t.element_size() for t in tensors]
        padded = [
            [-(-n * p * w // 8) * 8 for (n, p), w in zip(of_rank, widths, strict=True)] for of_rank in sizes
        ]  # whole words, so that views align
        rank = dist.get_rank()
        mine = torch.zeros(max(map(sum, padded)), dtype=torch.uint8, device=tensors[0].device)
        for t, start in zip(tensors, itertools.accumulate(padded[rank], initial=0), strict=False):
            mine[start : start + t.numel() * t.element_size()] = t.contiguous().view(-1).view(torch.uint8)
        theirs = [torch.empty_like(mine) for _ in sizes]
        dist.all_gather(theirs, mine)
        longest = [max(p for _, p in of_tensor) for of_tensor in zip(*sizes, strict=True)]
        out: list[list[Tensor]] = [[] for _ in tensors]
        for of_rank, pads, buffer in zip(sizes, padded, theirs, strict=True):
            for k, start in enumerate(itertools.accumulate(pads[:-1], initial=0)):
                (n, p), t = of_rank[k], tensors[k]
                part = buffer[start : start + n * p * widths[k]].view(t.dtype).view(n, *[p, *t.shape[2:]][: t.ndim - 1])
                if p < longest[k]:
                    part = F.pad(part, (0,) * (2 * t.ndim - 4) + (0, longest[k] - p))
                out[k].append(part)
        before = [sum(of_rank[k][0] for of_rank in sizes[:rank]) for k in range(len(tensors))]
        ctx.mine = [(slice(n, n + len(t)), *map(slice, t.shape[1:])) for n, t in zip(before, tensors, strict=True)]
        whole = [torch.cat(parts) for parts in out]
        ctx.mark_non_differentiable(*(w for w, t in zip(whole, tensors, strict=True) if not t.requires_grad))
        return tuple(whole)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        wanted = [k for k, needed in enumerate(ctx.needs_input_grad[1:]) if needed]
        flat = torch.cat([grads[k].flatten() for k in wanted])
        dist.all_reduce(flat)
        parts = flat.split([grads[k].numel() for k in wanted])
        found = {k: part.view_as(grads[k])[ctx.mine[k]] for k, part in zip(wanted, parts, strict=True)}
        return None, *(found.get(k) for k in range(len(grads)))


class RankFailed(RuntimeError):
    """Raised if a process of `on_ranks` raises, dies or does not answer.

    The message names the rank and shows its traceback.
    """


def on_ranks(function: Callable[..., Any], world: int, *arguments: Any, timeout: float = 300.0) -> list[Any]:
    """Runs `function(Ranks(), *arguments)` on new processes of this machine.

    For tests that W processes compute what a single one does, on a CPU: gloo over the loopback, one thread per process.
    The processes are spawned and share the working folder and the import path of this one. Call it under
    `if __name__ == "__main__":` in a script, since every process imports the script again.

    Args:
        function: Found by its name in a module, since it is pickled.
        world: Number of processes.
        arguments: Passed on to the function; pickled.
        timeout: Seconds for the whole call. Default: 300.

    Returns:
        The pickled results, in the order of ranks.

    Raises:
        RankFailed: A process raised, died or did not answer in time.
    """
    context = multiprocessing.get_context("spawn")
    task = pickle.dumps((function, arguments))
    place = os.getcwd()
    path = [place if entry == "" else entry for entry in sys.path]
    meet = _meeting_point()
    started: list[tuple[BaseProcess, Connection]] = []
    try:
        for rank in range(world):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=_one_rank, args=(theirs, rank, world, meet.port, timeout, place, path, task), daemon=True
            )
            process.start()
            theirs.close()  # so that the end of the process is the end of the pipe
            started.append((process, ours))
        return _answers(started, timeout)
    finally:
        for process, ours in started:
            process.kill()
            process.join()
            ours.close()


def _meeting_point(port: int = 0) -> Any:
    """Store by which processes find each other; served if no port is given."""
    return dist.TCPStore("127.0.0.1", port, is_master=not port, wait_for_workers=False)  # pyright: ignore[reportPrivateImportUsage]


def _one_rank(
    answer: Connection, rank: int, world: int, port: int, timeout: float, place: str, path: list[str], task: bytes
) -> None:
    """Entry point of a process of `on_ranks`."""
    os.chdir(place)
    sys.path[:] = path
    torch.set_num_threads(1)
    faulthandler.dump_traceback_later(0.9 * timeout)  # shows where a process hangs
    loopback = [name for _, name in socket.if_nameindex() if name in ("lo", "lo0")]
    if loopback:  # a host's own name may resolve to an address that nothing answers
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback[0])
    try:
        limit = datetime.timedelta(seconds=timeout)
        dist.init_process_group("gloo", store=_meeting_point(port), rank=rank, world_size=world, timeout=limit)
        function, arguments = pickle.loads(task)
        message = pickle.dumps((None, function(Ranks(), *arguments)))
    except Exception as error:  # the time shows the first failure, which causes the others
        words = f"{type(error).__name__}: {error}\n\n{traceback.format_exc()}"
        message = pickle.dumps((time.monotonic(), words))
    faulthandler.cancel_dump_traceback_later()
    answer.send_bytes(message)
    if dist.is_initialized():
        dist.destroy_process_group()


def _answers(started: list[tuple[BaseProcess, Connection]], timeout: float) -> list[Any]:
    """Returns the answers of all ranks, or raises the first failure."""
    end, world = time.monotonic() + timeout, len(started)
    waiting = {ours: rank for rank, (_, ours) in enumerate(started)}
    found: dict[int, Any] = {}
    while waiting:
        ready = wait(list(waiting), max(0.0, end - time.monotonic()))
        if not ready:
            late = ", ".join(map(str, sorted(waiting.values())))
            raise RankFailed(
                f"rank {late} of {world} gave no answer within {timeout:g} seconds; where it waits is above."
            )
        failures: list[tuple[float, str]] = []
        for pipe in ready:
            process, ours = started[rank := waiting.pop(pipe)]  # pyright: ignore[reportArgumentType]
            try:
                failed_at, answer = pickle.loads(ours.recv_bytes())
            except EOFError:
                process.join()
                words = f"died with exit code {process.exitcode} before it answered; its last words are above."
                failures.append((-1.0, f"rank {rank} of {world} {words}"))
                continue
            if failed_at is None:
                found[rank] = answer
            else:
                failures.append((failed_at, f"rank {rank} of {world} failed: {answer}"))
        if failures:
            raise RankFailed(min(failures)[1])
    return [found[rank] for rank in range(world)]
