"""How much memory there is, so that a file that asks for more is refused before it is read."""

import os
from pathlib import Path

from kontrast.core.byte_size import size
from kontrast.core.errors import UserError


def free() -> int:
    """Bytes that can be had now: what Linux calls available, else half of what is built in."""
    facts = Path("/proc/meminfo")
    for line in facts.read_text().splitlines() if facts.is_file() else ():
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def enough(needed: int, who: str, instead: str) -> None:
    """Refuse what does not fit; `instead` says what to do."""
    if needed > (there := free()):
        raise UserError(f"{who} needs {size(needed)} of memory, and {size(there)} are free. {instead}")


def text(path: Path, expected: str, *, times: int = 8) -> str:
    """All of a UTF-8 file, which takes some `times` its size while it is taken apart. `expected` ends the message."""
    enough(times * path.stat().st_size, str(path), "Cut it into several files, or free some memory.")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text ({error}); {expected}") from error
