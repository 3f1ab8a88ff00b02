"""The command line: verbs over runs."""

import errno
import importlib
import os
import sys
import warnings
from typing import Annotated

import typer
from typer._click import exceptions as click  # typer's own copy of click; it has no public name for a usage error

from kontrast.cli.app import app, say
from kontrast.core import renamed
from kontrast.core.errors import Interrupted, UserError, printable

# The files of commands, which hang themselves on the application, in the order in which --help shows them.
for _file in (
    "training",
    "ablate",
    "alone",
    "watch",
    "using",
    "instants",
    "anomalies",
    "recommend",
    "doctor",
    "keeping",
    "viewing",
):
    importlib.import_module(f"kontrast.cli.{_file}")

SPINS = ("GOMP_SPINCOUNT", "1000")
# What a machine may refuse whatever this program does; any other OSError is a mistake of ours and shows its traceback.
MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


def main() -> None:
    """Run a command. A user's mistake is one line and exit code 2; --debug shows the traceback instead."""
    debug = "--debug" in sys.argv
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    _quieten(debug)
    arguments = renamed.arguments(arguments)
    limit_spinning()
    try:
        code = app(arguments, prog_name="kontrast", standalone_mode=False)
    except Exception as error:
        ending = _ending(error)
        if debug or ending is None:
            raise
        words, code = ending
        place = _place()
        if not (place and isinstance(error, Interrupted)):  # the first process says that for all
            words = printable(" ".join(words.split("\n")))  # one line, whatever a name in it holds
            typer.echo(f"kontrast{f' (process {place})' if place else ''}: {words}", err=True)
    else:
        if code == 130:  # Ctrl-C where nothing had begun that could go on
            typer.echo("kontrast: stopped.", err=True)
    sys.exit(code or 0)


def _place() -> str:
    """Which process of a fleet this is; empty for the first, and where there is but one."""
    places = (os.environ.get(name, "0") for name in ("RANK", "SLURM_PROCID", "NODE_RANK", "LOCAL_RANK"))
    return next((place for place in places if place != "0"), "")


def _ending(error: Exception) -> tuple[str, int] | None:
    """(what to say, exit code) where the user or his machine is the cause; None where it is this program."""
    if isinstance(error, UserError):
        return str(error), 2
    if isinstance(error, Interrupted):
        return str(error), 128 + error.number
    if isinstance(error, click.UsageError):
        words = error.format_message()
        asked = f" See {error.ctx.command_path} --help." if error.ctx else ""
        return f"{words}{'' if words.endswith(('.', '?')) else '.'}{asked}", 2
    if isinstance(error, UnicodeEncodeError) and "surrogates" in error.reason:
        return "the name of a file is not UTF-8 text, which this command cannot take; rename it, or link to it.", 2
    if isinstance(error, OSError) and error.errno in MACHINE:
        where = f" {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}. Free some space there, or name a place that may be written to.", 2
    return None


@app.callback(invoke_without_command=True)
def _top(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Learn embeddings by contrast from heterogeneous data; evaluate, search and report them."""
    if version:
        from kontrast import __version__

        say(__version__)
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())


def limit_spinning() -> None:
    """Makes waiting threads sleep soon, unless the user has chosen how they wait.

    Beside another program half of the speed is won by it, where a few percent are lost on an idle machine
    (`python -m benchmarks.busy`). OpenMP reads it as PyTorch is loaded, which no command has done yet.
    """
    if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault(*SPINS)


def _quieten(debug: bool) -> None:
    """Other libraries' chatter is not this program's; set before they are imported, where the user has not."""
    if not debug and not sys.warnoptions:
        warnings.simplefilter("ignore")
        warnings.simplefilter("default", renamed.OldName)
        warnings.showwarning = lambda message, *_, **__: typer.echo(f"kontrast: {message}", err=True)
    for name, value in (
        ("LANCEDB_LOG", "error"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("HF_HUB_DISABLE_TELEMETRY", "1"),
        ("HF_HUB_VERBOSITY", "error"),
        ("TRANSFORMERS_VERBOSITY", "error"),
    ):
        os.environ.setdefault(name, value)
