"""Output of findings in the terminal, followed by the next command."""

import shlex
import textwrap
from collections.abc import Mapping, Sequence

from kontrast.doctor.examination import Finding
from kontrast.reporting.logger import Logger
from kontrast.reporting.terminal import COLUMN

WIDTH = 100


def tell(findings: Sequence[Finding], logger: Logger, command: str = "") -> None:
    """Prints findings, then how many there are of each level.

    Args:
        findings: Findings in the order to print; facts appear under their own name, others under their level.
        logger: Receives the lines.
        command: Command to suggest next, printed if there is no error. Default: none.
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
    summary = " · ".join(f"{n} {level}{'s' * (n > 1)}" for level, n in counts.items() if n) or "nothing wrong found"
    logger.fact("verdict", summary)
    if command and not counts["error"]:
        logger.fact("next", command)


def next_command(data: str | None, given: Mapping[str, str | Sequence[str] | None]) -> str:
    """The `kontrast train` command with the same data and options (option to its value or values)."""
    words = ["kontrast", "train", *([data] if data else [])]
    for option, values in given.items():
        for value in [values] if isinstance(values, str) else values or ():
            words += [option, value]
    return shlex.join(words)


def _folded(words: str) -> str:
    return "\n".join(textwrap.wrap(words, WIDTH - COLUMN, break_long_words=False, break_on_hyphens=False))
