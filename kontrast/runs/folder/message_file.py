"""Messages of a run, kept in its folder so that they can be read later and while it runs."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

from kontrast.core import untrusted_json
from kontrast.core.errors import UserError
from kontrast.reporting.logger import Logger

MESSAGES = "messages.jsonl"
_SHAPE = {"time": str, "name": str, "words": str}


class MessageLog(Logger):
    """Appends each message of a run to messages.jsonl: {"time", "name", "words"}; a resumed run goes on in it."""

    def __init__(self) -> None:
        self.folder: Path | None = None

    def begun(self, folder: Path) -> None:
        """Notes the run folder."""
        self.folder = folder

    def fact(self, name: str, words: str) -> None:
        """Appends a message; without a run folder there is nowhere to put it."""
        if self.folder is None:
            return
        line = {"time": time.strftime("%Y-%m-%d %H:%M:%S"), "name": name, "words": words}
        with (self.folder / MESSAGES).open("a", encoding="utf8") as out:
            out.write(untrusted_json.written(line) + "\n")


def messages(folder: Path) -> Iterator[tuple[str, str, str]]:
    """(time, name, words) of each message; a line that a crash cut off ends them."""
    file = folder / MESSAGES
    if not file.is_file():
        return
    for line in untrusted_json.text(file).split("\n"):
        try:
            found = untrusted_json.shaped(json.loads(line), _SHAPE, str(file))
        except (ValueError, RecursionError, UserError):
            return
        yield found["time"], found["name"], found["words"]
