"""All encoders of a model with their momentum and reference copies, and what tasks see of them in a step."""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from kontrast.core import containers
from kontrast.core.containers import Data
from kontrast.core.embeddings import Keys
from kontrast.data.view import Batch, View
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.encoder_info import EncoderInfo
from kontrast.encoders.features import Features
from kontrast.encoders.precision_mode import PrecisionMode

Copies = Literal["networks", "momentum", "reference"]


class Encoders(nn.Module):
    """Encoders by key, and the key of each field's encoder; image fields usually share one.

    Precision, memory format and the copies live here, so that all tasks, targets and embedding have them.

    Args:
        networks: Key -> encoder.
        network_of: Field -> key.
        info: What tasks may know of them.

    Attributes:
        mode: How the encoders compute.
        gives_dense: Whether tasks use dense features.
        together: Whether other ranks call the same encoders in step, so that no call may be skipped.
    """

    def __init__(self, networks: Mapping[str, Encoder], network_of: Mapping[str, str], info: EncoderInfo) -> None:
        super().__init__()
        self.networks = nn.ModuleDict(networks)
        self.momentum, self.reference = nn.ModuleDict(), nn.ModuleDict()
        self.network_of, self.info = dict(network_of), info
        self.mode, self.together, self.gives_dense = PrecisionMode(), False, True

    def keep_copies(self, uses: Iterable[str]) -> None:
        """Makes the copies that tasks use, before anything is sharded: "momentum", "reference".

        Dense features are computed only if tasks use them ("dense").
        """
        uses = set(uses)
        self.gives_dense = "dense" in uses
        for network in self.networks.values():
            cast(Encoder, network).gives_dense = self.gives_dense
        self.momentum = self._copied() if "momentum" in uses else self.momentum
        self.reference = self._copied() if "reference" in uses else self.reference
        self.train(self.training)

    def _copied(self) -> nn.ModuleDict:
        return nn.ModuleDict({key: copy.deepcopy(net).requires_grad_(False) for key, net in self.networks.items()})

    def train(self, mode: bool = True) -> "Encoders":
        """Sets the mode of all encoders but the reference, which never trains."""
        super().train(mode)
        for network in self.reference.values():
            network.eval()
        return self

    @torch.no_grad()
    def follow(self, momentum: float) -> None:
        """Moves the momentum copies towards the encoders: copy = m copy + (1 - m) encoder; buffers stay their own."""
        for key, network in self.networks.items():
            for kept, p in zip(self.momentum[key].parameters(), network.parameters(), strict=True):
                kept.lerp_(p.to(kept.dtype), 1 - momentum)

    def encoder(self, field: str) -> Encoder:
        """The encoder that reads a field."""
        return cast(Encoder, self.networks[self.network_of[field]])

    def recompute(self) -> list[str]:
        """Turns on `Encoder.recompute` where possible; returns the keys of the encoders that do it."""
        return [key for key, encoder in self.networks.items() if cast(Encoder, encoder).recompute()]

    def training_where_recomputed(self) -> None:
        """Sets training mode for encoders that recompute, since some do so only in that mode."""
        for encoder in self.networks.values():
            encoder.train(encoder.training or cast(Encoder, encoder).recomputes)

    @contextmanager
    def plain(self) -> Iterator[None]:
        """Context in which the encoders compute in float32, whatever training uses."""
        mode, self.mode = self.mode, PrecisionMode()
        try:
            yield
        finally:
            self.mode = mode

    def forward(self, field: str, data: Data, copies: Copies = "networks") -> Features:
        """Features of a batch of one field's views.

        Args:
            field: Field of the views.
            data: Encoder input of B rows.
            copies: Which encoders: those that learn, their momentum copies, or the frozen copies of the start.
        """
        networks = {"networks": self.networks, "momentum": self.momentum, "reference": self.reference}[copies]
        if self.mode.channels_last:  # converts once: each layer would convert its input, in backward too
            data = containers.apply(_channels_last, data)
        found: Features = networks[self.network_of[field]](data)
        return found if self.gives_dense else Features(found.pooled)


class EncodedViews:
    """What a task is handed: `encoders(batch, names)` gives the features of its views.

    A view is encoded once per pass, whichever tasks ask for it, and not at all if its features are known. Local views
    of one shape are encoded in one call, all others one by one, since a batch norm then sees one view, as in the codes
    of BYOL, MoCo and SimSiam. Rows that lack the field have zeros; no encoder sees them.

    Args:
        encoders: The encoders.
        targets: Whether momentum and reference copies may be asked for.
    """

    def __init__(self, encoders: Encoders, *, targets: bool = False) -> None:
        self._encoders, self._targets = encoders, targets
        self._known: dict[tuple[Copies, View], Features] = {}

    @property
    def together(self) -> bool:
        """Whether other ranks call the same modules in step, so that no call may be skipped."""
        return self._encoders.together

    def __call__(self, batch: Batch, names: Iterable[str]) -> dict[str, Features]:
        """Features of the named views, by their names."""
        return self._all("networks", batch, names)

    def momentum(self, batch: Batch, names: Iterable[str]) -> dict[str, Features]:
        """The same by the momentum copies; in `targets` only, for tasks that use "momentum"."""
        return self._all("momentum", batch, names)

    def reference(self, batch: Batch, names: Iterable[str]) -> dict[str, Features]:
        """The same by the frozen copies of the start; in `targets` only, for tasks that use "reference"."""
        return self._all("reference", batch, names)

    def _all(self, copies: Copies, batch: Batch, names: Iterable[str]) -> dict[str, Features]:
        if copies != "networks" and not self._targets:
            raise RuntimeError(f"encoders.{copies} is for `targets` alone: its features carry no gradient.")
        names = list(names)
        new = [v for v in dict.fromkeys(batch.views[n] for n in names) if (copies, v) not in self._known]
        self._known |= {(copies, v): Features(**known) for v in new if (known := self._looked_up(copies, v))}
        for group in _groups([v for v in new if (copies, v) not in self._known]):
            self._known |= {
                (copies, view): f for view, f in zip(group, self._encoded(copies, group, batch.keys), strict=True)
            }
        return {name: self._known[copies, batch.views[name]] for name in names}

    def _looked_up(self, copies: Copies, view: View) -> Mapping[str, Tensor]:
        """Features that were computed before."""
        return view.known.get(copies, {})

    def _encoded(self, copies: Copies, views: list[View], keys: Keys) -> list[Features]:
        field, rows = views[0].field, len(keys["id"])
        data = views[0].data if len(views) == 1 else containers.joined(view.data for view in views)
        here = keys.get(f"has {field}")
        here = here.repeat(len(views)) if here is not None and not bool(here.all()) else None
        found = self._present(lambda some: self._encoders(field, some, copies), field, data, here)
        if len(views) == 1:
            return [found]
        parts = [[None] * len(views) if part is None else list(part.split(rows)) for part in found]
        return [Features(*part) for part in zip(*parts, strict=True)]

    def _present(self, encode: Callable[[Data], Features], field: str, data: Data, here: Tensor | None) -> Features:
        """Features of the rows that have the field, zeros for the others."""
        if here is None:
            return encode(data)
        at, rows = here.nonzero()[:, 0], len(here)
        if not len(at) and not self.together:
            width, dense = self._encoders.info.widths[field], self._encoders.info.dense.get(field)
            blank = torch.zeros(rows, width, device=here.device)
            return Features(blank, blank.new_zeros(rows, 1, dense), here[:, None]) if dense else Features(blank)
        found = encode(containers.take(data, at))

        def spread(part: Tensor) -> Tensor:
            return part.new_zeros(rows, *part.shape[1:]).index_put((at,), part)

        return Features(spread(found.pooled), *(None if part is None else spread(part) for part in found[1:]))


def _groups(views: list[View]) -> list[list[View]]:
    """Views that are encoded in one call: the third and further ones of a field that share a shape smaller than others.

    Views of the largest shape of their field go one by one.
    """
    largest: dict[str, int] = {}
    for view in views:
        largest[view.field] = max(largest.get(view.field, 0), _size(view))
    groups: dict[Any, list[View]] = {}
    for view in views:
        shapes = tuple(tuple(t.shape) for t in containers.tensors(view.data))
        alone = _size(view) == largest[view.field]
        groups.setdefault(id(view) if alone else (view.field, shapes), []).append(view)
    return list(groups.values())


def _size(view: View) -> int:
    return sum(t.numel() for t in containers.tensors(view.data))


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
