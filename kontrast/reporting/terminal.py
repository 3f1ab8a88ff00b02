"""Terminal output: one aligned line per fact, a progress bar during training, or JSON lines."""

import json
import sys
import time
from dataclasses import asdict
from typing import TextIO

from kontrast.core.errors import printable
from kontrast.core.number_format import number
from kontrast.evaluation.look import NUMBERS, Look
from kontrast.evaluation.verdict import wrong
from kontrast.reporting.logger import Logger
from kontrast.training.loop import StepRecord

COLUMN = 10


class Screen(Logger):
    """Prints facts as they come, with a live line if it is a terminal.

    Args:
        out: Terminal or file. Default standard output.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        self.console = Console(file=out or sys.stdout, highlight=False, soft_wrap=True, width=None)
        self.live: Live | None = None
        self.text = Text
        self.said = 0.0
        self.rank = self.validation = ""
        self.began = time.monotonic()

    def fact(self, name: str, words: str) -> None:
        """Prints the name in its column, then the words; their further lines are indented."""
        self._rest()
        first, *more = printable(words).split("\n")
        style = "bold red" if name == "verdict" and wrong(words) else ""
        self.console.print(self.text(f"{name:<{COLUMN - 1}} ", style="bold cyan") + self.text(first, style=style))
        for line in more:
            self.console.print(self.text(" " * COLUMN + line))

    def progress(self, what: str, done: int, total: int) -> None:
        """Shows a bar that disappears when it is full."""
        self._show(f"{what:<{COLUMN}} {_bar(done / max(total, 1), 40)}  {done:,} of {total:,}")
        if done >= total:
            self._rest()

    def moment(self, moment: StepRecord, name: str = "") -> None:
        """Shows a bar of the training, with loss, rate, data wait and time left; a name stands in front."""
        m = moment
        left = (m.total - m.step) * m.seconds / max(m.step, 1)
        share = m.step / max(m.total, 1)
        if m.health and m.health.rows:
            self.rank = f" · rank {m.health.effective_rank:.0f}" if not m.health.collapsed else " · COLLAPSED"
        self._show(
            f"{name}{share:4.0%} {_bar(share, 36)}  step {m.step:,} of {m.total:,} · "
            f"loss {m.loss:.2f}{self.rank}{self.validation} · "
            f"{m.rate:,.0f} rows/s · data wait {m.wait:.0%} · {int(left) // 60}:{int(left) % 60:02d} left"
        )
        if m.step >= m.total:
            self._rest()

    def look(self, look: Look) -> None:
        """Adds the leading number of the validation rows to the line of the training."""
        lead = next((key for key, kind in NUMBERS.items() if kind.rises and key in look.values), None)
        self.validation = f" · {NUMBERS[lead].title} {number(look.values[lead])}" if lead else ""

    def _show(self, line: str) -> None:
        line = printable(line)
        if not self.console.is_terminal:
            if time.monotonic() - max(self.said, self.began) >= 15:  # logs get one line per 15 s, not every frame
                self.said = time.monotonic()
                self.console.print(self.text(line))
            return
        from rich.live import Live

        if self.live is None:
            self.live = Live(console=self.console, transient=True, refresh_per_second=8)
            self.live.start()
        self.live.update(self.text(line))

    def _rest(self) -> None:
        if self.live is not None:
            self.live.stop()
            self.live = None


class Bar(Logger):
    """Shows the progress of one of several runs, without its facts.

    Args:
        name: Name of the run, shown in front.
        out: Terminal or file. Default standard output.
    """

    def __init__(self, name: str, out: TextIO | None = None) -> None:
        self.screen, self.name = Screen(out), name

    def progress(self, what: str, done: int, total: int) -> None:
        """Shows a bar that disappears when it is full."""
        self.screen.progress(f"{self.name} · {what}", done, total)

    def moment(self, moment: StepRecord) -> None:
        """Shows a bar of the training."""
        self.screen.moment(moment, f"{self.name} · ")

    def look(self, look: Look) -> None:
        """Adds the leading number of the validation rows to the bar."""
        self.screen.look(look)


class Json(Logger):
    """Prints one JSON object per line, for scripts.

    Args:
        out: File. Default standard output.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out or sys.stdout

    def fact(self, name: str, words: str) -> None:
        """Prints {"fact": name, "words": ...}."""
        self._line({"fact": name, "words": words})

    def moment(self, moment: StepRecord) -> None:
        """Prints step records that carry health statistics."""
        if moment.health:
            self._line({"moment": asdict(moment)})

    def look(self, look: Look) -> None:
        """Prints {"look": its numbers}."""
        self._line({"look": asdict(look)})

    def _line(self, value: object) -> None:
        self.out.write(printable(json.dumps(value, ensure_ascii=False)) + "\n")
        self.out.flush()


def _bar(share: float, width: int) -> str:
    full = min(width, int(share * width))
    return "━" * full + "╺" * (full < width) + "─" * max(0, width - full - 1)
