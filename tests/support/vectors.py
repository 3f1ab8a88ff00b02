"""A learner of one task on plain vectors, and its batches: tests of tasks without data, images or runs."""

import torch
from torch import nn

from kontrast.core import factory
from kontrast.data.view import Batch, View
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.encoders import Encoders
from kontrast.encoders.features import Features
from kontrast.training.learner import Learner

IN, OUT, SAMPLES = 8, 6, 16


class Net(Encoder):
    """Vectors of 8 to features of 6, without batch norm or dropout."""

    def __init__(self):
        super().__init__()
        self.width = OUT
        self.net = nn.Sequential(nn.Linear(IN, 12), nn.Tanh(), nn.Linear(12, OUT))

    def forward(self, x):
        return Features(self.net(x))


def learner_of(task, settings=None, **given):
    """A learner of one task on the field x; float64 in the block `doubles()`."""
    info = EncoderInfo({"x": OUT}, {"x": None}, {"x": "x"}, {"x": "series"}, {"x": {}})
    made = factory.build("tasks", task, settings or {}, given={"encoders": info, "samples": SAMPLES, **given})
    return Learner(Encoders({"x": Net()}, {"x": "x"}, info), {"contrast": made}, "contrast")


def batch_of(learner, ids, *, seed=0, content=None, has=None):
    """Views of these samples, drawn from (seed, id) alone, with all keys."""
    ids = torch.as_tensor(ids)
    g = torch.Generator().manual_seed(0)
    base = torch.randn(SAMPLES, IN, generator=g)[ids]
    views = {}
    for k, (name, spec) in enumerate(learner.drawn[""].items()):
        noise = torch.randn(SAMPLES, IN, generator=torch.Generator().manual_seed(100 * seed + k + 1))[ids]
        views[name] = View(spec.field, base + 0.5 * noise)
    present = torch.ones(len(ids), dtype=torch.bool) if has is None else torch.as_tensor(has)
    keys = {"id": ids + 1000, "sample": ids, "has x": present, "label": ids % 4}
    return Batch(views, {**keys, "content x": ids if content is None else torch.as_tensor(content)})
