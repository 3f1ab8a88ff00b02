"""Shared part of methods that compare samples with learned class centres."""

from abc import ABC
from collections.abc import Mapping

from torch import Tensor

from kontrast.core.embeddings import Embeddings
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.features import Features
from kontrast.layers.proxies import Proxies
from kontrast.tasks.one_field import OneField


class Centred(OneField, ABC):
    """Compares embeddings with a learned centre per class; subclasses add the loss.

    Needs labels. The compared embedding itself is served, since training shapes exactly this one.

    Args:
        encoders: Facts of the encoder of the one field.
        classes: Number of classes.
        views: Views of each sample.
        hidden: Width of the head's hidden layer; 0 for a linear head.
        width: Width of the embeddings and centres.
    """

    needs = frozenset({"label"})

    def __init__(self, encoders: EncoderInfo, *, classes: int, views: int, hidden: int, width: int) -> None:
        super().__init__(encoders, views=views, hidden=hidden, width=width)
        self.centres = Proxies(classes=classes, width=width)

    def embed(self, field: str, features: Features) -> Tensor:
        """The embedding that is compared with the centres."""
        return self.head(features.pooled)

    def positive_pairs(self, out: Mapping[str, Embeddings]) -> list[tuple[Embeddings, Embeddings]]:
        """Each sample with a known class, and its centre."""
        ours = with_class(self.having(next(iter(out.values()))))
        return [(ours, self.centres().detach()[ours.keys["label"]])]


def with_class(rows: Embeddings) -> Embeddings:
    """The rows whose class is known."""
    return rows[rows.keys["label"] >= 0]
