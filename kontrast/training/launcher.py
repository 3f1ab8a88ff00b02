"""Processes of a run on one or several machines, started by Fabric, torchrun or SLURM."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from subprocess import Popen, TimeoutExpired
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from kontrast.core.byte_size import size
from kontrast.core.errors import Interrupted, UserError
from kontrast.core.ranks import Ranks
from kontrast.core.shards import sharded
from kontrast.encoders.precision_mode import PrecisionMode
from kontrast.layers.rank_norm import over_ranks
from kontrast.training.learner import Learner
from kontrast.training.memory import capacity
from kontrast.training.precision import prepare

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.strategy import Strategy as Plan
    from torch.distributed.device_mesh import DeviceMesh

Strategy = Literal["ddp", "fsdp"]

# Timeout of collectives: the first process may read data for hours; a dead one is noticed at once anyway.
PATIENCE = timedelta(hours=24)
GRACE = 5.0  # seconds
PROCESS = 300_000_000  # bytes that a process with PyTorch takes at least
NODES = 65_536
# Signs of a lost process in messages of torch.distributed, which has no error type for it.
_LOST = ("Connection closed", "Connection reset", "Broken pipe", "gloo/transport", "NCCL", "TCPStore")


class Elsewhere(SystemExit):
    """Ends this process silently: another one continues or has reported the error."""


@dataclass(frozen=True)
class Launcher:
    """All processes of a run and the rank of this one.

    Attributes:
        fabric: Lightning Fabric, which starts and connects the processes.
        strategy: "ddp" (each process holds all parameters) or "fsdp" (encoders are split). Default "ddp".
        ranks: Rank and number of processes, with their collectives.
    """

    fabric: "Fabric"
    strategy: Strategy = "ddp"
    ranks: Ranks = field(default_factory=Ranks)

    @property
    def first(self) -> bool:
        """Whether this process writes, scores and prints."""
        return self.ranks.rank == 0

    @property
    def device(self) -> torch.device:
        """Device of this process."""
        return self.fabric.device

    @property
    def splits(self) -> bool:
        """Whether each process holds only a part of the encoders' parameters."""
        return self.strategy == "fsdp" and self.ranks.world > 1

    @property
    def words(self) -> str:
        """Processes and strategy for the first screen; empty for a single process."""
        return f"{self.ranks.world} processes, {self.strategy}" if self.ranks.world > 1 else ""

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Runs the block in the first process, then in the others, which find its files.

        Raises:
            Elsewhere: In the others, if the first one failed.
        """
        if self.first:
            failed = True
            try:
                yield
                failed = False
            finally:
                self.any(failed)
            return
        if any(self.any(False)):
            raise Elsewhere(2)
        yield

    def __enter__(self) -> "Launcher":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Ends started processes after an error in the first, since they would wait."""
        for process in _started_here(self.fabric) if error is not None and self.first else []:
            try:
                process.wait(GRACE)
            except TimeoutExpired:
                process.terminate()

    @contextmanager
    def together(self, go_on: str) -> Iterator[None]:
        """Reports a lost process in one sentence, in place of connection errors from all others.

        Args:
            go_on: Command that continues the run, for the message.

        Raises:
            Interrupted: In the first process, if another was lost.
            Elsewhere: In the others.
        """
        try:
            yield
        except RuntimeError as error:
            words = str(error)
            if self.ranks.world == 1 or not any(sign in words for sign in _LOST):
                raise
            if not self.first:
                raise Elsewhere(2) from error
            raise Interrupted(f"{self._lost()}, and the run ended with it; {go_on}", signal.SIGKILL) from error

    def _lost(self) -> str:
        """Which process ended, as far as this one can know: those that it started."""
        started = _started_here(self.fabric)
        end = time.monotonic() + GRACE
        while started and time.monotonic() < end and all(process.poll() is None for process in started):
            time.sleep(0.05)
        for number, process in enumerate(started, 1):
            if (code := process.poll()) is not None and code < 0:
                return f"process {number + 1} of {self.ranks.world} was killed by signal {-code}"
        return f"one of the {self.ranks.world} processes was lost"

    def any(self, *wishes: bool) -> list[bool]:
        """For each wish, whether any process has it; every process must call this."""
        if self.ranks.world == 1:
            return list(wishes)
        return [n > 0 for n in self.ranks.sum(torch.tensor(wishes, dtype=torch.int32, device=self.device)).tolist()]

    def broadcast(self, words: str) -> str:
        """Broadcasts text from the first process."""
        return self.fabric.broadcast(words)

    def setup(
        self, learner: Learner, mode: PrecisionMode
    ) -> tuple[nn.Module, Callable[[], AbstractContextManager[object]]]:
        """Wraps the learner for its strategy; call before making the optimiser: parameters may be split.

        Args:
            learner: Encoders and tasks.
            mode: Precision of the encoders.

        Returns:
            Module to call, and a context factory in which gradients stay on their rank.
        """
        if self.ranks.world > 1:
            over_ranks(learner, self.device)
            learner.encoders.together = True
        prepare(learner, mode, weights=not self.splits)
        encode = self.fabric.setup_module(learner, move_to_device=False)
        if self.ranks.world == 1:
            return encode, nullcontext
        return encode, partial(self.fabric.no_backward_sync, encode)

    def average(self, learner: Learner) -> None:
        """Averages the gradients of parameters that fsdp keeps whole; call after backward.

        The strategy averages all others itself.
        """
        if not self.splits:
            return
        own = [p.grad for p in learner.parameters() if p.grad is not None and not sharded(p)]
        flat = self.ranks.sum(torch.cat([g.flatten() for g in own])) / self.ranks.world
        for g, mean in zip(own, flat.split([g.numel() for g in own]), strict=True):
            g.copy_(mean.view_as(g))

    def part(self) -> None:
        """Ends all processes but the first, which scores and reports.

        Raises:
            Elsewhere: In all processes but the first.
        """
        self.ranks.leave()
        if not self.first:
            raise Elsewhere(0)


def usual_device() -> torch.device:
    """Default device: CUDA if available, else MPS, else CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")


def alone(device: torch.device) -> Launcher:
    """Launcher of a single process."""
    from lightning_fabric import Fabric

    _quieten()
    devices = [device.index] if device.index is not None else 1
    return Launcher(Fabric(accelerator=device.type, devices=devices))


def launch(device: torch.device, devices: int | None, nodes: int, strategy: Strategy) -> Launcher:
    """Starts the processes of a run; returns in each of them.

    Args:
        device: Kind of device, without an index if there are several.
        devices: Processes per machine; None for as many as torchrun or SLURM started here, else 1. If neither did, the
            current command is started again for each further process of this machine.
        nodes: Machines.
        strategy: "ddp" or "fsdp".

    Raises:
        UserError: The numbers do not fit this machine, its memory, or what torchrun or SLURM started.
    """
    devices = _started() if devices is None else devices
    if devices < 1 or nodes < 1:
        raise UserError(f"{devices} devices on {nodes} nodes; expected 1 or more of each.")
    if devices * nodes == 1:
        return alone(device)
    if device.type == "cpu" and devices * PROCESS > capacity():
        raise UserError(
            f"--devices {devices}: each process takes {size(PROCESS)} of memory at least, and there are "
            f"{size(capacity())}; use fewer."
        )
    if nodes > NODES:
        raise UserError(f"--nodes {nodes}; expected at most {NODES:,}.")
    if device.index is not None:
        raise UserError(f"--device {device} names one device; with several, name the kind: --device {device.type}.")
    if device.type == "cuda" and devices > torch.cuda.device_count():
        raise UserError(f"--devices {devices}: this machine has {torch.cuda.device_count()} of them.")
    if device.type == "mps":
        raise UserError("MPS is one device; train on several with --device cuda or --device cpu.")
    from lightning_fabric import Fabric

    _quieten()
    plan = _ddp() if strategy == "ddp" else _fsdp(devices * nodes)
    try:
        fabric = Fabric(accelerator=device.type, devices=devices, num_nodes=nodes, strategy=plan)
        fabric.launch()
    except ValueError as refused:  # torchrun or SLURM started other numbers of processes than requested
        raise UserError(f"--devices {devices} --nodes {nodes}: {str(refused).splitlines()[0]}") from refused
    if device.type == "cpu":
        _unwatched()
    return Launcher(fabric, strategy)


def _unwatched() -> None:
    """Stops Lightning's observer thread, which kills this process silently when another one dies.

    gloo notices the loss itself, so that `together` can report it. A collective of NCCL hangs instead, so the observer
    stays on GPUs.
    """
    for thread in threading.enumerate():
        if thread.name == "child-process-observer":
            vars(thread)["_child_processes"] = []


def _ddp() -> "Plan":
    from lightning_fabric.strategies.ddp import DDPStrategy

    # Buffers are equal on all ranks already, since norms compute over all of them.
    return DDPStrategy(timeout=PATIENCE, broadcast_buffers=False)


def _fsdp(world: int) -> "Plan":
    from lightning_fabric.strategies.model_parallel import ModelParallelStrategy
    from torch.distributed.fsdp import fully_shard

    def shard(learner: nn.Module, mesh: "DeviceMesh") -> nn.Module:
        """Splits encoders and their copies only: heads, kernels and prototypes are small, the loss needs them whole."""
        assert isinstance(learner, Learner)
        encoders = learner.encoders
        for networks in (encoders.networks, encoders.momentum, encoders.reference):
            for network in networks.values():
                fully_shard(network, mesh=mesh["data_parallel"])
        return learner

    return ModelParallelStrategy(shard, data_parallel_size=world, tensor_parallel_size=1, timeout=PATIENCE)


def _started() -> int:
    """Processes that torchrun or SLURM started on this machine; 1 if neither did."""
    for name in ("LOCAL_WORLD_SIZE", "SLURM_NTASKS_PER_NODE"):
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    return 1


def _started_here(fabric: "Fabric") -> list[Popen[bytes]]:
    """Further processes that this one started."""
    from lightning_fabric.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

    launcher = fabric.strategy.launcher
    return launcher.procs if isinstance(launcher, _SubprocessScriptLauncher) else []


def _quieten() -> None:
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # the first screen shows the same facts
