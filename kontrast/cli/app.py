"""The typer application to which the commands of this room add themselves, and what they share.

Everything heavy is imported inside the commands, so that --help answers at once.
"""

import json
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kontrast.core.errors import UserError, printable

if TYPE_CHECKING:
    from kontrast.reporting.logger import Logger

app = typer.Typer(
    name="kontrast",
    help="Learn embeddings by contrast from heterogeneous data; evaluate, search and report them.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as runs/clothes-1.")]
Data = Annotated[str, typer.Argument(metavar="DATA", help="A folder, CSV, TSV, JSONL, Parquet, .npz, .npy or .ts.")]
Outside = Annotated[
    bool, typer.Option("--allow-outside", help="Read files outside of DATA's folder, too, that its cells name.")
]
Trust = Annotated[
    bool, typer.Option("--trust-code", help="Run code that RUN names (my_lab:Loss): yours, or what you have read.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object per line, for scripts.")]


def logger(quiet: bool, as_json: bool, log: Sequence[str] | None = None) -> "Logger":
    """Logger of a command: the screen, lines of JSON or none; and trackers, by name."""
    from kontrast.core import factory
    from kontrast.reporting.logger import Loggers, NullLogger
    from kontrast.reporting.terminal import Json, Screen

    screen = NullLogger() if quiet else Json() if as_json else Screen()
    return Loggers([screen, *(factory.build("trackers", name, {}) for name in log)]) if log else screen


def say(line: str) -> None:
    """Prints a line of the answer."""
    typer.echo(printable(line))


def command() -> str:
    """The command as typed."""
    return shlex.join(["kontrast", *sys.argv[1:]])


_COMMA = re.compile(r",(?![^\[{]*[\]}])")  # not those inside lists and objects


def pairs(given: list[str] | None, flag: str, made: Callable[[str], Any] = str) -> dict[str, Any]:
    """NAME=VALUE of an option that may be given several times."""
    found = {}
    for pair in given or []:
        name, equals, words = pair.partition("=")
        if not equals or not name:
            raise UserError(f"{flag} {pair}: expected NAME=VALUE; `kontrast train --help` has examples.")
        found[name] = made(words)
    return found


def value(words: str) -> Any:
    """Value of JSON text (0.1, true, [1, 2]); other text as it is."""
    try:
        return json.loads(re.sub(r"^(-?)(?=\.\d)", r"\g<1>0", words))  # JSON knows no .5
    except (ValueError, RecursionError):  # the former also of a number of more digits than Python converts
        return words


def tasks(given: list[str] | None) -> dict[str, dict[str, Any]]:
    """`rotation:weight=0.5,fields=image` -> {"rotation": {"name": "rotation", "weight": 0.5, "fields": "image"}}.

    Own code is `my_lab.ideas:TwoCrops`, with settings `my_lab.ideas:TwoCrops:dim=64`.
    """
    found: dict[str, dict[str, Any]] = {}
    for words in given or []:
        name, settings = words, ""
        if "=" in words:  # a value may hold colons too: teacher=timm:resnet18
            name = words[: words.index("=")].rpartition(":")[0]
            settings = words[len(name) + 1 :]
        if not name:
            raise UserError(f"--task {words}: expected NAME or NAME:setting=value,...; `kontrast list tasks`.")
        chosen = pairs(_COMMA.split(settings) if settings else [], f"--task {name}:", value)
        key = re.sub(r"\W+", "-", name.rpartition(":")[2]).lower()
        number = sum(other == key or re.fullmatch(rf"{key}-\d+", other) is not None for other in found)
        found[f"{key}-{number + 1}" if number else key] = {"name": name, **chosen}
    return found


def encoders(given: list[str] | None) -> dict[str, dict[str, Any]]:
    """`image=timm,model=resnet10t` -> {"image": {"name": "timm", "model": "resnet10t"}}."""
    found = {}
    for tower, words in pairs(given, "--encoder").items():
        name, *settings = words.split(",")
        found[tower] = {"name": name, **pairs(settings, f"--encoder {tower}=", value)}
    return found
