"""The findings on a screen: one line a finding, aligned, the gravest first, the next command last."""

import shlex
import textwrap
from collections.abc import Mapping, Sequence

from kontrast.doctor.examination import Finding
from kontrast.reporting.logger import Logger
from kontrast.reporting.terminal import COLUMN

WIDTH = 100


def tell(findings: Sequence[Finding], logger: Logger, command: str = "") -> None:
    """Errors, warnings and notes under their level, facts under their own name; then how many there are of each.

    command: what to type next, where nothing forbids it.
    """
    for finding in findings:
        if finding.level == "fact":
            logger.fact(finding.name[: COLUMN - 1], _folded(finding.words))
            continue
        rows = (
            "\n" + textwrap.shorten("see " + ", ".join(finding.rows), WIDTH - COLUMN, placeholder=" ...")
            if finding.rows
            else ""
        )
        logger.fact(finding.level, _folded(f"{finding.name}: {finding.words}") + rows)
    counts = {level: sum(f.level == level for f in findings) for level in ("error", "warning", "note")}
    told = " · ".join(f"{n} {level}{'s' * (n > 1)}" for level, n in counts.items() if n) or "nothing wrong found"
    logger.fact("verdict", told)
    if command and not counts["error"]:
        logger.fact("next", command)


def next_command(data: str | None, given: Mapping[str, str | Sequence[str] | None]) -> str:
    """`kontrast train` with what the doctor was told: option -> its value or values."""
    words = ["kontrast", "train", *([data] if data else [])]
    for option, values in given.items():
        for value in [values] if isinstance(values, str) else values or ():
            words += [option, value]
    return shlex.join(words)


def _folded(words: str) -> str:
    return "\n".join(textwrap.wrap(words, WIDTH - COLUMN, break_long_words=False, break_on_hyphens=False))
