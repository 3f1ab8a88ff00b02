"""What the user is told when something that is his to mend goes wrong: who, what was found, what was expected, what to
do."""

import difflib
import importlib
import re
from collections.abc import Iterable
from types import ModuleType


class UserError(ValueError):
    """A mistake that the user can mend; the command line prints its message alone and ends with exit code 2."""


class Unreadable(ValueError):
    """One cell that cannot be read; the row is set aside with this reason, the others go on."""


class Interrupted(Exception):
    """Stopped by the signal `number` (Ctrl-C, SIGTERM); the message says how to go on."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


# Controls, and what turns the direction of writing, hides, or ends a line: a name with these could move the cursor,
# recolour the terminal, or read as another. Joiners are left, which emoji and several scripts need.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


def printable(words: str) -> str:
    r"""Words of whatever origin as a terminal may show them: what is unseen stands there as \u001b, say."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", words)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` where something alike is known, else what there is."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; there is: {', '.join(known) or 'nothing'}."


def needs(module: str, extra: str) -> ModuleType:
    """The optional module, or a message that says which extra brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.split(".")[0] != module.split(".")[0]:
            raise
        raise UserError(
            f"this needs the package '{module}', which is not installed: pip install 'kontrast[{extra}]'"
        ) from missing
