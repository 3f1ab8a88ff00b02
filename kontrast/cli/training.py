"""Commands that train: train, demo."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kontrast.cli import options
from kontrast.cli.app import AsJson, Outside, Quiet, Trust, app, command, encoders, logger, pairs, say, tasks, value
from kontrast.core.errors import UserError


@app.command()
def train(
    data: options.AnyData = None,
    recipe: options.Recipe = None,
    task: options.Tasks = None,
    config: options.Config = None,
    label: options.Label = None,
    field: options.Fields = None,
    series: options.SeriesColumn = None,
    time: options.TimeColumn = None,
    encoder: options.EncoderChoices = None,
    steps: options.Steps = None,
    epochs: options.Epochs = None,
    minutes: options.Minutes = None,
    batch: options.Batch = None,
    learning_rate: options.LearningRate = None,
    seed: options.Seed = None,
    deterministic: options.Deterministic = None,
    precision: options.PrecisionChoice = None,
    compile: options.Compile = None,
    channels_last: options.ChannelsLast = None,
    quarantine: options.Quarantine = None,
    outside: Outside = False,
    keep_going: options.KeepGoing = False,
    keep: options.Keep = None,
    set_: options.Settings = None,
    out: options.Out = None,
    device: options.Device = "auto",
    devices: options.Devices = None,
    nodes: options.Nodes = 1,
    strategy: options.Strategy = "ddp",
    resume: options.Resume = None,
    trust: Trust = False,
    log: options.Trackers = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train on data of any kind and leave a run folder: encoder, scores, report."""
    settings = _given(
        {
            "plan.batch": batch,
            "plan.learning_rate": learning_rate,
            "plan.deterministic": None if deterministic is None else "on" if deterministic else "off",
            "plan.precision": precision,
            "plan.compile": compile,
            "plan.channels_last": channels_last,
            "plan.keep_going": keep_going or None,
            "plan.keep": keep,
            "source.quarantine": quarantine,
            "source.series": series,
            "source.time": time,
            "source.outside": outside or None,
            **pairs(set_, "--set", value),
        }
    )
    heard = logger(quiet, as_json, log)
    machines: dict[str, Any] = {"device": device, "devices": devices, "nodes": nodes, "strategy": strategy}
    from kontrast import api

    if resume is not None:
        settings |= _given({"plan.steps": steps, "plan.epochs": epochs, "plan.minutes": minutes, "seed": seed})
        api.resume(resume, data=data, settings=settings, trust_code=trust, logger=heard, **machines)
        return
    if data is None and recipe is None and config is None:
        raise UserError("nothing to train on. Name a folder or a file: kontrast train pictures/")
    api.train(
        data,
        recipe=recipe,
        config=config,
        tasks=tasks(task),
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
        command=command(),
        logger=heard,
        **machines,
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


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """The options that the user named."""
    return {name: value for name, value in values.items() if value is not None}
