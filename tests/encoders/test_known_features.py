"""Views whose features are known are not encoded: those of a frozen encoder, and those of the frozen copy."""

import pytest
import torch

from kontrast.core import containers
from kontrast.data.view import Batch, View
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.encoders import EncodedViews
from kontrast.encoders.features import Features
from tests.support.learners import encoders_of

pytestmark = pytest.mark.quick

KNOWN = {"pooled": torch.arange(12.0).view(4, 3), "dense": torch.ones(4, 2, 3), "mask": torch.ones(4, 2).bool()}


class Refusing(Encoder):
    """Must not be called."""

    width = dense_width = 3

    def forward(self, x):
        raise AssertionError("encoded")


class Doubling(Encoder):
    """Twice its input."""

    width = 3

    def forward(self, x):
        return Features(2 * x)


def batch(known):
    view = View("x", torch.ones(4, 3), known=known)
    return Batch({"v": view}, {"id": torch.arange(4)})


@pytest.mark.parametrize("copies", ["__call__", "momentum", "reference"])
def test_known_features_are_looked_up_for_any_copy_of_an_encoder(copies):
    encoders = encoders_of({"x": Refusing()})
    encoders.keep_copies({"momentum", "reference", "dense"})
    seen = EncodedViews(encoders, targets=True)
    known = {"networks" if copies == "__call__" else copies: KNOWN}
    found = getattr(seen, copies)(batch(known), ["v"])["v"]
    for name, value in KNOWN.items():
        assert torch.equal(getattr(found, name), value)


def test_known_features_of_the_reference_are_no_others():
    encoders = encoders_of({"x": Doubling()})
    encoders.keep_copies({"reference"})
    one = batch({"reference": {"pooled": KNOWN["pooled"]}})
    seen = EncodedViews(encoders, targets=True)
    assert torch.equal(seen.reference(one, ["v"])["v"].pooled, KNOWN["pooled"])
    assert torch.equal(seen(one, ["v"])["v"].pooled, torch.full((4, 3), 2.0))


def test_known_features_are_cut_and_moved_and_flattened_with_their_view():
    whole = batch({"networks": KNOWN})
    leaves, rebuild = containers.flattened(whole[slice(1, 3)].to(torch.device("cpu")))
    cut = rebuild(leaves).views["v"]
    for name, value in KNOWN.items():
        assert torch.equal(cut.known["networks"][name], value[1:3])
