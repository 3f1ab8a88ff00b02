"""Follows a run by its folder alone: reads what has been added since the last time, in bounded memory."""

import json
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kontrast.core import untrusted_json
from kontrast.core.errors import UserError
from kontrast.core.number_format import many
from kontrast.reporting.watch_frame import Snapshot, State
from kontrast.runs.folder import run_json
from kontrast.runs.folder.folder import MOMENT, Folder
from kontrast.runs.folder.lock import holder
from kontrast.runs.folder.message_file import messages
from kontrast.runs.folder.monitor_file import read_looks

POINTS = 512  # of the loss curve: more than a terminal is wide
_CHUNK = 1 << 20  # bytes read at a time


@dataclass
class Curve:
    """A curve of at most `POINTS` points: when there are more, neighbours are averaged, from then on too.

    Attributes:
        points: (step, mean) from the start.
        each: Values per point.
    """

    points: list[tuple[float, float]] = field(default_factory=list)
    each: int = 1
    _open: list[tuple[float, float]] = field(default_factory=list)

    def add(self, step: float, value: float) -> None:
        """Adds a value."""
        self._open.append((step, value))
        if len(self._open) == self.each:
            self.points.append(_mean(self._open))
            self._open = []
        if len(self.points) == POINTS:
            self.points = [_mean(self.points[at : at + 2]) for at in range(0, POINTS, 2)]
            self.each *= 2

    def all(self) -> list[tuple[float, float]]:
        """All points, with one of the values that do not fill a point yet."""
        return [*self.points, _mean(self._open)] if self._open else list(self.points)


@dataclass
class Follower:
    """Reads a run folder again and again; it takes no lock and writes nothing.

    Attributes:
        path: The run folder.
    """

    path: Path
    _read: int = 0
    _file: tuple[int, int] = (0, 0)
    _rest: bytes = b""
    _losses: Curve = field(default_factory=Curve)
    _last: dict[str, Any] = field(default_factory=dict)
    _health: dict[str, Any] = field(default_factory=dict)

    def look(self) -> Snapshot:
        """The run as it is now.

        Raises:
            UserError: There is no run at `path`, or a file of it is damaged.
        """
        if not (self.path / "experiment.json").is_file() and not _process(self.path):
            Folder.existing(self.path)  # says what is wrong
        with untrusted_json.fitting(str(self.path)):
            self._metrics()
            ended = run_json.scores(Folder(self.path)) if (self.path / "scores.json").is_file() else {}
            state, who = self._state(bool(ended))
            return Snapshot(
                name=self.path.resolve().name,
                state=state,
                who=who,
                data=self._data(),
                step=self._last,
                losses=self._losses.all(),
                health=self._health,
                looks=read_looks(self.path),
                messages=list(messages(self.path)),
                verdict=ended.get("verdict", {}),
                scores=ended.get("scores", ()),
            )

    def _state(self, ended: bool) -> tuple[State, str]:
        who = _process(self.path)
        if ended:
            return "finished", ""
        if not who:
            return "stopped", Folder(self.path).go_on
        if not self._last:
            return "preparing", who
        done = self._last["step"] >= (self._last.get("total") or self._last["step"] + 1)
        return "evaluating" if done else "training", who

    def _data(self) -> str:
        if not (self.path / "data.json").is_file():
            return ""
        facts = run_json.data(Folder(self.path))
        parts = [many(facts["train"], "training row")] if isinstance(facts.get("train"), int) else []
        parts += [f"{facts['validation']:,} for validation"] if facts.get("validation") else []
        return " · ".join([facts["name"], facts["recipe"]["name"], *parts])

    def _metrics(self) -> None:
        """Reads the lines of metrics.jsonl that are new; all of them if the file was written anew by a resume."""
        file = Folder(self.path).metrics
        if not file.is_file():
            return
        with file.open("rb") as opened:
            found = os.fstat(opened.fileno())
            if (found.st_dev, found.st_ino) != self._file or found.st_size < self._read:
                self._file, self._read, self._rest = (found.st_dev, found.st_ino), 0, b""
                self._losses, self._last, self._health = Curve(), {}, {}
            opened.seek(self._read)
            while chunk := opened.read(_CHUNK):
                self._read += len(chunk)
                *lines, self._rest = (self._rest + chunk).split(b"\n")
                for line in lines:
                    self._add(line, str(file))

    def _add(self, line: bytes, who: str) -> None:
        try:
            record = untrusted_json.shaped(json.loads(line), MOMENT, who)
        except (ValueError, RecursionError, UserError):  # a line that a crash cut off; a resume writes it anew
            return
        self._last = record
        if record.get("loss") is not None:
            self._losses.add(record["step"], record["loss"])
        if record.get("health"):
            self._health = record


def _process(path: Path) -> str:
    """The process that writes to the run, in words; "" if there is none on this machine."""
    found = holder(path)
    if not found:
        return ""
    words = f"process {found['process']} on {found['host']} since {found['since']}"
    if found["host"] != platform.node():
        return words
    try:
        os.kill(int(found["process"]), 0)  # asks whether it exists
    except ProcessLookupError:
        return ""
    except (PermissionError, ValueError, TypeError, OverflowError):
        return words
    return words


def _mean(points: list[tuple[float, float]]) -> tuple[float, float]:
    return points[-1][0], sum(value for _, value in points) / len(points)
