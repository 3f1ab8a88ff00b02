"""Options of `kontrast train`; other commands that train take some of them too."""

from pathlib import Path
from typing import Annotated, Literal

import typer

AnyData = Annotated[
    str | None,
    typer.Argument(
        metavar="DATA",
        help="A file or folder (pictures, texts, CSV, JSONL, Parquet, .tar shards ...), a .json that mixes or joins"
        " several, a query (sqlite:FILE#QUERY, duckdb:FILE#QUERY, postgresql://USER@HOST/DB#QUERY), hf:NAME@SPLIT.",
    ),
]
Recipe = Annotated[
    str | None, typer.Option(help="Study by name; the data decides if none is given. `kontrast list recipes`.")
]
Tasks = Annotated[
    list[str] | None,
    typer.Option(
        "--task",
        help="NAME[:setting=value,...], once per task: classification:weight=0.5,rows=labelled. Beside its settings a "
        "task has fields, rows, sampler, rows_per_step, weight and mixing.",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(help="A run from a file: .yaml, .json or .toml with the keys of experiment.json, whole or in part."),
]
Label = Annotated[
    str | None,
    typer.Option(help="The column of labels to evaluate by; a recipe such as supcon also learns from it."),
]
Fields = Annotated[
    list[str] | None,
    typer.Option(
        help="COLUMN=KIND where inference is wrong: image, text, series, ignore; group or time splits the rows by "
        "it, weight draws them by it; label, labels, soft, number, score, sensitive are targets."
    ),
]
SeriesColumn = Annotated[
    str | None,
    typer.Option("--series", help="If a row is one instant: the column that says which series it is of."),
]
TimeColumn = Annotated[str | None, typer.Option("--time", help="The column of the times of such rows [their order].")]
EncoderChoices = Annotated[list[str] | None, typer.Option(help="KIND=NAME[,setting=value]: image=timm,model=resnet10t")]
Steps = Annotated[int | None, typer.Option(min=1, help="End after this many steps.")]
Epochs = Annotated[float | None, typer.Option(min=0, help="End after this many passes over the data.")]
Minutes = Annotated[float | None, typer.Option(min=0, help="End after this many minutes.")]
Batch = Annotated[int | None, typer.Option(min=2, help="Rows per step [256; fewer if rows or time are few].")]
LearningRate = Annotated[float | None, typer.Option(min=0, help="Learning rate [the optimiser's own].")]
Seed = Annotated[int | None, typer.Option(help="Seed of all random numbers [0].")]
Deterministic = Annotated[
    bool | None,
    typer.Option(help="Give the same weights each time the command runs; --no-deterministic may be faster [on]."),
]
PrecisionChoice = Annotated[
    str | None, typer.Option(help="auto, 32 or bf16; auto is bf16 if machine and encoder gain by it.")
]
Compile = Annotated[str | None, typer.Option(help="auto, on or off.")]
ChannelsLast = Annotated[str | None, typer.Option(help="auto, on or off.")]
Quarantine = Annotated[float | None, typer.Option(min=0, max=1, help="Largest share of unreadable rows [0.01].")]
KeepGoing = Annotated[bool, typer.Option("--keep-going", help="Train on even if the embeddings have collapsed.")]
Keep = Annotated[
    Literal["last", "best-by-validation"] | None,
    typer.Option(help="The state to keep: last, or the best of eleven, the start among them [last]."),
]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Any setting: tasks.contrast.temperature=0.1")]
Out = Annotated[Path | None, typer.Option(help="The run folder [runs/NAME-1].")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Devices = Annotated[
    int | None, typer.Option(min=1, help="Devices of this machine; those that torchrun or SLURM started if not given.")
]
Nodes = Annotated[int, typer.Option(min=1, help="Machines; each runs this command.")]
Strategy = Annotated[Literal["ddp", "fsdp"], typer.Option(help="ddp, or fsdp to split the encoders over the devices.")]
Resume = Annotated[Path | None, typer.Option(metavar="RUN", help="Continue an interrupted run.")]
Trackers = Annotated[
    list[str] | None,
    typer.Option("--tracker", help="Send the numbers to a tracker too: tensorboard, wandb (offline), mlflow."),
]
