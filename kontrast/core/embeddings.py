"""Embeddings with the keys of their rows, and loss terms: sums with their counts.

Axis letters, here and below: B samples, P positions, V views, L stacked problems, N anchors, M candidates, D width,
C classes.
"""

from collections.abc import Collection, Mapping
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

    Axis 0 of everything is the sample. Every row has an `id` and a `view`: together they name it on every rank and in
    every queue, so no offset is needed to keep an anchor from meeting itself.

    Attributes:
        z: (B, D), or (B, P, D) with one vector per position (instant, place of a map, token).
        keys: Name -> (B,) or (B, C); beside a z of 3 axes also (B, P). A key `mask`, (B, P) bool, says which positions
            exist; without it all do.
    """

    z: Tensor
    keys: Keys

    def __len__(self) -> int:
        return len(self.z)

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

    def flat(self, positions: Collection[str] = ("mask",)) -> "Embeddings":
        """(B, P, D) -> (B P, D): positions become rows of their own, which `view` distinguishes.

        Args:
            positions: Names of the keys that are (B, P); the value of any other holds at all positions of its sample.
                Default: `mask`.
        """
        B, P = self.z.shape[:2]
        keys = {n: key.flatten() if n in positions else key.repeat_interleave(P, 0) for n, key in self.keys.items()}
        view = keys["view"] + torch.arange(P, device=self.z.device).repeat(B)
        return Embeddings(self.z.flatten(0, 1), {**keys, "view": view})

    def stacked(self, axis: int, positions: Collection[str] = ("mask",)) -> "Stack":
        """(B, P, D) -> separate problems: per sample (axis 0) or per position (axis 1).

        Per sample, the rows are its positions, whose `id` is their number, 0 to P - 1. Per position, the rows are the
        samples with their own `id`.

        Args:
            axis: 0 or 1, the axis of z that the problems lie along.
            positions: Names of the keys that are (B, P); the value of any other holds at all positions of its sample.
                Default: `mask`.

        Example:
            >>> keys = {"id": torch.tensor([7, 8]), "view": torch.zeros(2, dtype=torch.long)}
            >>> rows = Embeddings(torch.zeros(2, 5, 3), keys)
            >>> rows.stacked(0).z.shape, rows.stacked(1).z.shape
            (torch.Size([2, 5, 3]), torch.Size([5, 2, 3]))
        """
        B, P = self.z.shape[:2]
        if axis == 1:
            return Stack(
                self.z.transpose(0, 1),
                {n: key.transpose(0, 1) if n in positions else key[None] for n, key in self.keys.items()},
            )
        keys = {n: key if n in positions else key[:, None].expand(B, P, *key.shape[1:]) for n, key in self.keys.items()}
        return Stack(self.z, {**keys, "id": torch.arange(P, device=self.z.device)[None]})


@dataclass(frozen=True)
class Stack:
    """Separate problems of equal size, which a loss solves at once: rows meet only candidates of their own problem.

    Attributes:
        z: (L, N, D), N rows in each of L problems.
        keys: Name -> (L, N) or (L, N, C); L is 1 if the key is the same in all problems.
    """

    z: Tensor
    keys: Keys

    def __len__(self) -> int:
        """Rows of each problem."""
        return self.z.shape[1]


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
