"""Writes the parts of docs/ that follow from the code, between marks.

    python scripts/build_docs.py             # writes every marked part anew; tests fail where one is out of date
    python scripts/build_docs.py --sessions  # also runs ```console blocks that show no output yet and fills it in

| mark | part |
|---|---|
| `<!-- options: train -->` | the arguments and options of a command, from the application itself |
| `<!-- kinds: relations -->` | what a room holds, from its files |
| `<!-- losses -->` | every loss with its equation and paper, from the docstrings |
| `<!-- functions -->` | every loss as a module, and its function |
| `<!-- recipes -->` | which recipe data of a shape gets, asked of recipes/choosing.py |
| `<!-- reference: relations -->` | the contracts and kinds of a room, as directives of mkdocstrings |
| `<!-- reference: kt -->` | the same of `kt.*`; also of `functional` and `augmentations` |

A part ends with `<!-- end -->`.
"""

import contextlib
import html
import inspect
import io
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

sys.path.insert(0, str(Path(__file__).resolve().parent))

import example_data
import pages
from typer.models import OptionInfo

import kontrast
from kontrast import cli
from kontrast.cli import app
from kontrast.core import registry
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task
from kontrast.data.schema.fields import infer
from kontrast.data.sources.open_source import open_frame
from kontrast.losses import functional
from kontrast.recipes.choosing import choose
from kontrast.recipes.plain_columns import with_table

_PART = re.compile(
    r"(<!-- (options|kinds|losses|functions|recipes|reference)(?:: ([\w-]+))? -->\n).*?(<!-- end -->)", re.DOTALL
)
_PAPER = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
# What a reader has, and the file of scripts/example_data.py that is like it.
_SHAPES = {
    "pictures in folders": "clothes/",
    "a table with pictures and texts": "pairs.csv",
    "texts in a table": "captions.csv",
    "texts in folders": "notes/",
    "pairs of texts": "questions.csv",
    "time series in arrays": "waves.npz",
    "plain columns": "people.csv",
    "histories of items": "plays.jsonl",
    "time series of the UCR archive": "ucr/WAVES",
    "rows that miss fields": "catalogue.csv",
    "a query": "sqlite:shop.db#SELECT photo, title FROM goods",
    "shards": "shards/",
}


def parts(text: str) -> str:
    """Writes the marked parts of a page anew."""
    return _PART.sub(lambda found: f"{found[1]}\n{_made(found[2], found[3])}\n\n{found[4]}", text)


def _made(part: str, name: str | None) -> str:
    made = {"options": options, "kinds": kinds, "reference": reference}
    alone = {"losses": losses, "functions": functions, "recipes": recipes}
    return made[part](name or "") if part in made else alone[part]()


def commands() -> dict[str, Callable[..., object]]:
    """Lists the commands of the application by name."""
    found = {c.name or c.callback.__name__.replace("_", "-"): c.callback for c in app.registered_commands if c.callback}
    return {name: found[name] for name in sorted(found)}


def parameters(name: str) -> Iterator[tuple[list[str], Any, Any, inspect.Parameter]]:
    """Yields (names on the command line, typer's settings, type, parameter) per parameter of a command."""
    for parameter in inspect.signature(commands()[name], eval_str=True).parameters.values():
        kind, settings = get_args(parameter.annotation)
        # in Annotated, typer takes the first name for a default
        said = [one for one in (settings.default, *(settings.param_decls or ())) if isinstance(one, str)]
        yield said or [f"--{parameter.name.replace('_', '-')}"], settings, kind, parameter


def options(name: str) -> str:
    """Renders a command's help, and its arguments and options as tables."""
    given, named = [], []
    for names, settings, kind, parameter in parameters(name):
        if isinstance(settings, OptionInfo):
            default = "" if parameter.default in (None, False, parameter.empty) else f" Default: `{parameter.default}`."
            words = " ".join(filter(None, [", ".join(f"`{one}`" for one in names), _takes(kind, settings.metavar)]))
            named.append((words, (settings.help or "") + default))
        else:
            given.append((f"`{settings.metavar or parameter.name.upper()}`", settings.help or ""))
    text = re.sub(r"(?<![`\w-])--[a-z-]+", r"`\g<0>`", inspect.cleandoc(commands()[name].__doc__ or ""))
    text += "\n\n" + _table(("argument", "what"), given) if given else ""
    return text + ("\n\n" + _table(("option", "what"), named) if named else "\n\nIt has no options.")


def _takes(kind: Any, metavar: str | None) -> str:
    """Describes the value that an option takes."""
    inner = next((part for part in get_args(kind) if part is not type(None)), kind)
    if get_origin(kind) is Literal:
        return f"`{'|'.join(get_args(kind))}`"
    if inner is bool:
        return ""
    many = get_origin(inner) is list
    words = metavar or {int: "NUMBER", float: "NUMBER", Path: "PATH"}.get(get_args(inner)[0] if many else inner, "TEXT")
    return f"`{words}`" + (", several times" if many else "")


def kinds(room: str) -> str:
    """Lists the kinds of a room with their first sentences."""
    if not (found := registry.kinds(room)):
        raise SystemExit(f"<!-- kinds: {room} -->: there is no room of this name; expected one of {registry.rooms()}")
    return _table(("name", "what it is"), [(f"`{k.name}`", k.summary) for k in found.values()])


def losses() -> str:
    """Lists every loss with its contract, equation and paper."""
    rows = []
    for kind in registry.kinds("losses").values():
        made = registry.load("losses", kind.name)
        text = inspect.getdoc(made) or ""
        equation = " ".join(re.findall(r"^Equation:\n((?:    .*\n?)+)", text, re.MULTILINE)[0].split())
        papers = ", ".join(f"[{one}](https://arxiv.org/abs/{one})" for one in dict.fromkeys(_PAPER.findall(text)))
        rows.append((f"`{kind.name}`", made.__mro__[1].__name__, f"<code>{html.escape(equation)}</code>", papers))
    return _table(("loss", "contract", "equation", "papers"), rows)


def functions() -> str:
    """Lists every loss module with its call, its function and its first sentence."""
    rows = []
    for kind in registry.kinds("modules").values():
        made = registry.load("modules", kind.name)
        inputs = ", ".join(str(p).split(":")[0] for p in list(inspect.signature(made.forward).parameters.values())[1:])
        called = re.findall(r"\bF\.(\w+)\(", inspect.getsource(made))
        summary = html.escape(kind.summary, quote=False)
        rows.append((f"`{made.__name__}`", f"`{inputs}`", ", ".join(f"`{name}`" for name in called), summary))
    return _table(("module", "inputs", "function", "what"), rows)


def recipes() -> str:
    """Lists the recipe that each example gets, and why, as decided by the code of a run."""
    rows = []
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        example_data.make(Path())
        for shape, data in _SHAPES.items():
            frame = open_frame(data, cache=Path(name) / "cache")
            fields, asked = with_table(frame, infer(frame, {}, None), Experiment(tasks=one_task("")), {}, {})
            chosen, why = choose(fields, asked, None)
            kinds_of = {column: f.kind for column, f in fields.items() if f.kind not in ("meta", "ignore")}
            columns = ", ".join(f"{column} is {kind}" for column, kind in kinds_of.items())
            encoders = ", ".join(f"{key}: `{one.name}`" for key, one in chosen.encoders.items())
            rows.append((shape, f"`{data}`", columns, f"`{chosen.names}`", why, encoders))
    return _table(("what you have", "for example", "what is seen in it", "recipe", "why", "encoder"), rows)


def reference(of: str) -> str:
    """Writes directives of mkdocstrings, which the site replaces by signatures and docstrings."""
    if of == "kt":
        made = [getattr(kontrast, name) for name in kontrast.__all__]
        return "\n\n".join(_directive(f"{one.__module__}.{one.__qualname__}") for one in made if callable(one))
    if of == "functional":
        made = [one for one in vars(functional).values() if inspect.isfunction(one)]
        return "\n\n".join(_directive(f"{one.__module__}.{one.__name__}") for one in made if one.__name__[0] != "_")
    found = list(registry.kinds(of).values())
    if not found:
        raise SystemExit(f"<!-- reference: {of} -->: there is no room of this name; expected one of {registry.rooms()}")
    if of == registry.RECIPES:
        return "\n\n".join(_directive(kind.module, members="false") for kind in found)
    members = "[forward]" if of == "modules" else "false"
    contracts = dict.fromkeys(
        f"{base.__module__}.{base.__name__}"
        for kind in found
        for base in registry.load(of, kind.name).__mro__
        if "ROOM" in vars(base)
    )
    if of == "augmentations":  # those that modalities are made of are functions
        files = sorted(Path(kontrast.__path__[0]).glob("modalities/*/augmentations/[a-z]*.py"))
        held = {kind.module for kinds in registry.rooms().values() for kind in kinds.values()}
        names = (f"kontrast.modalities.{file.parts[-3]}.augmentations.{file.stem}" for file in files)
        more = [name for name in names if name not in held]
    else:
        more = []
    kinds_of_it = (_directive(f"{kind.module}.{kind.attribute}", members=members) for kind in found)
    return "\n\n".join([*map(_directive, contracts), *kinds_of_it, *map(_directive, more)])


def reference_of(page: Path) -> str:
    """Names the subject of a reference page: a room, or `kt`, `functional`, `augmentations`."""
    found = re.search(r"<!-- reference: ([\w-]+) -->", page.read_text(encoding="utf8"))
    return found[1] if found else ""


def _directive(path: str, *, members: str = "") -> str:
    return f"::: {path}" + (f"\n    options:\n      members: {members}" if members else "")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def stale() -> Iterator[Path]:
    """Names the pages whose marked parts are out of date."""
    for page in pages.pages():
        text = page.read_text(encoding="utf8")
        if parts(text) != text:
            yield page


def shared(folder: Path, shell: pages.Shell) -> None:
    """Makes the example data and the runs that several pages begin with in `folder`."""
    example_data.make(folder)
    for words in ("clothes/", "clothes/ --set tasks.contrast.temperature=0.5", "pairs.csv"):
        code, said = shell(["train", *words.split(), "--steps", "30"])
        assert not code, said


def record(only: Sequence[str]) -> None:
    """Runs the console blocks that show no output yet, and fills their output in."""
    wanted = [p for p in pages.pages() if any(map(_silent, pages.blocks(p))) and (not only or p.stem in only)]
    with tempfile.TemporaryDirectory() as name:
        base = Path(name) / "shared"
        base.mkdir()
        with contextlib.chdir(base):
            shared(base, shell)
        for page in wanted:
            folder = Path(name) / "-".join(page.relative_to(pages.DOCS).parts)
            lay_out(page, base, folder)
            printed: dict[str, str] = {}
            with contextlib.chdir(folder):
                pages.run(page, folder, shell, heard=lambda b, said, printed=printed: printed.update({b.text: said}))
            text = page.read_text(encoding="utf8")
            for block in filter(_silent, pages.blocks(page)):
                text = text.replace(f"\n{block.text}```", f"\n{printed[block.text]}```", 1)
            page.write_text(text, encoding="utf8")
            print(f"recorded {page.relative_to(pages.DOCS)}", flush=True)


def shell(words: Sequence[str]) -> tuple[int, str]:
    """Runs a command in this process; returns its exit code and output."""
    argv, sys.argv = sys.argv, ["kontrast", *words]
    try:
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
            cli.main()
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    finally:
        sys.argv = argv
    raise AssertionError("kontrast.cli.main always ends by SystemExit.")


def lay_out(page: Path, base: Path, folder: Path) -> None:
    """Copies the example data and the runs that a page needs into a new folder."""
    shutil.copytree(base, folder, ignore=lambda at, names: ["runs"] if Path(at) == base else [])
    for run in pages.needs(page):
        shutil.copytree(base / run, folder / run)


def _silent(block: pages.Block) -> bool:
    return block.language == "console" and block.kind == "session" and not any(s for _, s in pages.sessions(block))


def main() -> None:
    """Rewrites pages that are out of date; with --sessions also records console blocks."""
    for page in list(stale()):
        page.write_text(parts(page.read_text(encoding="utf8")), encoding="utf8")
        print(f"wrote {page.relative_to(pages.DOCS)}")
    if "--sessions" in sys.argv:
        record([word for word in sys.argv[1:] if not word.startswith("-")])


if __name__ == "__main__":
    main()
