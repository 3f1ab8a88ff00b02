"""Embeddings with the keys of their rows, and loss terms: sums with their counts.

Axis letters, here and below: B samples, V views, L stacked problems, N anchors, M candidates, D width, C classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

Keys = Mapping[str, Tensor]


def exact(x: Tensor) -> Tensor:
    """Casts to float64 for sums and counts; MPS has no float64 and keeps its dtype."""
    return x if x.device.type == "mps" else x.double()


@dataclass(frozen=True)
class Embeddings:
    """Embeddings with the keys of their rows, so that filter, stack, gather and queue cannot misalign them.

    z is (N, D), or (L, N, D) for a stack of problems; a key is (N,) or (N, C), in a stack (L or 1, N) or (L or 1, N,
    C).
    Every row has an `id` and a `view`: together they name it on every rank and in every queue, so no offset is needed
    to keep an anchor from meeting itself.
    """

    z: Tensor
    keys: Keys

    def __len__(self) -> int:
        return self.z.shape[-2]

    def __getitem__(self, index: Any) -> "Embeddings":
        return Embeddings(self.z[index], {name: key[index] for name, key in self.keys.items()})

    def detach(self) -> "Embeddings":
        """The same rows without gradient."""
        return replace(self, z=self.z.detach())

    @staticmethod
    def stack(*parts: "Embeddings") -> "Embeddings":
        """Concatenates the rows of all parts; keeps the keys of the first part."""
        keys = {name: torch.cat([part.keys[name] for part in parts]) for name in parts[0].keys}
        return Embeddings(torch.cat([part.z for part in parts]), keys)

    def flat(self) -> "Embeddings":
        """(B, V, D) -> (B V, D): crops or instants become rows of their own, which `view` distinguishes."""
        B, V = self.z.shape[:2]
        keys = {name: key.repeat_interleave(V, 0) for name, key in self.keys.items()}
        return Embeddings(
            self.z.flatten(0, 1), {**keys, "view": keys["view"] + torch.arange(V, device=self.z.device).repeat(B)}
        )


@dataclass(frozen=True)
class LossTerm:
    """A sum and its count, to be divided after all ranks have added theirs.

    Attributes:
        total: Sum of the loss over anchors.
        count: Number of anchors.
        weight: Factor of this term in the objective.
        negatives: Number of negative pairs; divide by `count` for the mean per anchor.
        chance: Sum over anchors of the loss of embeddings without information, for the loss curve; None if undefined.
    """

    total: Tensor
    count: Tensor
    weight: float = 1.0
    negatives: Tensor | float = 0.0
    chance: Tensor | float | None = None

    def __rmul__(self, weight: float) -> "LossTerm":
        return replace(self, weight=weight * self.weight)

    def value(self) -> Tensor:
        """Single-process mean.

        Raises:
            ValueError: no anchor has a positive.
        """
        if not self.count:
            raise ValueError("no anchor has a positive: draw several views, or several samples of one key, per batch.")
        return self.weight * self.total / self.count
