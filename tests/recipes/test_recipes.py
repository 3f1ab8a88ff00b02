"""Every recipe trains on real rows, from its name alone; what it needs and lacks is said before the run."""

import functools
import json

import numpy as np
import pytest

import kontrast as kt
from kontrast.core import registry
from kontrast.core.errors import UserError

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
N, CLASSES = 72, 3
LABEL = np.arange(N) % CLASSES
SOFT = np.eye(CLASSES)[LABEL] * 0.8 + 0.2 / CLASSES

LOSS = "tasks.contrast.loss"


def pictures():
    """Stripes of three directions in noise, (N, 12, 12) uint8."""
    x, y = np.meshgrid(np.arange(12), np.arange(12))
    stripes = [np.sin(x), np.sin(y), np.sin(x + y)]
    made = np.stack([stripes[c] for c in LABEL]) + 0.8 * RNG.standard_normal((N, 12, 12))
    return (60 * made + 128).clip(0, 255).astype("uint8")


def series():
    """Sines of three frequencies in noise, (N, 40)."""
    at = np.linspace(0, 6, 40)
    made = np.stack([np.sin((1 + c) * at + p) for c, p in zip(LABEL, RNG.uniform(0, 6, N), strict=True)])
    return made + 0.3 * RNG.standard_normal((N, 40))


def texts():
    """Sentences of three trades."""
    words = [
        ["bread", "oven", "flour", "dough"],
        ["engine", "wheel", "brake", "road"],
        ["violin", "bow", "chord", "song"],
    ]
    return [" ".join(RNG.choice(words[c], 5)) + f" number {n}" for n, c in enumerate(LABEL)]


KINDS = {"image": pictures, "series": series, "text": texts}
BROUGHT = ("emoji",)  # brings data of its own
PREFERENCES = ("bradley_terry", "bpr", "dpo", "simpo", "cpl", "click")  # tests/recipes/test_preferences.py
PAIRS = ("clip", "clap", "coca", "speech", "cosent", "angle", *PREFERENCES)  # of several fields: tested where these are
SOUNDS = ("cola", "clmr", "byol_a")  # tests/recipes/test_sounds.py
POINTS = ("crosspoint", "pointcontrast", "strl")  # tests/recipes/test_points.py
GRAPHS = ("graphcl",)  # tests/journeys/test_graphs.py
HISTORIES = ("cl4srec", "sasrec")  # tests/runs/test_recommendations.py
VIDEOS = ("cvrl",)  # tests/recipes/test_videos.py
SERIES = ("cost", "cpc", "tfc", "tloss", "tnc", "ts2vec", "ts_tcc")  # tests/tasks/contrastive/, test_series_recipes.py
OWN = (
    *SERIES,
    "simcse",
    "simcse_supervised",
    *SOUNDS,
    *POINTS,
    *GRAPHS,
    *VIDEOS,
    *HISTORIES,
)  # of one modality, with settings of their own
TABLES = ("scarf", "subtab", "vime")  # tests/journeys/test_tables.py
IMAGES = ("rotation", "simclr_rotation_labels", "genscl_mixed")
HEADLESS = (
    "classification",
    "regression",
    "masked",
    "rotation",
    "reconstruction",
)  # predict a target, so no width is a setting
RECIPES = [name for name in registry.kinds("recipes") if name not in (*BROUGHT, *PAIRS, *OWN, *TABLES)]
TAGS = [[*["x", "y"][: 1 + n % 2], f"class {c}"] for n, c in enumerate(LABEL)]
TAUGHT = (SOFT @ RNG.standard_normal((CLASSES, 6))).tolist()
TARGETS = {
    "taught": TAUGHT,
    "age": LABEL * 10.0 + RNG.uniform(0, 5, N),
    "site": np.array(["a", "b"])[RNG.integers(0, 2, N)],
}
FIELDS = {"tags": "labels", "age": "number", "site": "sensitive", "soft": "soft", "label": "label", "taught": "teacher"}


@functools.cache
def table(kind):
    return {kind: KINDS[kind](), "label": LABEL, "soft": SOFT.tolist(), "tags": TAGS, **TARGETS}


def train(tmp_path, kind, recipe, **more):
    settings = {"plan.batch": 24, **more.pop("settings", {})}
    if recipe not in HEADLESS:
        settings.setdefault("tasks.contrast.width", 16)
    fields = {kind: kind, **FIELDS}
    return kt.train(table(kind), recipe=recipe, fields=fields, settings=settings, out=tmp_path / "run", seed=0, **more)


@pytest.mark.parametrize("number", range(len(RECIPES)), ids=RECIPES)
def test_a_recipe_trains_from_its_name_on_a_field_of_any_kind(tmp_path, number):
    kind = "image" if RECIPES[number] in IMAGES else list(KINDS)[number % len(KINDS)]
    run = train(tmp_path, kind, RECIPES[number], steps=3)
    moments = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert [m["step"] for m in moments] == [1, 2, 3]
    assert all(np.isfinite(m["loss"]) and m["anchors"] > 0 for m in moments)
    again = kt.load(run.path)
    rows = table(kind)[kind][:5]
    assert np.isfinite(again.embed({kind: rows}).z[kind]).all()


@pytest.mark.parametrize("recipe", ["supcon", "triplet", "proxy_anchor", "arcface", "multi_similarity"])
def test_labels_teach_what_they_name(tmp_path, recipe):
    run = train(tmp_path, "series", recipe, steps=40, settings={"tasks.contrast.width": 32})
    score = next(row for row in run.scores if row["name"].startswith("kNN"))
    assert score["trained"]["value"] > 0.75, score


@pytest.mark.parametrize(
    ("recipe", "left_out", "words"),
    [
        ("supcon", "label", "--label"),
        ("arcface", "label", "--label"),
        ("rnc", "age", "number"),
        ("fscl", "site", "sensitive"),
    ],
)
def test_a_target_that_no_column_gives_is_asked_for(tmp_path, recipe, left_out, words):
    rows = {name: column for name, column in table("series").items() if name != left_out}
    with pytest.raises(UserError, match=words):
        kt.train(
            rows, recipe=recipe, fields={k: v for k, v in FIELDS.items() if k in rows}, out=tmp_path / "run", steps=1
        )


def test_loss_kernel_and_relation_are_settings_and_a_loss_brings_its_temperature(tmp_path):
    run = train(
        tmp_path,
        "series",
        None,
        steps=2,
        settings={LOSS: "triplet", f"{LOSS}.margin": 0.3},
    )
    method = json.loads((run.path / "experiment.json").read_text())["tasks"]["contrast"]
    assert method["loss"] == {"name": "triplet", "margin": 0.3, "triplets": "all", "soft": False}
    assert method["temperature"] == 0.5
    assert method["kernel"]["name"] == "cosine"
    with pytest.raises(UserError, match="--recipe vicreg"):
        train(tmp_path / "b", "series", None, steps=1, settings={"tasks.contrast.loss": "vicreg"})
    with pytest.raises(UserError, match="did you mean 'triplet'"):
        train(tmp_path / "c", "series", None, steps=1, settings={"tasks.contrast.loss": "tripet"})
    with pytest.raises(UserError, match="no setting 'margn'"):
        train(
            tmp_path / "d",
            "series",
            None,
            steps=1,
            settings={LOSS: "triplet", f"{LOSS}.margn": 1.0},
        )


@pytest.mark.parametrize("suffix", ["json", "yaml", "toml"])
def test_a_run_from_a_file_is_the_run_it_came_from(tmp_path, suffix):
    first = train(tmp_path, "series", "supcon", steps=2)
    whole = json.loads((first.path / "experiment.json").read_text())
    file = tmp_path / f"run.{suffix}"
    if suffix == "toml":
        file.write_text('[method]\nname = "simclr"\nrelation = {name = "same_key", key = "label"}\ntemperature = 0.1\n'
                        'width = 16\n[plan]\nbatch = 24\nsteps = 2\n')  # fmt: skip
    elif suffix == "json":
        file.write_text(json.dumps(whole))
    else:
        import yaml

        file.write_text(yaml.safe_dump(whole))
    second = kt.train(table("series"), config=file, fields={"series": "series", **FIELDS}, out=tmp_path / "two")
    assert json.loads((second.path / "experiment.json").read_text())["tasks"]["contrast"] == whole["tasks"]["contrast"]
    np.testing.assert_array_equal(
        first.embed({"series": table("series")["series"][:4]}).z["series"],
        second.embed({"series": table("series")["series"][:4]}).z["series"],
    )


def test_a_config_that_cannot_be_is_refused_in_words(tmp_path):
    for name, words, message in [
        ("a.yaml", "method: {name: simclr, temprature: 1}", "did you mean 'temperature'"),
        ("b.yaml", "plann: {}", "did you mean 'plan'"),
        ("c.yaml", "method: [", "not YAML"),
        ("d.toml", "method = ", "not TOML"),
        ("e.ini", "x", "expected a .yaml, .yml, .json or .toml file"),
        ("f.json", '{"method": {"name": "os:system", "command": "true"}}', "--trust-code"),
    ]:
        (tmp_path / name).write_text(words)
        with pytest.raises(UserError, match=message):
            kt.train(table("series"), config=tmp_path / name, out=tmp_path / f"run-{name}", steps=1)


def test_the_loss_of_siglip_goes_by_that_name_and_brings_a_learned_temperature_and_bias(tmp_path):
    run = train(tmp_path, "series", None, steps=2, settings={"tasks.contrast.loss": "SigLIP"})
    method = json.loads((run.path / "experiment.json").read_text())["tasks"]["contrast"]
    assert method["loss"]["name"] == "siglip"
    assert method["kernel"]["learnable"] is True
    with pytest.raises(UserError, match="one among the recipes"):
        train(tmp_path / "b", "series", None, steps=1, settings={"tasks.contrast.loss": "supcon"})
