"""Every number that a user can give is carried out, or refused in one sentence before any work."""

import dataclasses
import functools
import json
import math
import shutil
import typing

import numpy as np
import pytest
import torch
from typer.main import get_command

import kontrast.runs.pipeline.pipeline
from kontrast.cli.app import app, value
from kontrast.core import factory, random_streams, registry
from kontrast.core.errors import UserError
from kontrast.core.experiment import Choice, Plan, Source
from kontrast.recipes.choosing import override
from kontrast.runs.pipeline.trial import try_out
from kontrast.training.memory import capacity
from kontrast.training.parameter_count import refuse_beyond
from tests.support.command import call
from tests.support.series import waves

pytestmark = pytest.mark.slow

VALUES = ["0", "-1", str(2**31), str(2**63), str(10**12), str(10**30), "nan", "inf", ""]
SMALL = ["--batch", "8", "--precision", "32", "--channels-last", "off", "--set", 'scores=["knn"]', "--quiet"]
TINY = {
    "image": "resnet,base=8,thin=8",
    "series": "tcn,hidden=8,out=8,depth=2",
    "text": "tokens,width=8,buckets=64",
    "table": "column_mlp",
}


def numeric(hint):
    return hint in (int, float) or any(numeric(part) for part in typing.get_args(hint))


class Begun(Exception):
    """All that was asked for has been looked at, and found to be possible: training would begin now."""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Rows of each kind, and finished runs on each."""
    folder = tmp_path_factory.mktemp("world")
    draw = np.random.default_rng(0)
    kinds = np.arange(24) % 3
    np.savez(folder / "series.npz", series=waves(24, length=16)[0].astype("f4"), label=kinds)
    np.savez(folder / "image.npz", image=draw.integers(0, 255, (24, 8, 8), dtype=np.uint8), label=kinds)
    (folder / "table.csv").write_text(
        "age,pay,label\n" + "".join(f"{n % 7},{n * 0.37 % 1},{n % 3}\n" for n in range(24))
    )
    (folder / "text.csv").write_text("text,label\n" + "".join(f"some words about {n},{n % 3}\n" for n in range(24)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        encoder = f"series={TINY['series']}"
        assert call("train", "series.npz", *SMALL, "--steps", 1, "--encoder", encoder, "--out", "run") == 0
        assert call("index", "run", "--quiet") == 0
    return folder


@pytest.fixture
def begun(world, monkeypatch):
    """Where a run would begin its work, it stops."""
    monkeypatch.chdir(world)
    monkeypatch.setattr(
        registry, "locate", functools.cache(registry.locate)
    )  # the folders of the house stay as they are
    monkeypatch.setattr(registry, "kinds", functools.cache(registry.kinds))

    def stop(*asked):
        try_out(*asked)
        raise Begun

    monkeypatch.setattr(kontrast.runs.pipeline.pipeline, "try_out", stop)


def refused_or_begun(world, capsys, *words):
    """Whether the command came as far as its work; else it said one sentence, and left nothing."""
    before = sorted(p.name for p in world.iterdir())
    capsys.readouterr()
    try:
        code = call(*words, "--out", "new") if words[0] in ("train", "demo", "ablate") else call(*words)
    except Begun:
        shutil.rmtree(world / "new", ignore_errors=True)
        return True
    said = capsys.readouterr().err
    if code == 0:
        return True
    assert code == 2, (words, said)
    assert said.startswith("kontrast: "), (words, said)
    assert said.count("\n") == 1, (words, said)
    assert sorted(p.name for p in world.iterdir()) == before, words
    return False


def flags():
    """Every numeric option of every command."""
    for name, command in get_command(app).commands.items():
        for option in command.params:
            if option.param_type_name == "option" and numeric(option.type_descriptor.annotation):
                yield name, option.opts[0]


COMMANDS = {
    "train": ["train", "series.npz", *SMALL, "--encoder", f"series={TINY['series']}"],
    "demo": ["demo", "--quiet"],
    "embed": ["embed", "run", "series.npz", "--quiet", "--out", "run/e.parquet"],
    "search": ["search", "run", "--like", "one.npz"],
    "compare": ["compare", "run", "run"],
    "prune": ["prune", "."],
    "check": ["check", "simpo"],
    "ablate": [
        *("ablate", "simclr", "--data", "series.npz", "--swap", "tasks.contrast.temperature=0.3"),
        *("--set", "plan.batch=8", "--set", 'scores=["knn"]', "--quiet"),
        *("--encoder", f"series={TINY['series']}"),
    ],
    "instants": ["instants", "run", "series.npz", "--quiet", "--out", "run/instants.parquet"],
    "anomalies": ["anomalies", "run", "series.npz", "--quiet", "--out", "run/scores.parquet"],
    "recommend": ["recommend", "run", "series.npz", "--quiet"],
    "watch": ["watch", "run", "--once"],
    "alone": ["alone", "run"],
}


def test_every_command_with_a_number_is_tried():
    assert {name for name, _ in flags()} == set(COMMANDS)
    assert len(list(flags())) > 15


@pytest.mark.parametrize(("command", "flag"), list(flags()))
def test_every_numeric_flag(world, begun, capsys, command, flag):
    words = COMMANDS[command]
    if command == "train" and flag in ("--batch",):
        words = [word for word in words if word not in ("--batch", "8")]
    taken = [number for number in VALUES if refused_or_begun(world, capsys, *words, flag, number)]
    assert not {"nan", "inf", ""} & set(taken)
    if flag == "--seed":
        assert taken == VALUES[:6]


def settings():
    """Every numeric setting that --set reaches, by the dotted name."""
    for part, made in (("plan", Plan), ("source", Source)):
        hints = typing.get_type_hints(made)
        yield from ((None, f"{part}.{f.name}") for f in dataclasses.fields(made) if numeric(hints[f.name]))
    yield None, "seed"
    for kind, encoder in TINY.items():
        yield from ((kind, f"views.{kind}.{name}") for name in numbers("modalities", kind))
        yield from ((kind, f"encoders.{kind}.{name}") for name in numbers("encoders", encoder.split(",")[0]))
    yield from (("series", f"tasks.contrast.{name}") for name in numbers("tasks", "simclr"))


def numbers(room, name):
    hints = typing.get_type_hints(registry.load(room, name).__init__)
    return [setting for setting, hint in hints.items() if setting != "return" and numeric(hint)]


@pytest.fixture(scope="module")
def asked(world):
    """What a run on each kind is, everything resolved."""
    found = {}

    def keep(model, *_):
        found[kind] = model.experiment
        raise Begun

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(world)
        patch.setattr(kontrast.runs.pipeline.pipeline, "try_out", keep)
        for kind in TINY:
            with pytest.raises(Begun):
                call(*training(kind), "--out", "new")
            shutil.rmtree(world / "new")
    return found


def training(kind):
    return [
        "train",
        f"{kind}.csv" if kind in ("text", "table") else f"{kind}.npz",
        *SMALL,
        "--encoder",
        f"{kind}={TINY[kind]}",
    ]


@pytest.mark.parametrize(("kind", "setting"), list(settings()))
def test_every_numeric_setting(world, asked, begun, capsys, kind, setting):
    kind, taken, said = kind or "series", [], []
    for words in [*VALUES, "NaN", "Infinity", "-Infinity"]:
        try:
            override(asked[kind], {setting: value(words)})
            taken.append(words)
        except UserError as refused:
            said.append(str(refused))
    assert not any("\n" in words for words in said)
    assert not {"nan", "inf", "", "NaN", "Infinity", "-Infinity"} & set(taken)
    for extreme in dict.fromkeys(taken[:1] + taken[-1:]):  # what is not refused at once comes as far as its work
        refused_or_begun(world, capsys, *training(kind), "--set", f"{setting}={extreme}")


@pytest.mark.parametrize(
    "room", ["evaluators", "optimisers", "trackers", "exports", "tasks", "losses", "kernels", "relations"]
)
def test_every_setting_of_what_is_chosen_by_name_refuses_what_is_no_number(room):
    for name in registry.kinds(room):
        made = registry.load(room, name)
        for setting, words, _ in factory.settings_of(made):
            if words.split(" ")[0] in ("int", "float"):
                for value in (math.nan, math.inf, 2**63, -(2**63)) if words.startswith("int") else (math.nan, math.inf):
                    with pytest.raises(UserError, match=rf"{setting}="):
                        factory.check(room, name, {setting: value}, made)


@pytest.mark.parametrize("number", [0, -1, 2**31, 10**12])
def test_numbers_of_judges_are_carried_out_or_refused(world, number):
    """On the banks of a run: what is not refused gives the same table, but for what the number is about."""
    from kontrast.evaluation.evaluate import evaluate
    from kontrast.runs.run import Run

    run = Run(world / "run")
    banks = {w: (run.embeddings(f"{w}-train"), run.embeddings(f"{w}-test")) for w in ("trained", "untrained", "raw")}
    for name in ("knn", "linear", "retrieval", "clustering", "geometry"):
        for setting, words, default in factory.settings_of(registry.load("evaluators", name)):
            asked = [number] if isinstance(default, tuple) else number
            if "int" in words or "float" in words:
                try:
                    factory.check("evaluators", name, {setting: asked})
                except UserError:
                    continue
                assert evaluate([factory.build("evaluators", name, {setting: asked})], banks, 0), (
                    name,
                    setting,
                    number,
                )


def test_a_model_that_no_memory_holds_is_never_built():
    built = []

    def layer(n):
        built.append(torch.nn.Linear(n, n))
        return built[-1]

    with pytest.raises(UserError, match=r"the model needs more than .* lower what is large: encoders.hidden=1000000"):
        refuse_beyond(lambda: layer(10**6), {"encoders": {"hidden": 10**6}}, capacity())
    assert not built  # the hook ended it at the first tensor
    with pytest.raises(UserError, match="20,000 tensors"):
        refuse_beyond(lambda: [layer(2) for _ in range(10**9)], {"depth": 10**9}, capacity())
    refuse_beyond(lambda: layer(4096), {"hidden": 4096}, capacity())
    assert built[-1].weight.is_meta


def test_a_step_that_no_memory_holds_is_refused_before_it(world, capsys, monkeypatch):
    monkeypatch.chdir(world)
    monkeypatch.setattr("kontrast.training.memory.capacity", lambda device=None: 100_000)
    assert call("train", "series.npz", *SMALL, "--out", "new", "--encoder", f"series={TINY['series']}") == 2
    said = capsys.readouterr().err
    assert "a step of 8 rows needs about" in said
    assert "lower --batch" in said
    assert not (world / "new").exists()


def test_any_whole_number_is_a_seed():
    assert [random_streams.folded(n) for n in (0, 7, 2**63 - 1)] == [0, 7, 2**63 - 1]
    others = [random_streams.folded(n) for n in (-1, -2, 2**63, 2**64, 10**30, -(10**30))]
    assert len({0, 7, *others}) == 8
    assert all(0 <= n < 2**63 for n in others)


def test_a_run_with_a_large_seed_is_carried_out_to_its_end(world, capsys, monkeypatch):
    monkeypatch.chdir(world)
    words = [*COMMANDS["train"], "--steps", 1, "--seed", str(-(10**30)), "--out", "seeded"]
    assert call(*words) == 0
    assert json.loads((world / "seeded" / "experiment.json").read_text())["seed"] == -(10**30)
    assert call("replay", "seeded", "--out", "again", "--quiet") == 0


def test_ranges_in_signatures_reach_into_lists_and_alternatives():
    hint = typing.Annotated[int, factory.Range(2, 9)]
    assert [factory.beyond(n, hint | None) for n in (1, 2, 9, 10)] == ["2 to 9", "", "", "2 to 9"]
    assert factory.beyond([3, 1], tuple[hint, ...]) == "2 to 9"
    assert factory.beyond(-1, int) == "0 to 2,147,483,647"
    assert factory.beyond(10**30, float) == ""
    assert factory.beyond(math.inf, float | None) == "a finite number"
    assert factory.beyond(True, int) == ""
    assert Choice("x", {"n": 1}).settings == {"n": 1}
