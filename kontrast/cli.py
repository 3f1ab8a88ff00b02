"""The command line: verbs over runs. Everything heavy is imported inside the verbs, so that --help answers at once."""

import errno
import json
import os
import shlex
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer._click import exceptions as click  # typer's own copy of click; it has no public name for a usage error

from kontrast.core.errors import Interrupted, UserError

if TYPE_CHECKING:
    from kontrast.runs.listener import Listener

app = typer.Typer(
    name="kontrast",
    help="Learn embeddings by contrast from heterogeneous data, judge, search and report them.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)

# What a machine may refuse whatever this program does; any other OSError is a mistake of ours and shows its traceback.
MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as runs/clothes-1.")]
Data = Annotated[str, typer.Argument(metavar="DATA", help="A folder, CSV, TSV, JSONL, Parquet, .npz, .npy or .ts.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for scripts.")]


@app.command()
def train(
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="What to train on; not needed with --resume.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Method by name; the data decides if none is. `kontrast list recipes`.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="The column that holds labels; used for judging only.")] = None,
    field: Annotated[
        list[str] | None, typer.Option(help="COLUMN=KIND where inference is wrong: image, text, series, ignore ...")
    ] = None,
    encoder: Annotated[
        list[str] | None, typer.Option(help="KIND=NAME[,setting=value]: image=timm,model=resnet10t")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="End after so many steps.")] = None,
    epochs: Annotated[float | None, typer.Option(min=0, help="End after so many passes over the data.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="End after so many minutes.")] = None,
    batch: Annotated[int | None, typer.Option(min=2, help="Rows a step [256].")] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, help="The optimiser's own if none is given.")] = None,
    seed: Annotated[int | None, typer.Option(help="Everything random follows from it [0].")] = None,
    precision: Annotated[
        str | None, typer.Option(help="auto, 32 or bf16; auto keeps what pays in the first steps.")
    ] = None,
    compile: Annotated[str | None, typer.Option(help="auto, on or off.")] = None,
    channels_last: Annotated[str | None, typer.Option(help="auto, on or off.")] = None,
    quarantine: Annotated[
        float | None, typer.Option(min=0, max=1, help="Largest share of unreadable rows [0.01].")
    ] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Train on even when the embeddings have collapsed.")
    ] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any setting: method.temperature=0.1")] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder [runs/NAME-1].")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    devices: Annotated[
        int | None, typer.Option(min=1, help="Devices of this machine; what torchrun or SLURM started if not named.")
    ] = None,
    nodes: Annotated[int, typer.Option(min=1, help="Machines; each runs this command.")] = 1,
    strategy: Annotated[
        Literal["ddp", "fsdp"], typer.Option(help="ddp, or fsdp to split the encoders over the devices.")
    ] = "ddp",
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Continue an interrupted run.")] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train on data of any kind and leave a run folder: encoder, scores, report."""
    chosen = {
        "plan.batch": batch,
        "plan.learning_rate": learning_rate,
        "plan.precision": precision,
        "plan.compile": compile,
        "plan.channels_last": channels_last,
        "plan.keep_going": keep_going or None,
        "source.quarantine": quarantine,
        **_pairs(set_, "--set", _value),
    }
    settings = {name: value for name, value in chosen.items() if value is not None}
    listener = _listener(quiet, as_json)
    from kontrast import api

    if resume is not None:
        settings |= {
            f"plan.{n}": v for n, v in (("steps", steps), ("epochs", epochs), ("minutes", minutes)) if v is not None
        }
        settings |= {"seed": seed} if seed is not None else {}
        api.resume(
            resume,
            data=data,
            settings=settings,
            device=device,
            devices=devices,
            nodes=nodes,
            strategy=strategy,
            listener=listener,
        )
        return
    if data is None and recipe is None:
        raise UserError("nothing to train on. Name a folder or a file: kontrast train pictures/")
    api.train(
        data,
        recipe=recipe,
        label=label,
        fields=_pairs(field, "--field"),
        encoders=_encoders(encoder),
        steps=steps,
        epochs=epochs,
        minutes=minutes,
        seed=seed,
        settings=settings,
        out=out,
        device=device,
        devices=devices,
        nodes=nodes,
        strategy=strategy,
        command=_command(),
        listener=listener,
    )


@app.command()
def demo(
    minutes: Annotated[float, typer.Option(min=0, help="Minutes of training.")] = 3.0,
    out: Annotated[Path | None, typer.Option(help="The run folder [runs/emoji-1].")] = None,
    quiet: Quiet = False,
) -> None:
    """Two drawings and the names of 1,900 emoji in one space: train, judge, index, report, search. Four minutes."""
    from kontrast import api
    from kontrast.runs.showing import show_off

    run = api.train(recipe="emoji", minutes=minutes, out=out, command=_command(), listener=_listener(quiet, False))
    for line in show_off(run):
        _say(line)


@app.command()
def embed(
    run: RunFolder,
    data: Data,
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")] = Path("embeddings.parquet"),
    batch: Annotated[int, typer.Option(min=1, help="Rows at once; changes speed and memory only.")] = 256,
    precision: Annotated[
        Literal["32", "bf16"], typer.Option(help="bf16 is faster where the machine computes it; cosine above .999.")
    ] = "32",
    quiet: Quiet = False,
) -> None:
    """Embed data with a run's encoder: ids, embeddings, labels and metadata in one Parquet file."""
    from kontrast import api

    listener = _listener(quiet, False)
    bank = api.load(run).embed(data, batch=batch, precision=precision, listener=listener)
    bank.save(out)
    widths = ", ".join(f"{name} {z.shape[1]}" for name, z in bank.z.items())
    listener.fact("embedded", f"{len(bank):,} rows ({widths}) -> {out}")


@app.command()
def score(run: RunFolder, data: Data, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Judge a run on other data, beside raw features and the untrained encoder."""
    from kontrast import api
    from kontrast.runs import words

    table = api.load(run).score(data, listener=_listener(quiet or as_json, False))
    _say(json.dumps(table, ensure_ascii=False) if as_json else words.scores(table))


@app.command()
def index(
    run: RunFolder,
    data: Annotated[
        str | None, typer.Argument(metavar="[DATA]", help="What to search; the run's own rows if not named.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Build the search index of a run over data."""
    from kontrast import api

    listener = _listener(quiet, False)
    listener.fact("index", str(api.load(run).index(data, listener=listener)))


@app.command()
def search(
    run: RunFolder,
    query: Annotated[str | None, typer.Argument(metavar="[TEXT]", help="What to look for, in words.")] = None,
    like: Annotated[str | None, typer.Option(help="Look for what is like this file.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many to find.")] = 5,
    field: Annotated[str | None, typer.Option(help="Which field of the run the query is one of.")] = None,
    among: Annotated[str | None, typer.Option(help="Which field to find.")] = None,
    where: Annotated[str | None, typer.Option(help="A filter in SQL: \"label = 'animals'\".")] = None,
    as_json: AsJson = False,
) -> None:
    """Find the rows nearest to a text, a picture or a series."""
    from kontrast import api
    from kontrast.runs.showing import hit_lines

    hits = api.load(run).search(query, like=like, k=k, field=field, among=among, where=where)
    if as_json:
        for hit in hits:
            _say(json.dumps(vars(hit), ensure_ascii=False, default=str))
    else:
        for line in hit_lines(hits):
            _say(line)


@app.command()
def report(
    run: RunFolder, open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False
) -> None:
    """Write report.html anew: one self-contained file with verdict, scores, map, neighbours and views."""
    from kontrast import api

    path = api.load(run).report()
    _say(str(path))
    if open_:
        typer.launch(str(path.resolve()))


@app.command(name="list")
def list_(
    room: Annotated[str | None, typer.Argument(metavar="[ROOM]", help="recipes, methods, losses, encoders ...")] = None,
) -> None:
    """List what there is: methods, losses, encoders, modalities, judges, recipes."""
    from kontrast.core import find
    from kontrast.core.errors import did_you_mean

    rooms = find.rooms()
    if room is not None and room not in rooms:
        raise UserError(f"no room '{room}'{did_you_mean(room, rooms)}")
    for name, kinds in rooms.items():
        if room in (None, name):
            _say(name)
            for kind in kinds.values():
                _say(f"  {kind.name:<18}{kind.summary}")


@app.command()
def show(name: Annotated[str, typer.Argument(metavar="NAME", help="A name that `kontrast list` shows.")]) -> None:
    """Show what something is and its settings with their defaults."""
    import inspect

    from kontrast.core import find
    from kontrast.core.errors import did_you_mean

    rooms = find.rooms()
    found = [kinds[name] for kinds in rooms.values() if name in kinds]
    if not found:
        raise UserError(
            f"nothing is called '{name}'{did_you_mean(name, [n for kinds in rooms.values() for n in kinds])}"
        )
    for kind in found:
        made = find.load(kind.room, kind.name)
        _say(f"{kind.name}  ({kind.room}, {kind.module})\n")
        _say((inspect.getdoc(inspect.getmodule(made)) if kind.room == "recipes" else inspect.getdoc(made)) or "")
        for setting, hint, default in find.settings_of(made):
            given = "(from the data)" if default is inspect.Parameter.empty else repr(default)
            _say(f"  {setting:<16}{hint:<32}{given}")
        _say("")


def main() -> None:
    """Run a command. A user's mistake is one line and exit code 2; --debug shows the traceback instead."""
    debug = "--debug" in sys.argv
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    _quieten(debug)
    try:
        code = app(arguments, prog_name="kontrast", standalone_mode=False)
    except Exception as error:
        ending = _ending(error)
        if debug or ending is None:
            raise
        words, code = ending
        place = _place()
        if not (place and isinstance(error, Interrupted)):  # the first process says that for all
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
    """Learn embeddings by contrast from heterogeneous data, judge, search and report them."""
    if version:
        from kontrast import __version__

        _say(__version__)
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        _say(ctx.get_help())


def _quieten(debug: bool) -> None:
    """Other libraries' chatter is not this program's; set before they are imported, where the user has not."""
    if not debug and not sys.warnoptions:
        warnings.simplefilter("ignore")
    for name, value in (
        ("LANCEDB_LOG", "error"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("HF_HUB_DISABLE_TELEMETRY", "1"),
        ("HF_HUB_VERBOSITY", "error"),
        ("TRANSFORMERS_VERBOSITY", "error"),
    ):
        os.environ.setdefault(name, value)


def _listener(quiet: bool, as_json: bool) -> "Listener":
    from kontrast.runs.listener import Silence
    from kontrast.runs.terminal import Json, Screen

    return Silence() if quiet else Json() if as_json else Screen()


def _say(line: str) -> None:
    typer.echo(line)


def _command() -> str:
    return shlex.join(["kontrast", *sys.argv[1:]])


def _pairs(given: list[str] | None, flag: str, value: Callable[[str], Any] = str) -> dict[str, Any]:
    pairs = {}
    for pair in given or []:
        name, equals, words = pair.partition("=")
        if not equals or not name:
            raise UserError(f"{flag} {pair}: expected NAME=VALUE; `kontrast train --help` has examples.")
        pairs[name] = value(words)
    return pairs


def _encoders(given: list[str] | None) -> dict[str, dict[str, Any]]:
    """`image=timm,model=resnet10t` -> {"image": {"name": "timm", "model": "resnet10t"}}."""
    found = {}
    for tower, words in _pairs(given, "--encoder").items():
        name, *settings = words.split(",")
        found[tower] = {"name": name, **_pairs(settings, f"--encoder {tower}=", _value)}
    return found


def _value(words: str) -> Any:
    """JSON where it is JSON (0.1, true, [1, 2]), else the words themselves."""
    try:
        return json.loads(words)
    except json.JSONDecodeError:
        return words
