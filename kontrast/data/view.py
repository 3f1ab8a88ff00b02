"""Views: what a task asks for, and what it gets: data with the keys that hold for it alone."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from kontrast.core import containers
from kontrast.core.choice import Choice
from kontrast.core.containers import Data
from kontrast.core.embeddings import Keys

Role = Literal["global", "local", "weak", "strong", "context", "original"]
"""How a view differs from its sample, in the units of each modality.

global: the modality's own augmentation. local: a smaller part (a small crop, a short window, a span of tokens). weak: a
light change that leaves the content. strong: the strongest change that leaves the meaning. context: what surrounds the
part that is predicted (the past of a series). original: no augmentation.
"""


@dataclass(frozen=True, eq=False)
class View:
    """A view of B samples. Views are equal only to themselves, so that each is encoded once per pass.

    Attributes:
        field: Field that it shows.
        data: (B, ...) encoder input: a tensor or a container.
        keys: Keys that hold for this view alone, name -> (B, ...): the soft labels of mixed rows, the turn of a
            rotated image.
        known: Features that need not be computed, since the encoder is frozen and nothing augments the view: copy of
            the encoder ("networks", "reference") -> "pooled" (B, D), "dense" (B, P, E), "mask" (B, P).
    """

    field: str
    data: Data
    keys: Keys = dataclasses.field(default_factory=dict)
    known: Mapping[str, Mapping[str, Tensor]] = dataclasses.field(default_factory=dict)

    def __getitem__(self, rows: Any) -> "View":
        keys = {name: key[rows] for name, key in self.keys.items()}
        return View(self.field, containers.take(self.data, rows), keys, containers.take(dict(self.known), rows))


@dataclass(frozen=True)
class ViewSpec:
    """A view that a task asks for.

    Attributes:
        field: Field to show.
        role: How the view differs from its sample.
        augmentation: Augmentation in place of the modality's own for this role; None for the modality's own.
        mixing: How each row is mixed with another one afterwards; None: not at all.
    """

    field: str
    role: Role = "global"
    augmentation: Choice | None = None
    mixing: Choice | None = None


@dataclass(frozen=True, eq=False)
class Batch:
    """Views and keys of B samples.

    Attributes:
        views: Name -> view.
        keys: Key -> (B,) or (B, C), of the samples.
        partners: View -> the rows that its rows will be mixed with, before views are drawn.
    """

    views: Mapping[str, View]
    keys: Keys
    partners: Mapping[str, "Batch"] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.keys["id"])

    def __getitem__(self, rows: slice) -> "Batch":
        keys = {name: key[rows] for name, key in self.keys.items()}
        partners = {name: other[rows] for name, other in self.partners.items()}
        return Batch({name: view[rows] for name, view in self.views.items()}, keys, partners)

    def to(self, device: torch.device) -> "Batch":
        """Copies the batch to a device; float64 keys become float32 on MPS."""

        def key(k: Tensor) -> Tensor:
            k = k.float() if device.type == "mps" and k.dtype == torch.float64 else k  # MPS has no float64
            return k.to(device, non_blocking=True)

        def view(v: View) -> View:
            data, known = (
                containers.apply(lambda t: t.to(device, non_blocking=True), part) for part in (v.data, dict(v.known))
            )
            return View(v.field, data, {n: key(k) for n, k in v.keys.items()}, known)

        keys = {name: key(one) for name, one in self.keys.items()}
        partners = {name: other.to(device) for name, other in self.partners.items()}
        return Batch({name: view(one) for name, one in self.views.items()}, keys, partners)


pytree.register_pytree_node(
    View, lambda v: ([v.data, dict(v.keys), dict(v.known)], v.field), lambda parts, name: View(name, *parts)
)
pytree.register_pytree_node(Batch, lambda b: ([dict(b.views), dict(b.keys)], None), lambda parts, _: Batch(*parts))
