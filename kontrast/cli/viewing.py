"""Commands that look around: list, show, check-loss."""

import json
from typing import Annotated

import typer

from kontrast.cli.app import AsJson, app, pairs, say, value
from kontrast.core.errors import UserError


@app.command(name="list")
def list_(
    room: Annotated[str | None, typer.Argument(metavar="[ROOM]", help="recipes, methods, losses, encoders ...")] = None,
) -> None:
    """List what there is: methods, losses, encoders, modalities, judges, recipes."""
    from kontrast.core import find
    from kontrast.core.errors import did_you_mean

    rooms = find.rooms() if room is None else {room: find.kinds(room)}
    if room is not None and not rooms[room]:
        raise UserError(f"no room '{room}'{did_you_mean(room, find.rooms())}")
    wide = max(17, *(len(kind) for kinds in rooms.values() for kind in kinds))
    for name, kinds in rooms.items():
        say(name)
        for kind in kinds.values():
            say(f"  {kind.name:<{wide}} {kind.summary}")


@app.command()
def show(name: Annotated[str, typer.Argument(metavar="NAME", help="A name that `kontrast list` shows.")]) -> None:
    """Show what something is and its settings with their defaults."""
    import inspect

    from kontrast.core import find
    from kontrast.core.errors import did_you_mean

    found = find.named(name)
    if not found:
        known = [each for kinds in find.rooms().values() for each in kinds]
        raise UserError(f"nothing is called '{name}'{did_you_mean(name, known)}")
    for kind in found:
        made = find.load(kind.room, kind.name)
        say(f"{kind.name}  ({kind.room}, {kind.module})\n")
        say((inspect.getdoc(inspect.getmodule(made)) if kind.room == "recipes" else inspect.getdoc(made)) or "")
        for setting, hint, default in find.settings_of(made):
            given = "(from the data)" if default is inspect.Parameter.empty else repr(default)
            say(f"  {setting:<16}{hint:<32}{given}")
        say("")


@app.command()
def check_loss(
    name: Annotated[
        str, typer.Argument(metavar="LOSS", help="my_lab.ideas:MyLoss, or a name of `kontrast list losses`.")
    ],
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting of it: temperature=0.1")] = None,
    ranks: Annotated[list[int] | None, typer.Option(min=2, help="Numbers of processes to try [2 and 3].")] = None,
    as_json: AsJson = False,
) -> None:
    """Prove a loss: exact, in any tiling, in any order, safe in half precision, the same on one process as on several.

    Exit code 1 where a property fails. Half a minute, most of it the starting of processes.
    """
    from kontrast.proofs.check import Finding
    from kontrast.proofs.check import check_loss as check

    def tell(found: Finding) -> None:
        say(
            json.dumps(vars(found))
            if as_json
            else f"{found.verdict:<9}{found.name}{f': {found.detail}' * bool(found.detail)}"
        )

    findings = check(name, settings=pairs(set_, "--set", value), worlds=tuple(ranks or (2, 3)), progress=tell)
    failed = sum(found.verdict == "failed" for found in findings)
    if not as_json:
        say(f"{name}: {len(findings) - failed} of {len(findings)} properties hold.")
    if failed:
        raise typer.Exit(1)
