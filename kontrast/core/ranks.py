"""Ranks: the only file that knows torch.distributed. With one process, nothing happens."""

import datetime
import faulthandler
import itertools
import multiprocessing
import os
import pickle
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from kontrast.core.embeddings import Embeddings, LossTerm, exact

_ALONE: ContextVar[bool] = ContextVar("alone", default=False)


@contextmanager
def by_itself() -> Iterator[None]:
    """Inside, all that asks `Ranks` finds no other process; as `torch.no_grad` does, for what is called in it."""
    before = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(before)


class Ranks:
    """What a step may ask of the other ranks; W processes compute exactly what one would, uneven batches included."""

    def __init__(self, *, alone: bool = False) -> None:
        """alone: as if there were no others, for what a process tries by itself."""
        others = dist.is_available() and dist.is_initialized() and not (alone or _ALONE.get())
        self.world = dist.get_world_size() if others else 1
        self.rank = dist.get_rank() if self.world > 1 else 0

    def leave(self) -> None:
        """No more is exchanged with the others from here on."""
        if self.world > 1:
            dist.barrier()
            dist.destroy_process_group()

    def gather(self, rows: Mapping[str, Embeddings]) -> dict[str, Embeddings]:
        """Everyone's rows with their keys, gradient included: each rank's part of the loss sends its share back to the
        rank that owns the row.

        What a rank then holds, of M rows on all ranks: the gathered embeddings (while they arrive, twice), later their
        gradient, and one tile of logits at a time, never all. `contrast` cuts by anchors, so an anchor's whole row of
        candidates is at hand, which every loss that ranks, mines or sorts them needs; a ring, which passes candidates
        on and holds a part of them, can serve running sums alone. M = 32,768 rows of width 512 are 64 MB, a tile is 8
        MB, all logits would be 4 GB.
        """
        if self.world == 1:
            return dict(rows)
        whole = iter(_Everyone.apply(*(t for r in rows.values() for t in (r.z, *r.keys.values()))))
        return {name: Embeddings(next(whole), {key: next(whole) for key in r.keys}) for name, r in rows.items()}

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

    def divide(self, terms: Mapping[str, LossTerm]) -> tuple[Tensor, dict[str, float]]:
        """This rank's loss, scaled so that DDP's average of gradients is the gradient of the global mean; and the
        global means themselves.

        A term without anchors anywhere (a pair of fields that no row of this batch has) is left out; if all are, that
        is an error.
        """
        sums = torch.stack([torch.stack([exact(t.total.detach()), exact(t.count)]) for t in terms.values()])
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


class RankFailed(RuntimeError):
    """A process of `on_ranks` raised, died or did not answer; the message says which, and shows its traceback."""


def on_ranks(function: Callable[..., Any], world: int, *arguments: Any, timeout: float = 300.0) -> list[Any]:
    """What `function(Ranks(), *arguments)` returns on each of `world` processes of this machine, in the order of ranks.

    For proofs that W processes compute what one does, on a CPU: gloo over the loopback, one thread a process. The
    processes are new (spawned) and share this one's working folder and import path; the function is found by its name
    in a module, arguments and answers are pickled through pipes. `timeout` is in seconds, for all of it. A script that
    calls this does so under `if __name__ == "__main__":`, for every process imports it again.
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
    """Where the processes find each other: served, on a free port, by the process that gives none."""
    return dist.TCPStore("127.0.0.1", port, is_master=not port, wait_for_workers=False)  # pyright: ignore[reportPrivateImportUsage]


def _one_rank(
    answer: Connection, rank: int, world: int, port: int, timeout: float, place: str, path: list[str], task: bytes
) -> None:
    """The life of one process of `on_ranks`."""
    os.chdir(place)
    sys.path[:] = path
    torch.set_num_threads(1)
    faulthandler.dump_traceback_later(0.9 * timeout)  # where it waits, to find out why
    loopback = [name for _, name in socket.if_nameindex() if name in ("lo", "lo0")]
    if loopback:  # a host's own name may resolve to an address that nothing answers
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback[0])
    try:
        limit = datetime.timedelta(seconds=timeout)
        dist.init_process_group("gloo", store=_meeting_point(port), rank=rank, world_size=world, timeout=limit)
        function, arguments = pickle.loads(task)
        message = pickle.dumps((None, function(Ranks(), *arguments)))
    except Exception as error:  # sent back with the time: the first failure is the cause of the others
        words = f"{type(error).__name__}: {error}\n\n{traceback.format_exc()}"
        message = pickle.dumps((time.monotonic(), words))
    faulthandler.cancel_dump_traceback_later()
    answer.send_bytes(message)
    if dist.is_initialized():
        dist.destroy_process_group()


def _answers(started: list[tuple[BaseProcess, Connection]], timeout: float) -> list[Any]:
    """Everyone's answer, or the first failure as an error."""
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
