"""File of the looks at validation rows that a run took while it trained."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kontrast.core import untrusted_json
from kontrast.core.errors import UserError
from kontrast.evaluation.look import Look
from kontrast.runs.folder.folder import Folder

LOOKS = "validation.jsonl"
_NUMBER = (int, float)
_SHAPE = {"step": int, "seconds": _NUMBER, "cost": _NUMBER, "rows": int, "values": {"*": _NUMBER}}


def read_looks(path: Path) -> list[dict[str, Any]]:
    """Looks of a run folder, oldest first; none if there are no validation rows."""
    file = path / LOOKS
    if not file.is_file():
        return []
    found = []
    for line in untrusted_json.text(file).split("\n"):
        try:
            found.append(untrusted_json.shaped(json.loads(line), _SHAPE, str(file)))
        except (ValueError, RecursionError, UserError):  # a line that a crash cut off
            break
    return found


def append_look(folder: Folder, look: Look) -> None:
    """Appends a look."""
    folder.append(LOOKS, untrusted_json.written(asdict(look)) + "\n")


def keep_looks(folder: Folder, step: int) -> list[dict[str, Any]]:
    """Forgets looks of later steps, which a resumed run takes again; gives the others."""
    found = [look for look in read_looks(folder.path) if look["step"] <= step]
    if (folder.path / LOOKS).is_file():
        folder.write(LOOKS, "".join(untrusted_json.written(look) + "\n" for look in found))
    return found
