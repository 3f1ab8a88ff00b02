"""Errors and messages for users: what was found, what was expected, what to do."""

import difflib
import importlib
import re
from collections.abc import Iterable
from types import ModuleType


class UserError(ValueError):
    """A mistake that the user can correct; the command line prints only its message, exit code 2."""


class Unreadable(ValueError):
    """A cell that cannot be read; its row is quarantined with this reason."""


class Interrupted(Exception):
    """Stopped by the signal `number` (Ctrl-C, SIGTERM); the message says how to go on."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


_LISTED = 60  # names in a message

# Controls, and what turns the direction of writing, hides, or ends a line: a name with these could move the cursor,
# recolour the terminal, or read as another. Joiners are left, which emoji and several scripts need.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


def printable(words: str) -> str:
    r"""Makes a string safe for a terminal: invisible characters become escapes such as \u001b."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", words)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for a similar known name, else the known names, at most 60 of them."""
    known = sorted(set(known))
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return f"; there is: {', '.join(known[:_LISTED]) or 'nothing'}{more}."


def needs(module: str, extra: str) -> ModuleType:
    """Imports an optional module.

    Raises:
        UserError: it is not installed; the message names the extra that brings it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.split(".")[0] != module.split(".")[0]:
            raise
        raise UserError(
            f"this needs the package '{module}', which is not installed: pip install 'kontrast[{extra}]'"
        ) from missing
