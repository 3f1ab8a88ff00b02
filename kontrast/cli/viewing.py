"""Commands that look around: list, show, check."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from kontrast.cli.app import AsJson, app, pairs, say, value
from kontrast.core.errors import UserError

if TYPE_CHECKING:
    from kontrast.core.registry import Kind


@app.command(name="list")
def list_(
    room: Annotated[str | None, typer.Argument(metavar="[ROOM]", help="recipes, tasks, losses, encoders ...")] = None,
) -> None:
    """List what there is: tasks, losses, encoders, modalities, evaluators, recipes."""
    from kontrast.core import registry, renamed
    from kontrast.core.errors import did_you_mean

    room = None if room is None else renamed.room(room)
    rooms = registry.rooms() if room is None else {room: registry.kinds(room)}
    if room is not None and not rooms[room]:
        raise UserError(f"no room '{room}'{did_you_mean(room, registry.rooms())}")
    wide = max(17, *(len(kind) for kinds in rooms.values() for kind in kinds))
    modules = rooms.pop("modules", {}) if room is None else registry.kinds("modules") if room == "losses" else {}
    for name, kinds in rooms.items():
        if name == "losses":
            say("losses  (torch modules: kontrast.losses.NAME(...); as functions: kontrast.losses.functional)")
            for kind in modules.values():
                say(f"  {kind.attribute:<{wide}} {kind.summary}")
                if room is not None:
                    say("".join(f"    {line}\n" for line in in_short(kind)))
            say("losses  (their parts, which `--set tasks.contrast.loss=NAME` chooses, or kontrast.losses.Contrastive)")
        else:
            say(name)
        for kind in kinds.values():
            say(f"  {kind.name:<{wide}} {kind.summary}")


def in_short(kind: "Kind") -> list[str]:
    """How a loss is made and called, its equation and paper, from its file, which is not imported."""
    import ast
    import inspect
    import re
    from pathlib import Path

    from kontrast.core import registry

    path = Path(registry.PACKAGE, *kind.module.split(".")[1:]).with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf8"))
    made = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind.attribute)
    takes = {node.name: node.args for node in made.body if isinstance(node, ast.FunctionDef)}
    settings = [
        arg.arg + ("" if default is None else f"={ast.unparse(default)}")
        for arg, default in zip(takes["__init__"].kwonlyargs, takes["__init__"].kw_defaults, strict=True)
    ]
    placed = [arg.arg for arg in takes["__init__"].args[1:]]
    inputs = [arg.arg for arg in takes["forward"].args[1:]]
    inputs += [f"*{takes['forward'].vararg.arg}"] if takes["forward"].vararg else []
    text = inspect.cleandoc(ast.get_docstring(made) or "")
    parts = dict(re.findall(r"^(Equation|Reference):\n((?:    .*\n?)+)", text, re.MULTILINE))
    said = [" ".join(parts.get(part, "").split()) for part in ("Equation", "Reference")]
    return [f"{kind.attribute}({', '.join(placed + settings)})({', '.join(inputs)})", *filter(None, said)]


@app.command()
def show(name: Annotated[str, typer.Argument(metavar="NAME", help="A name that `kontrast list` shows.")]) -> None:
    """Show what something is and its settings with their defaults."""
    import inspect

    from kontrast.core import factory, registry, renamed
    from kontrast.core.errors import did_you_mean

    found = registry.named(name) or [registry.locate(room, new) for room, new in renamed.kinds(name)]
    if not found:
        known = [each for kinds in registry.rooms().values() for each in kinds]
        raise UserError(f"nothing is called '{name}'{did_you_mean(name, known)}")
    for kind in found:
        made = registry.load(kind.room, kind.name)
        if kind.room == "modules":
            say(f"{kind.attribute}  (losses, kontrast.losses.{kind.attribute})\n\n{in_short(kind)[0]}\n")
        else:
            say(f"{kind.name}  ({kind.room}, {kind.module})\n")
        say((inspect.getdoc(inspect.getmodule(made)) if kind.room == "recipes" else inspect.getdoc(made)) or "")
        for setting, hint, default in factory.settings_of(made):
            given = "(from the data)" if default is inspect.Parameter.empty else repr(default)
            say(f"  {setting:<16}{hint:<32}{given}")
        say("")


@app.command()
def check(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="my_lab.ideas:Mine, or a name of `kontrast list losses` or `list tasks`."),
    ],
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting of it: temperature=0.1")] = None,
    ranks: Annotated[
        list[int] | None, typer.Option(min=2, max=64, help="Numbers of processes to try [2 and 3; 2 for a task].")
    ] = None,
    task: Annotated[bool, typer.Option("--task", help="The task of that name, where a loss has it too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Prove a loss, a task or a modality: exact, in any order and number of passes, equal on many processes.

    Exit code 1 where a property fails. Half a minute, most of it the starting of processes.
    """
    from kontrast.checks.check import check_loss
    from kontrast.checks.modality import check_modality
    from kontrast.checks.results import Finding
    from kontrast.checks.task import check_task
    from kontrast.core import registry

    def tell(found: Finding) -> None:
        say(
            json.dumps(vars(found))
            if as_json
            else f"{found.verdict:<9}{found.name}{f': {found.detail}' * bool(found.detail)}"
        )

    settings = pairs(set_, "--set", value)
    if registry.fits("modalities", name):
        findings = check_modality(name, settings=settings, progress=tell)
    elif task or (registry.fits("tasks", name) and not registry.fits("losses", name)):
        findings = check_task(name, settings=settings, worlds=tuple(ranks or (2,)), progress=tell)
    else:
        findings = check_loss(name, settings=settings, worlds=tuple(ranks or (2, 3)), progress=tell)
    failed = sum(found.verdict == "failed" for found in findings)
    if not as_json:
        say(f"{name}: {len(findings) - failed} of {len(findings)} properties hold.")
    if failed:
        raise typer.Exit(1)
