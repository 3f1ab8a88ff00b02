"""Embeddings and the keys of their rows travel together; sums travel with their counts, so that only the ranks divide.

Axis letters, here and below: B samples, V views, L stacked problems, N anchors, M candidates, D width, C classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

Keys = Mapping[str, Tensor]


def exact(x: Tensor) -> Tensor:
    """In float64, in which sums and counts travel; MPS has none, and keeps its own."""
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
        """The same rows, cut from the graph."""
        return replace(self, z=self.z.detach())

    @staticmethod
    def stack(*parts: "Embeddings") -> "Embeddings":
        """All rows of all parts, one after the other; the keys are those of the first part."""
        keys = {name: torch.cat([part.keys[name] for part in parts]) for name in parts[0].keys}
        return Embeddings(torch.cat([part.z for part in parts]), keys)

    def flat(self) -> "Embeddings":
        """(B, V, D) -> (B V, D): crops or instants become rows of their own, told apart by `view`."""
        B, V = self.z.shape[:2]
        keys = {name: key.repeat_interleave(V, 0) for name, key in self.keys.items()}
        return Embeddings(
            self.z.flatten(0, 1), {**keys, "view": keys["view"] + torch.arange(V, device=self.z.device).repeat(B)}
        )


@dataclass(frozen=True)
class LossTerm:
    """A sum and what it is to be divided by, once all ranks have added theirs.

    weight: its part in the objective. negatives: how many pairs repelled, for who wants to know how many that is an
    anchor. chance: the sum over anchors of what embeddings that know nothing would lose, for the loss curve; None of a
    loss that has no such value.
    """

    total: Tensor
    count: Tensor
    weight: float = 1.0
    negatives: Tensor | float = 0.0
    chance: Tensor | float | None = None

    def __rmul__(self, weight: float) -> "LossTerm":
        return replace(self, weight=weight * self.weight)

    def value(self) -> Tensor:
        """The mean itself, for who trains in one process; no anchor with a positive is an error in words."""
        if not self.count:
            raise ValueError("no anchor has a positive: draw several views, or several samples of one key, per batch.")
        return self.weight * self.total / self.count
