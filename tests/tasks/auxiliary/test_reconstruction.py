"""Reconstruction: small copies and losses against slow float64 loops, by modality."""

import math

import numpy as np
import pytest
import torch

from kontrast.checks.processes import MAIN
from kontrast.core import factory
from kontrast.core.errors import UserError
from kontrast.core.ranks import Ranks
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.modalities.image.image import Image
from kontrast.modalities.series.miniature import small_series
from kontrast.modalities.series.series import Series
from kontrast.modalities.text.text import Text
from kontrast.tasks.auxiliary.reconstruction import Reconstruction
from kontrast.training.step import step
from tests.support.learners import batches_of, learner_of

pytestmark = pytest.mark.quick

RNG = np.random.default_rng(0)
GAPS = np.where(RNG.random(40) < 0.4, np.nan, RNG.standard_normal(40))
CELLS = {
    "image": [RNG.integers(0, 255, (16, 16, 3), dtype=np.uint8) for _ in range(6)],
    "series": [*(RNG.standard_normal(n) for n in (40, 23, 100, 40, 31)), GAPS],
    "text": [f"the {n} red foxes and the {m} lazy dogs" for n, m in zip("abcdef", "ponmlk", strict=True)],
}
KINDS = {"image": Image, "series": Series, "text": Text}
N = 6


def fitted(kind):
    modality = KINDS[kind]()
    items = [modality.read(cell, None) for cell in CELLS[kind]]
    modality.fit(items)
    return modality, modality.preprocess(modality.collate([modality.pack(item) for item in items]))


def errors(kind, z, x, special):
    """Error of each known number, or token, of a row, by loops."""
    if kind == "text":
        tokens = [t for t in x.tolist() if t >= 0 and t not in special]
        return [float(z.logsumexp(0) - z[t]) for t in tokens]
    if kind == "image":
        side = x.shape[-1] // 8
        small = [
            float(x[c, i * side : (i + 1) * side, j * side : (j + 1) * side].double().mean())
            for c in range(len(x))
            for i in range(8)
            for j in range(8)
        ]
        return [(float(s) - wanted) ** 2 for s, wanted in zip(z, small, strict=True)]
    found, length = [], 1 + max(t for t in range(x.shape[1]) if x[:, t].isfinite().any())
    for c in range(len(x)):
        for k in range(32):
            part = [float(x[c, t]) for t in range(length) if t * 32 // length == k and math.isfinite(x[c, t])]
            found += [(float(z[c * 32 + k]) - sum(part) / len(part)) ** 2] if part else []
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_the_mean_error_of_what_is_known_and_the_same_in_passes(kind):
    modality, x = fitted(kind)
    here, values = torch.arange(N) != 1, []
    keys = {"id": torch.arange(N), "has x": here, "content x": torch.arange(N)}
    for passes in (None, 3):
        torch.manual_seed(0)
        net = factory.build("encoders", modality.encoder, {}, given=modality.facts())
        learner = learner_of(Reconstruction, {"x": net}, modalities={"x": modality}, hidden=16).eval()
        seen = x[:, :-2] if kind == "text" else x * 0.9
        batches = batches_of(learner, {"seen": seen, "whole": x}, keys)
        outcome = step(learner, learner, batches, Ranks(), seed=0, passes=passes)
        values.append([outcome.loss, *(p.grad for p in learner.parameters())])
    torch.testing.assert_close(values[0], values[1], rtol=1e-4, atol=1e-5)
    z, special = outcome.rows[MAIN]["seen"].z.detach().double(), modality.facts().get("special", ())
    wanted = [error for n in range(N) if here[n] for error in errors(kind, z[n], x[n], special)]
    assert outcome.anchors == len(wanted)
    assert outcome.loss == pytest.approx(sum(wanted) / len(wanted), rel=1e-4)


def test_a_small_series_does_not_depend_on_the_length_of_its_batch():
    x = torch.tensor(GAPS)[None, None]
    longer = torch.nn.functional.pad(x, (0, 17), value=math.nan)
    torch.testing.assert_close(small_series(longer, {}), small_series(x, {}), equal_nan=True)
    assert small_series(x, {}).isnan().any()


def test_reconstruction_refuses_what_it_cannot_make_small():
    with pytest.raises(UserError, match="such as images; found 'x', a field of graph"):
        Reconstruction(EncoderInfo({"x": 4}, modalities={"x": "graph"}))
