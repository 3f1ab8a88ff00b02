"""Made-up fields for checks of tasks: rows, views and a small encoder without batch norm or dropout, by modality."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn

from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features

SIDE, WIDTH, VOCABULARY, LENGTH, INSTANTS, POINTS = 8, 6, 20, 7, 24, 20


class TinyImages(Encoder):
    """Pictures of 8 pixels to a map of 2 x 2, without batch norm or dropout."""

    width, dense_width = WIDTH, WIDTH

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Conv2d(3, WIDTH, 4, stride=4)

    def forward(self, x: Tensor) -> Features:
        """Features of (B, 3, 8, 8) pictures."""
        dense = torch.tanh(self.net(x)).flatten(2).transpose(1, 2)
        return Features(dense.mean(1), dense)


class TinyTexts(Encoder):
    """Vectors of tokens, changed each and averaged."""

    width, dense_width = WIDTH, WIDTH

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.net = nn.Embedding(VOCABULARY, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Features:
        """Features of (B, L) tokens, -1 after the end."""
        here = x >= 0
        dense = torch.tanh(self.net(self.tokens(x.clamp_min(0)))) * here[:, :, None]
        return Features(dense.sum(1) / here.sum(1, keepdim=True).clamp_min(1), dense, here)


class TinySeries(Encoder):
    """Series to a vector per instant, of it and the past, and their mean, which do not depend on padding."""

    width, dense_width, causal = WIDTH, WIDTH, True

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Conv1d(1, WIDTH, 3)

    def forward(self, x: Tensor) -> Features:
        """Features of (B, 1, T) series, NaN for gaps and after the end."""
        here = x.isfinite().any(1)
        dense = torch.tanh(self.net(nn.functional.pad(x.nan_to_num(0.0), (2, 0)))).mT * here[..., None]
        return Features(dense.sum(1) / here.sum(1, keepdim=True).clamp_min(1), dense, here)


class TinyPoints(Encoder):
    """Clouds to a vector per point and their mean."""

    width, dense_width = WIDTH, WIDTH

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Conv1d(3, WIDTH, 1)

    def forward(self, x: Tensor) -> Features:
        """Features of (B, 3, P) clouds."""
        dense = torch.tanh(self.net(x)).mT
        return Features(dense.mean(1), dense)


class TinyField(NamedTuple):
    """A modality in made-up rows.

    Attributes:
        encoder: Makes its encoder.
        facts: What tasks know of it.
        rows: Number of rows, generator -> the rows.
        view: Rows, generator -> a view of them.
    """

    encoder: Callable[[], Encoder]
    facts: Mapping[str, Any]
    rows: Callable[[int, Generator], Tensor]
    view: Callable[[Tensor, Generator], Tensor]


def _pictures(n: int, g: Generator) -> Tensor:
    return torch.randn(n, 3, SIDE, SIDE, generator=g).double()


def _noisy(x: Tensor, g: Generator) -> Tensor:
    return x + 0.3 * torch.randn(x.shape, generator=g).double()


def _texts(n: int, g: Generator) -> Tensor:
    """Texts of 1 to LENGTH tokens, the longest in the first row."""
    length = torch.randint(1, LENGTH + 1, (n, 1), generator=g)
    length[:1] = LENGTH
    drawn = torch.randint(0, VOCABULARY, (n, LENGTH), generator=g)
    return drawn.masked_fill(torch.arange(LENGTH) >= length, -1)


def _other_words(x: Tensor, g: Generator) -> Tensor:
    """Texts with a tenth of their tokens replaced."""
    drawn = torch.randint(0, VOCABULARY, x.shape, generator=g)
    return torch.where((x >= 0) & (torch.rand(x.shape, generator=g) < 0.1), drawn, x)


def _series(n: int, g: Generator) -> Tensor:
    """Series of INSTANTS / 2 to INSTANTS instants, the longest in the first row."""
    length = torch.randint(INSTANTS // 2, INSTANTS + 1, (n, 1, 1), generator=g)
    length[:1] = INSTANTS
    walk = torch.randn(n, 1, INSTANTS, generator=g).double().cumsum(2)
    return walk.masked_fill(torch.arange(INSTANTS) >= length, torch.nan)


def _clouds(n: int, g: Generator) -> Tensor:
    return torch.randn(n, 3, POINTS, generator=g).double()


FIELDS = {
    "image": TinyField(TinyImages, {"channels": 3, "size": SIDE}, _pictures, _noisy),
    "text": TinyField(
        TinyTexts, {"vocabulary": VOCABULARY, "spellings": (), "special": (), "mask": None}, _texts, _other_words
    ),
    "series": TinyField(TinySeries, {"channels": 1, "length": INSTANTS}, _series, _noisy),
    "points": TinyField(TinyPoints, {"channels": 3, "points": POINTS}, _clouds, _noisy),
}
"""Modality -> its made-up field."""
