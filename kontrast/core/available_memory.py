"""Available memory, so that a file that needs more is refused before it is read."""

import os
from pathlib import Path

from kontrast.core.byte_size import size
from kontrast.core.errors import UserError


def free() -> int:
    """Bytes that are available: as Linux reports, else half of the physical memory."""
    facts = Path("/proc/meminfo")
    for line in facts.read_text().splitlines() if facts.is_file() else ():
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def enough(needed: int, who: str, instead: str) -> None:
    """Refuses what does not fit into memory.

    Raises:
        UserError: it does not; `who` begins the message, `instead` ends it.
    """
    if needed > (there := free()):
        raise UserError(f"{who} needs {size(needed)} of memory, and {size(there)} are free. {instead}")


def text(path: Path, expected: str, *, times: int = 8) -> str:
    """Reads a UTF-8 file.

    Args:
        path: The file.
        expected: Ends the message.
        times: Memory that parsing takes, in sizes of the file.

    Raises:
        UserError: too large, or no UTF-8 text.
    """
    enough(times * path.stat().st_size, str(path), "Cut it into several files, or free some memory.")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text ({error}); {expected}") from error
