"""The contract of a mixing: each row of a view becomes partly another row of the batch of all ranks."""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from kontrast.core import factory
from kontrast.core.choice import Choice
from kontrast.core.embeddings import Keys
from kontrast.core.errors import UserError
from kontrast.core.random_streams import Streams
from kontrast.data.view import View

MixingChoice = Annotated[Choice, "mixings"]
_TAUGHT = "teacher"  # first word of the keys that a teacher gives
_BRANCH = 2000  # of a row's random numbers: apart from those of modalities and augmentations


class Mixing(ABC):
    """Mixes each row of a view with one other row, its partner.

    Constructor parameters are settings. A row's result depends on the two rows and the row's streams alone; partners
    come from `Sampler.partners`, so that it is the same on any number of ranks.
    """

    ROOM = "mixings"

    partners: ClassVar[int] = 1
    """Number of other rows that each row needs."""

    @abstractmethod
    def __call__(self, x: Tensor, other: Tensor, streams: Streams) -> tuple[Tensor, Tensor]:
        """Mixes rows with their partners; `x` and `other` stay as they are.

        Args:
            x: Rows of a view, (B, ...) float, normalised; NaN marks what is absent in a series.
            other: Partner of each row in a view of the same shape.
            streams: Random streams of the rows.

        Returns:
            The mixed rows, shaped as `x`, and lambda: the share of each row in them, (B,) float32 in [0, 1].
        """


def mixing_of(chosen: Choice | None) -> Mixing | None:
    """The mixing of that name, if one is chosen."""
    return None if chosen is None else factory.build("mixings", chosen.name, chosen.settings)


def mix(
    mixing: Mixing, one: View, other: View, keys: Keys, other_keys: Keys, streams: Streams, *, classes: int = 0
) -> View:
    """Mixes two drawn views of a field.

    A row is mixed if it and its partner have the field; otherwise it stays, with lambda 1, and is its own partner.

    Args:
        mixing: How.
        one: View of the rows.
        other: View of their partners, of the same field and role.
        keys: Keys of the rows: `id`, `has FIELD`, `content FIELD`, `label` or `soft`.
        other_keys: Keys of their partners.
        streams: Random streams of the rows in this view.
        classes: Number of classes of the key `label`; 0 without labels. Default: 0.

    Returns:
        The mixed view. Its keys are those of `one` and `lambda` (B,), the share of the row itself; `partner` (B,), the
        id of the partner; `partner content FIELD` (B,), for `ExcludeDuplicates`; with labels `soft` (B, C), zeros where
        no label is known; and what teachers give, mixed likewise.

    Raises:
        UserError: the mixing cannot mix such data.

    Equation:
        soft_i = lambda_i y_i + (1 - lambda_i) y_p(i), y the key `soft` or else the one-hot label

    Reference:
        MixUp, Zhang et al. 2018, arXiv:1710.09412; for contrast GenSCL, Kim et al. 2022, arXiv:2206.00384.
    """
    field = one.field
    if not isinstance(one.data, Tensor) or not isinstance(other.data, Tensor):
        raise UserError(f"field '{field}' cannot be mixed: expected images or series, found {type(one.data).__name__}.")
    mixed, share_B = mixing(one.data, other.data, streams.fork(_BRANCH))
    both = keys[f"has {field}"] & other_keys[f"has {field}"]
    data = torch.where(both.view(-1, *[1] * (mixed.ndim - 1)), mixed, one.data)
    share_B = torch.where(both, share_B, 1.0)
    found = {"lambda": share_B}
    carried = share_B < 1
    for name, key in (("partner", "id"), (f"partner content {field}", f"content {field}")):
        found[name] = torch.where(carried, other_keys[key], keys[key])
    soft, other_soft = _soft({**keys, **one.keys}, classes), _soft({**other_keys, **other.keys}, classes)
    if soft is not None and other_soft is not None:
        found["soft"] = share_B[:, None] * soft + (1 - share_B)[:, None] * other_soft
    for name in (name for name in keys if name.partition(" ")[0] == _TAUGHT):
        found[name] = share_B[:, None] * keys[name] + (1 - share_B)[:, None] * other_keys[name]
    return View(field, data, {**one.keys, **found})


def _soft(keys: Keys, classes: int) -> Tensor | None:
    """(B, C) float32: share of each class, zeros where it is unknown; None without labels."""
    if "soft" in keys:
        return keys["soft"]
    if "label" not in keys or not classes:
        return None
    label = keys["label"]
    return F.one_hot(label.clamp_min(0), classes).float() * (label >= 0)[:, None]
