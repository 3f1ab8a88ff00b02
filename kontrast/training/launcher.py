"""The processes of a run: one, several on this machine, or many on several; Fabric, torchrun or SLURM starts them."""

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
from kontrast.layers.rank_norm import over_ranks
from kontrast.methods.method import Method
from kontrast.training.memory import capacity
from kontrast.training.precision import Casting, PrecisionMode

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.strategy import Strategy as Plan
    from torch.distributed.device_mesh import DeviceMesh

Strategy = Literal["ddp", "fsdp"]

# The others wait while the first process reads the data, which may take hours; one that died is noticed at once.
PATIENCE = timedelta(hours=24)
GRACE = 5.0  # seconds
PROCESS = 300_000_000  # bytes that PyTorch alone takes
NODES = 65_536
# What the messages of torch.distributed hold where another process is gone; it has no type of error for that.
_LOST = ("Connection closed", "Connection reset", "Broken pipe", "gloo/transport", "NCCL", "TCPStore")


class Elsewhere(SystemExit):
    """Another process goes on alone, or has said what went wrong: this one ends without a word."""


@dataclass(frozen=True)
class Launcher:
    """All processes of a run and this one's place among them; `first` is the one that writes, judges and speaks."""

    fabric: "Fabric"
    strategy: Strategy = "ddp"
    ranks: Ranks = field(default_factory=Ranks)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.ranks.rank == 0

    @property
    def device(self) -> torch.device:
        """This process's device."""
        return self.fabric.device

    @property
    def splits(self) -> bool:
        """Whether each process holds but a part of the encoders' parameters."""
        return self.strategy == "fsdp" and self.ranks.world > 1

    @property
    def words(self) -> str:
        """For the first screen."""
        return f"{self.ranks.world} processes, {self.strategy}" if self.ranks.world > 1 else ""

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """The first process, then all others: they find what it wrote. If it fails, they end."""
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
        """An error in the first process ends those it started, unless they found it too: they would wait for it."""
        for process in _started_here(self.fabric) if error is not None and self.first else []:
            try:
                process.wait(GRACE)
            except TimeoutExpired:
                process.terminate()

    @contextmanager
    def together(self, go_on: str) -> Iterator[None]:
        """A process that dies ends the run in one sentence; without this the others show how they missed it.

        Args:
            go_on: What to type to continue the run.

        Raises:
            Interrupted: In the first process, where another was lost.
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
        """For each wish, whether any process has it; every process must ask."""
        if self.ranks.world == 1:
            return list(wishes)
        return [n > 0 for n in self.ranks.sum(torch.tensor(wishes, dtype=torch.int32, device=self.device)).tolist()]

    def told(self, words: str) -> str:
        """What the first process says."""
        return self.fabric.broadcast(words)

    def setup(
        self, method: Method, mode: PrecisionMode
    ) -> tuple[nn.Module, Callable[[], AbstractContextManager[object]]]:
        """(the method to call, a context in which gradients stay local). Before the optimiser is made: it may split
        the parameters."""
        if self.ranks.world > 1:
            over_ranks(method, self.device)
            method.together = True
        encode = self.fabric.setup_module(Casting(method, mode, weights=not self.splits), move_to_device=False)
        if self.ranks.world == 1:
            return encode, nullcontext
        return encode, partial(self.fabric.no_backward_sync, encode)

    def average(self, method: Method) -> None:
        """After backward: the gradients that the strategy does not average itself, those of what fsdp keeps whole."""
        if not self.splits:
            return
        own = [p.grad for p in method.parameters() if p.grad is not None and not sharded(p)]
        flat = self.ranks.sum(torch.cat([g.flatten() for g in own])) / self.ranks.world
        for g, mean in zip(own, flat.split([g.numel() for g in own]), strict=True):
            g.copy_(mean.view_as(g))

    def part(self) -> None:
        """Training is over: what follows is the first process's work, and the others end here."""
        self.ranks.leave()
        if not self.first:
            raise Elsewhere(0)


def usual_device() -> torch.device:
    """Where one computes if nothing is said."""
    return torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")


def alone(device: torch.device) -> Launcher:
    """One process."""
    from lightning_fabric import Fabric

    _quieten()
    devices = [device.index] if device.index is not None else 1
    return Launcher(Fabric(accelerator=device.type, devices=devices))


def launch(device: torch.device, devices: int | None, nodes: int, strategy: Strategy) -> Launcher:
    """So many processes on each of so many machines; this call returns in each of them.

    devices: None for as many as torchrun or SLURM started here, else 1. Where neither did, the command that runs now
    is started again for every further process of this machine.
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
    except ValueError as refused:  # torchrun or SLURM started other numbers than were asked for
        raise UserError(f"--devices {devices} --nodes {nodes}: {str(refused).splitlines()[0]}") from refused
    if device.type == "cpu":
        _unwatched()
    return Launcher(fabric, strategy)


def _unwatched() -> None:
    """Lightning kills this process, without a word, within seconds of another's death; gloo notices that by itself, and
    then there is something to say (`together`). A collective of NCCL hangs instead, so on devices that stays."""
    for thread in threading.enumerate():
        if thread.name == "child-process-observer":
            vars(thread)["_child_processes"] = []


def _ddp() -> "Plan":
    from lightning_fabric.strategies.ddp import DDPStrategy

    # Buffers are alike on all ranks already: norms count all of them.
    return DDPStrategy(timeout=PATIENCE, broadcast_buffers=False)


def _fsdp(world: int) -> "Plan":
    from lightning_fabric.strategies.model_parallel import ModelParallelStrategy
    from torch.distributed.fsdp import fully_shard

    def shard(casting: nn.Module, mesh: "DeviceMesh") -> nn.Module:
        """Encoders are split; heads, kernels and prototypes are small, and the loss needs them whole."""
        assert isinstance(casting, Casting)
        for encoder in casting.method.towers.encoders.values():
            fully_shard(encoder, mesh=mesh["data_parallel"])
        return casting

    return ModelParallelStrategy(shard, data_parallel_size=world, tensor_parallel_size=1, timeout=PATIENCE)


def _started() -> int:
    """How many processes torchrun or SLURM began on this machine."""
    for name in ("LOCAL_WORLD_SIZE", "SLURM_NTASKS_PER_NODE"):
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    return 1


def _started_here(fabric: "Fabric") -> list[Popen[bytes]]:
    """The further processes that this one started."""
    from lightning_fabric.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

    launcher = fabric.strategy.launcher
    return launcher.procs if isinstance(launcher, _SubprocessScriptLauncher) else []


def _quieten() -> None:
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # the first screen says it, in its own words
