"""The command that changes one thing at a time: ablate."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from kontrast.cli.app import AsJson, Outside, Quiet, app, command, encoders, logger, pairs, say, value


@app.command()
def ablate(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="The recipe to change. `kontrast list recipes`.")],
    swap: Annotated[
        list[str],
        typer.Option(
            help="One arm per value: tasks.contrast.loss=dcl,supcon; recipe=vicreg changes the whole recipe; "
            "'A=1 B=2' changes both in one arm."
        ),
    ],
    data: Annotated[str | None, typer.Option(help="What to train on; the recipe may bring it.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Seeds of each arm.")] = 3,
    seed: Annotated[int, typer.Option(help="The first seed; it also splits the rows, for all arms alike.")] = 0,
    steps: Annotated[
        int | None, typer.Option(min=1, max=999_999_999, help="Steps of every run; what the recipe says if none.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="The column of labels to evaluate by.")] = None,
    field: Annotated[list[str] | None, typer.Option(help="COLUMN=KIND where inference is wrong.")] = None,
    encoder: Annotated[
        list[str] | None, typer.Option(help="KIND=NAME[,setting=value], of all arms: image=timm,model=resnet10t")
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting of all arms: plan.batch=64")] = None,
    level: Annotated[float, typer.Option(min=0.5, max=0.999, help="Of each interval.")] = 0.95,
    out: Annotated[Path | None, typer.Option(help="Folder of all runs [runs/ablation-RECIPE].")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    outside: Outside = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Change one thing at a time: each swap beside the recipe itself, over several seeds, with a verdict each.

    The same command again goes on where it was stopped; more swaps or seeds may be added.
    """
    from kontrast.core import registry
    from kontrast.core.number_format import many
    from kontrast.runs.comparison.ablation import Ablation
    from kontrast.runs.comparison.ablation_page import write_ablation
    from kontrast.runs.comparison.ablation_result import result
    from kontrast.runs.comparison.swap import arms

    settings = pairs(set_, "--set", value) | ({"source.outside": True} if outside else {})
    found = arms(recipe, swap, value)
    for arm in found:
        registry.locate("recipes", arm.recipe)
    begun = {
        "recipe": recipe,
        "data": data,
        "seed": seed,
        "steps": steps,
        "label": label,
        "fields": pairs(field, "--field"),
        "encoders": encoders(encoder),
        "settings": settings,
    }
    made = Ablation(out or Path("runs") / f"ablation-{recipe}", found, range(seed, seed + seeds), begun)
    heard = logger(quiet or as_json, False)
    if not as_json:
        heard.fact(
            "ablation", f"{len(found)} arms x {many(seeds, 'seed')} in {made.path}; stop it at any time, it goes on"
        )
    runner = _Runner(begun, device, quiet or as_json, len(found) * seeds)
    made.run(runner.train, lambda arm, at, words: heard.fact("arm", f"{arm.name}, seed {at}: {words}"))
    compared = result(made, level=level)
    files = write_ablation(compared, made.path, command())
    if as_json:
        say(json.dumps(compared.to_json(), ensure_ascii=False))
        return
    say("")
    for line in compared.words():
        say(line)
    say("")
    say(" · ".join(map(str, files)))


class _Runner:
    """Trains or resumes one run of an ablation, showing its progress alone."""

    def __init__(self, begun: dict[str, Any], device: str, quiet: bool, runs: int) -> None:
        self.begun, self.device, self.quiet, self.runs = begun, device, quiet, runs

    def train(self, arm: Any, seed: int, path: Path) -> None:
        from kontrast import api
        from kontrast.reporting.logger import NullLogger
        from kontrast.reporting.terminal import Bar

        logger = NullLogger() if self.quiet else Bar(f"{arm.name} · seed {seed}")
        if (path / "experiment.json").is_file():
            api.resume(path, data=self.begun["data"], device=self.device, logger=logger)
            return
        asked = {**self.begun["settings"], **arm.settings, "source.split_seed": self.begun["seed"]}
        api.train(
            self.begun["data"],
            recipe=arm.recipe,
            label=self.begun["label"],
            fields=self.begun["fields"],
            encoders=self.begun["encoders"],
            steps=self.begun["steps"],
            seed=seed,
            settings=asked,
            out=path,
            device=self.device,
            command=command(),
            logger=logger,
        )
