"""Commands that train: train, demo."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from kontrast.cli.app import AsJson, Outside, Quiet, Trust, app, command, encoders, logger, pairs, say, value
from kontrast.core.errors import UserError


@app.command()
def train(
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="A file or folder (pictures, texts, CSV, JSONL, Parquet, .tar shards ...), a .json that mixes or joins"
            " several, a query (sqlite:FILE#QUERY, duckdb:FILE#QUERY, postgresql://USER@HOST/DB#QUERY), hf:NAME@SPLIT.",
        ),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Method by name; the data decides if none is. `kontrast list recipes`.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="A run from a file: .yaml, .json or .toml with the keys of experiment.json, whole or in part."
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(help="The column of labels to evaluate by; a recipe such as supcon also learns from it."),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(
            help="COLUMN=KIND where inference is wrong: image, text, series, ignore; group or time splits the rows by "
            "it, weight draws them by it; label, labels, soft, number, score, sensitive are targets."
        ),
    ] = None,
    encoder: Annotated[
        list[str] | None, typer.Option(help="KIND=NAME[,setting=value]: image=timm,model=resnet10t")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="End after this many steps.")] = None,
    epochs: Annotated[float | None, typer.Option(min=0, help="End after this many passes over the data.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="End after this many minutes.")] = None,
    batch: Annotated[
        int | None, typer.Option(min=2, help="Rows a step [256; fewer where rows or time are few].")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, help="The optimiser's own if none is given.")] = None,
    seed: Annotated[int | None, typer.Option(help="Everything random follows from it [0].")] = None,
    deterministic: Annotated[
        bool | None,
        typer.Option(help="The same command twice, the same weights; --no-deterministic may be faster [on]."),
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="auto, 32 or bf16; auto is bf16 where machine and encoder gain by it.")
    ] = None,
    compile: Annotated[str | None, typer.Option(help="auto, on or off.")] = None,
    channels_last: Annotated[str | None, typer.Option(help="auto, on or off.")] = None,
    quarantine: Annotated[
        float | None, typer.Option(min=0, max=1, help="Largest share of unreadable rows [0.01].")
    ] = None,
    outside: Outside = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Train on even when the embeddings have collapsed.")
    ] = False,
    keep: Annotated[
        Literal["last", "best-by-validation"] | None,
        typer.Option(help="The state to keep: last, or the best of eleven, the start among them [last]."),
    ] = None,
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
    trust: Trust = False,
    log: Annotated[
        list[str] | None, typer.Option("--tracker", help="Tell a tracker too: tensorboard, wandb (offline), mlflow.")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train on data of any kind and leave a run folder: encoder, scores, report."""
    chosen = {
        "plan.batch": batch,
        "plan.learning_rate": learning_rate,
        "plan.deterministic": None if deterministic is None else "on" if deterministic else "off",
        "plan.precision": precision,
        "plan.compile": compile,
        "plan.channels_last": channels_last,
        "plan.keep_going": keep_going or None,
        "plan.keep": keep,
        "source.quarantine": quarantine,
        "source.outside": outside or None,
        **pairs(set_, "--set", value),
    }
    settings = {name: value for name, value in chosen.items() if value is not None}
    heard = logger(quiet, as_json, log)
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
            trust_code=trust,
            logger=heard,
        )
        return
    if data is None and recipe is None and config is None:
        raise UserError("nothing to train on. Name a folder or a file: kontrast train pictures/")
    api.train(
        data,
        recipe=recipe,
        config=config,
        trust_code=trust,
        label=label,
        fields=pairs(field, "--field"),
        encoders=encoders(encoder),
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
        command=command(),
        logger=heard,
    )


@app.command()
def demo(
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of training [590].")] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="Minutes of training instead.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder [runs/emoji-1].")] = None,
    quiet: Quiet = False,
) -> None:
    """Two drawings and the names of 1,900 emoji in one space: train, evaluate, index, report, search. Four minutes."""
    from kontrast import api
    from kontrast.cli.demo import show_off

    heard = logger(quiet, False)
    run = api.train(recipe="emoji", steps=steps, minutes=minutes, out=out, command=command(), logger=heard)
    for line in show_off(run):
        say(line)
