"""Every kind in every room meets the same suite the moment its file exists."""

import re
from typing import get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from kontrast.checks.processes import single_task
from kontrast.core import containers, factory, random_streams, registry
from kontrast.core.clock import Clock
from kontrast.core.containers import cloned
from kontrast.core.errors import Unreadable, UserError
from kontrast.core.ranks import Ranks
from kontrast.data.augmentation import streams_of
from kontrast.data.dataset.drawing import Drawing
from kontrast.data.packed_row import arrays
from kontrast.data.view import Batch, Role, View, ViewSpec
from kontrast.encoders.encoder import Encoder
from kontrast.tasks.preference.preference_task import PreferenceTask
from kontrast.training.step import step
from tests.support.learners import batches_of, encoders_of

ROOMS = registry.rooms()
IMAGES_ONLY, SERIES_ONLY = ("blur", "cutout"), ("jitter_scale", "permutation")
# Tasks of one kind of data; fields that a task predicts, and never encodes.
ALONE = {name: ["series"] for name in ("cost", "cpc", "tfc", "tloss", "tnc", "ts2vec", "ts_tcc")}
ALONE |= {"ctc": ["series", "text"], "next_item": ["history"], "vime": ["table"]}
ALONE |= {"pointcontrast": ["points"]}
# Settings of the encoder that a task needs.
ENCODER = {"cpc": {"causal": True}}
PREDICTED = {"captioning": ["text"], "ctc": ["text"]}
GRAPH = (
    r'<svg [^>]*viewBox[^>]*><path d="(M\d+ \d+L\d+ \d+)*"[^>]*></path>'
    r"(<circle [^>]*><title>\w+</title></circle>)+</svg>"
)
# What a page shows of one row: a picture of its own, a drawing, the words.
SHOWN = {
    "image": r'<img alt="" src="data:image/png;base64,[A-Za-z0-9+/=]{40,}">',
    "series": r"<svg [^>]*viewBox[^>]*>(<path d=\"M[^\"]+\"[^>]*>(</path>)?)+</svg>",
    "text": r"[\w<>\[\]· ]+",
    "points": r'<img alt="[\w, ]+" src="data:image/png;base64,[A-Za-z0-9+/=]{40,}">',
    "history": r"[\w\[\]]+( · [\w\[\]]+)*",
    "table": r"(\w+: [\w.+-]+<br>)+\w+: [\w.+-]+",
    "graph": GRAPH,
    "molecule": rf"{GRAPH}|<svg [^>]*viewBox[^>]*>.*<path .*</svg>",
    "audio": r'(<span class="sound">)?<img alt="[\w. ]+" src="data:image/png;base64,[A-Za-z0-9+/=]{40,}">'
    r'(<audio controls [^>]*src="data:audio/wav;base64,[A-Za-z0-9+/=]{40,}"></audio></span>)?',
    "video": r'<img alt="video of \d+ frames" src="data:image/webp;base64,[A-Za-z0-9+/=]{40,}">',
}


def cells_of(kind, n=12):
    """Plausible cells of a modality, as it gives them itself."""
    return registry.load("modalities", kind).examples(n)


def fitted(kind, **settings):
    modality = factory.build("modalities", kind, settings)
    cells = cells_of(kind)
    items = [modality.read(cell, None) for cell in cells]
    modality.fit(items)
    return modality, [modality.pack(item) for item in items]


def same(one, other, **how):
    """Whether views are equal, tensor by tensor."""
    torch.testing.assert_close(containers.tensors(one), containers.tensors(other), equal_nan=True, **how)


def differ(one, other):
    """Whether a tensor of one view has another shape or other numbers than that of the other."""
    pairs = zip(containers.tensors(one), containers.tensors(other), strict=True)
    return any(a.shape != b.shape or not torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs)


@pytest.mark.quick
@pytest.mark.parametrize("kind", ROOMS["modalities"])
def test_a_modality_keeps_its_contract(kind):
    modality, packed = fitted(kind)
    assert len({tuple((name, a.dtype, a.shape[1:]) for name, a in arrays(p).items()) for p in packed}) == 1
    batch = modality.collate(packed)
    assert len(batch) == len(packed)
    ids = torch.arange(len(packed)) + 100
    views = modality.augment(cloned(batch), random_streams.key(0, 0, ids, 0))
    again = modality.augment(cloned(batch), random_streams.key(0, 0, ids, 0))
    same(views, again, rtol=0, atol=0)
    assert differ(views, modality.augment(cloned(batch), random_streams.key(0, 1, ids, 0)))
    raw = modality.raw(cloned(batch))
    assert raw.shape[0] == len(packed)
    assert torch.isfinite(raw).all()
    shown = [modality.show(row) for row in packed[:2]] + [modality.look(containers.take(views, k)) for k in (0, 1)]
    assert all(re.fullmatch(SHOWN[kind], html) for html in shown), shown
    assert len({*shown[:2]}) == len({*shown[2:]}) == 2  # of two rows, two pictures
    twin = factory.build("modalities", kind, {})
    twin.restore(modality.state())
    same(twin.preprocess(cloned(batch)), modality.preprocess(cloned(batch)))
    assert twin.facts() == modality.facts()
    registry.load("encoders", modality.encoder)
    with pytest.raises(Unreadable):
        modality.read(object(), None)


@pytest.mark.quick
@pytest.mark.parametrize("role", get_args(Role))
@pytest.mark.parametrize("kind", ROOMS["modalities"])
def test_a_modality_answers_every_role_and_its_encoder_takes_the_view(kind, role):
    modality, packed = fitted(kind)
    batch = modality.collate(packed)
    keys, row = (random_streams.key(0, 0, torch.arange(len(packed)), view) for view in (0, -1))
    seen = modality.augment(cloned(batch), keys, row, role)
    plain = modality.preprocess(cloned(batch))
    assert [t.ndim for t in containers.tensors(seen)] == [t.ndim for t in containers.tensors(plain)]
    assert len(seen) == len(batch)
    same(seen, modality.augment(cloned(batch), keys, row, role), rtol=0, atol=0)
    assert re.fullmatch(SHOWN[kind], modality.look(containers.take(seen, 0)))
    encoder = factory.build("encoders", modality.encoder, {}, given=modality.facts()).eval()
    assert torch.isfinite(encoder(seen).pooled).all()


@pytest.mark.quick
@pytest.mark.parametrize("name", ROOMS["augmentations"])
@pytest.mark.parametrize("kind", ["image", "series"])
def test_an_augmentation_changes_each_row_by_its_own_key_alone(name, kind):
    home = registry.locate("augmentations", name).module.split(".")[2]
    if home not in ("image", "series"):
        pytest.skip(f"tests/modalities/{home}/ has its own")
    modality, packed = fitted(kind)
    x = modality.preprocess(modality.collate(packed))
    change, keys = factory.build("augmentations", name, {}), random_streams.key(0, 0, torch.arange(len(x)), 0)
    streams = streams_of(keys)
    other = {"series": IMAGES_ONLY, "image": SERIES_ONLY}[kind]
    if name in other:
        with pytest.raises(UserError, match=f"{name}: expected {'images' if kind == 'series' else 'series'}"):
            change(x.clone(), streams)
        return
    seen = change(x.clone(), streams)
    assert (seen.shape, seen.dtype) == (x.shape, x.dtype)
    assert torch.equal(seen.isnan(), x.isnan())
    assert not torch.equal(seen.nan_to_num(), x.nan_to_num())
    torch.testing.assert_close(change(x.clone(), streams), seen, equal_nan=True, rtol=0, atol=0)
    torch.testing.assert_close(change(x[3:5].clone(), streams[3:5]), seen[3:5], equal_nan=True, rtol=0, atol=1e-5)
    named = factory.build("modalities", kind, {"augmentation": {"name": name}})
    named.fit([modality.read(cell, None) for cell in cells_of(kind)])
    batch = modality.collate(packed)
    assert not torch.equal(named.augment(batch, keys).nan_to_num(), modality.augment(batch, keys).nan_to_num())


def built(name):
    """An encoder with small settings, for the modality that takes it by default or can feed it."""
    settings = {"timm": {"model": "test_resnet"}, "onnx": None, "transformer": None, "speech_model": None}.get(name, {})
    if settings is None:
        pytest.skip("needs pretrained weights; tests/encoders/ has the real ones")
    sounds = dict.fromkeys(("spectrogram_transformer", "sample_cnn"), "audio")
    nets = dict.fromkeys(("gcn", "gat", "sage"), "graph")
    other = {
        "causal_lm": "text",
        "dilated_cnn": "series",
        "trend_season_cnn": "series",
        "time_frequency": "series",
        "ft_transformer": "table",
        "dgcnn": "points",
        **sounds,
        **nets,
    }.get(name, "image")
    kind = next((k for k in ROOMS["modalities"] if registry.load("modalities", k).encoder == name), other)
    modality, packed = fitted(kind, **registry.load("encoders", name).wants(settings))
    torch.manual_seed(0)
    encoder = factory.build("encoders", name, settings, given=modality.facts())
    return encoder, modality, modality.collate(packed)


@pytest.mark.quick
@pytest.mark.parametrize("name", ROOMS["encoders"])
def test_an_encoder_keeps_its_contract(name):
    encoder, modality, batch = built(name)
    assert isinstance(encoder, Encoder)
    x = modality.preprocess(cloned(batch))
    z = encoder(x).pooled
    assert z.shape == (len(batch), encoder.width)
    z.float().square().sum().backward()
    grads = [p.grad for p in encoder.parameters() if p.requires_grad]
    assert any(g is not None and g.abs().sum() > 0 for g in grads)
    encoder.eval()
    with torch.no_grad():
        torch.testing.assert_close(
            encoder(x).pooled[3:4], encoder(containers.take(x, slice(3, 4))).pooled, rtol=1e-4, atol=1e-5
        )
    states = load(save({k: v.contiguous() for k, v in encoder.state_dict().items()}))
    encoder.load_state_dict(states)
    assert 0 < encoder.pace <= 1


@pytest.mark.parametrize("kind", ROOMS["modalities"])
def test_views_that_are_drawn_together_are_those_drawn_one_by_one(kind):
    modality, packed = fitted(kind)
    batch = Batch({"x": View("x", modality.collate(packed))}, {"id": torch.arange(len(packed)) + 7})
    draws = {name: ViewSpec("x") for name in ("first", "second", "third")}
    found = Drawing(draws, {"x": modality}, seed=3)(batch, 2)
    assert list(found.views) == list(draws)
    row = random_streams.key(3, 2, batch.keys["id"], -1)
    for number, view in enumerate(draws):
        data = cloned(batch.views["x"].data)
        alone = modality.augment(data, random_streams.key(3, 2, batch.keys["id"], number), row)
        same(found.views[view].data, alone, rtol=0, atol=1e-5)


def trial_of(name):
    """Field -> modality of a task's trial, and the encoder of all fields if the task needs one."""
    made = registry.load("tasks", name)
    if issubclass(made, PreferenceTask):  # names its fields
        return dict.fromkeys(("chosen", "rejected", "anchor")[: made.min_fields], "text"), "causal_lm"
    kinds = ALONE.get(name, ["image", "text", "series"][: made.max_fields])
    return {kind: kind for kind in kinds}, None


@pytest.mark.parametrize("name", ROOMS["tasks"])
def test_a_task_takes_a_step_and_every_encoder_gets_a_gradient(name):
    kinds, chosen = trial_of(name)
    made = {field: fitted(kind) for field, kind in kinds.items()}
    encoders = {
        field: factory.build("encoders", chosen or m.encoder, ENCODER.get(name, {}), given=m.facts())
        for field, (m, _) in made.items()
    }
    held = encoders_of(encoders, modalities={field: m for field, (m, _) in made.items()})
    facts = {"classes": 3, "class_counts": [4, 4, 4], "samples": 12, "encoders": held.info}
    facts["target_facts"] = {"label": {"classes": 3}, "number": {"mean": 2.0, "std": 1.4}, "teacher": {"width": 5}}
    learner = single_task(factory.build("tasks", name, {}, given=facts), held)
    n = 12
    keys = {"id": torch.arange(n), "label": torch.arange(n) % 3, "score": torch.arange(n).double() % 5}
    keys |= {"sample": torch.arange(n), "number": keys["score"], "teacher": torch.randn(n, 5)}
    for number, kind in enumerate(kinds):
        everyone = torch.ones(n, dtype=torch.bool)
        has = everyone if len(kinds) == 1 else torch.arange(n) % 4 != number
        keys |= {f"has {kind}": has, f"content {kind}": torch.arange(n)}
    views = {}
    for number, (view, spec) in enumerate(learner.served.views().items()):
        modality, packed = made[spec.field]
        key_B = random_streams.key(0, 0, keys["id"], number)
        views[view] = modality.augment(modality.collate(packed), key_B, None, spec.role)
    learner.begin(Clock(0, 0.0))
    outcome = step(learner, learner, batches_of(learner, views, keys), Ranks(), seed=0)
    assert np.isfinite(outcome.loss)
    assert outcome.anchors > 0
    for kind, encoder in encoders.items():
        reached = sum(float(p.grad.abs().sum()) for p in encoder.parameters() if p.grad is not None) > 0
        assert reached != (kind in PREDICTED.get(name, ())), kind
    pairs = learner.positive_pairs(outcome.rows)
    assert all(len(one) == len(two) for one, two in pairs)
    learner.after_update(outcome.rows, Ranks())
    learner.eval()
    for kind in kinds:
        modality, packed = made[kind]
        assert torch.isfinite(learner.embed(kind, modality.preprocess(modality.collate(packed)))).all()


@pytest.mark.quick
@pytest.mark.parametrize(
    "room",
    [
        "aggregators",
        "augmentations",
        "encoders",
        "tasks",
        "kernels",
        "losses",
        "modalities",
        "teachers",
        "optimisers",
        "evaluators",
    ],
)
def test_every_kind_refuses_a_setting_it_does_not_know(room):
    for name in ROOMS[room]:
        with pytest.raises(UserError, match="has no setting 'wobble'"):
            factory.build(room, name, {"wobble": 1})


def test_a_star_compares_everything_to_its_centre_only():
    kinds = ["image", "text", "series"]
    made = {kind: fitted(kind) for kind in kinds}
    encoders = {kind: factory.build("encoders", m.encoder, {}, given=m.facts()) for kind, (m, _) in made.items()}
    info = encoders_of(encoders).info
    star = factory.build("tasks", "clip", {"around": "text"}, given={"encoders": info})
    assert star.pairs == [("image", "text"), ("text", "series")]
    with pytest.raises(UserError, match="did you mean 'text'"):
        factory.build("tasks", "clip", {"around": "txet"}, given={"encoders": info})
