"""Sequences of items (what a person bought, heard or read, in order) as numbers of items.

Axis letters: B rows, L items of a row, R hashed features. In a batch -1 is after the end.
"""

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.errors import Unreadable, UserError
from kontrast.core.factory import Range
from kontrast.data.export_entry import ExportEntry
from kontrast.data.masking import Masking
from kontrast.data.miniature import Miniature
from kontrast.data.modality import Modality
from kontrast.data.remark import Remark, Rows, span
from kontrast.data.schema.column import Claim, Column
from kontrast.data.view import Role
from kontrast.modalities.history.augmentations.changes import END, cropped, last, masked, reordered, trimmed
from kontrast.modalities.history.export_entry import HistoryEntry
from kontrast.modalities.history.recognise import recognise
from kontrast.modalities.history.remarks import remarks
from kontrast.modalities.text.masking import MASKING
from kontrast.modalities.text.miniature import MINIATURE

UNKNOWN, MASK, SPECIAL = 0, 1, 2
"""Numbers of an item that training rows lack and of a hidden one; how many numbers are no items."""
RAW_WIDTH = 1024
_WEAK, _PAST = 1 / 3, 0.5  # of `mask` in a weak view; share of the items in a context view
_SHOWN = 24  # items in a preview

Share = Annotated[float, Range(0, 1)]


class History(Modality):
    """Sequences of item ids: purchases, plays, clicks, pages, in the order of time.

    A cell is a list of strings or whole numbers, or a string of ids with spaces between them. An item that the training
    rows lack is unknown, which is no error.

    Args:
        length: Items of a row that the encoder sees, the last ones.
        vocabulary: Most items to know, the commonest of the training rows.
        left_out: Last items of each row that training does not see, so that they can be predicted: 1 leaves one out for
            a test, 2 another one for validation. Embeddings are those of whole rows.
        crop: Share of a row that a cropped view keeps; 1 for none.
        mask: Share of the items that a masked view hides; 0 for none.
        reorder: Share of a row that a reordered view shuffles; 0 for none.

    Roles of views:
        global: cropped, masked or reordered, one of these per view.
        local: a crop of half the share.
        weak: a third of the masked items, no other change.
        strong: as global, twice in turn.
        context: the first half of the items.
        original: no augmentation.

    Raises:
        UserError: a setting out of its range.

    Reference:
        Xie et al., "Contrastive Learning for Sequential Recommendation" (CL4SRec), ICDE 2022, arXiv:2010.14395.

    Example:
        >>> history = History()
        >>> rows = [history.read(cell, Path()) for cell in ("a b a", ["b", "c"])]
        >>> history.fit(rows)
        >>> history.preprocess(history.collate([history.pack(row) for row in rows])).tolist()
        [[2, 3, 2], [3, 4, -1]]
    """

    encoder = "sasrec"
    alone = "to recommend items, take --recipe cl4srec"
    axes = "BL"
    precedence = 25

    def __init__(
        self,
        *,
        length: Annotated[int, Range(2, 100_000)] = 50,
        vocabulary: Annotated[int, Range(1, 4_000_000)] = 100_000,
        left_out: Annotated[int, Range(0, 1000)] = 0,
        crop: Share = 0.6,
        mask: Share = 0.3,
        reorder: Share = 0.6,
    ) -> None:
        if not crop:
            raise UserError("history: crop=0; expected above 0, the share of a row that a view keeps.")
        self.length, self.vocabulary, self.left_out = length, vocabulary, left_out
        self.crop, self.mask, self.reorder = crop, mask, reorder
        self.names: list[str] = []
        """Ids of the known items; the number of an item is its place here plus 2."""
        self.counts = np.zeros(0, np.int64)
        """How often training sees each of them."""
        self._number: dict[str, int] = {}

    @classmethod
    def recognise(cls, column: Column) -> Claim | None:
        """Says why a column holds sequences of items."""
        return recognise(column)

    def read(self, cell: Any, folder: Path) -> list[str]:
        """Reads the ids of a row.

        Args:
            cell: A list or an array of strings or whole numbers, or a string of ids with spaces between them.
            folder: Not used.

        Returns:
            Ids as strings.

        Raises:
            Unreadable: no item, or something that is no id.
        """
        cells = cell.tolist() if isinstance(cell, np.ndarray) else cell
        cells = cells.split() if isinstance(cells, str) else cells
        if not isinstance(cells, list | tuple):
            raise Unreadable(f"found {type(cell).__name__} {str(cell)[:40]!r}, expected a list of ids")
        ids = [_id(one) for one in cells if one is not None and one == one]
        if not ids:
            raise Unreadable("no item: the list is empty")
        return ids

    def fit(self, items: Sequence[list[str]]) -> None:
        """Numbers the items of the training rows, the commonest first, and counts what training sees of them."""
        seen = Counter(one for row in items for one in row)
        self.names = sorted(seen, key=lambda one: (-seen[one], one))[: self.vocabulary]
        trained = Counter(one for row in items for one in row[: len(row) - self.left_out])
        self._known([trained[one] for one in self.names])

    def pack(self, item: list[str]) -> np.ndarray:
        """Numbers of the items, 0 for an unknown one: (L,) int32."""
        return np.array([self._number.get(one, UNKNOWN) for one in item], dtype=np.int32)

    def collate(self, packed: Sequence[np.ndarray]) -> Tensor:
        """Pads rows with -1 to the longest: (B, L) int64."""
        sizes = np.array([len(ids) for ids in packed], dtype=np.int64)
        batch = np.full((len(packed), sizes.max(initial=1)), END, dtype=np.int64)
        batch[np.arange(batch.shape[1]) < sizes[:, None]] = np.concatenate([*packed, np.empty(0, np.int32)])
        return torch.from_numpy(batch)

    def preprocess(self, batch: Tensor) -> Tensor:
        """The last `length` items of each row: (B, L) int64."""
        return last(batch, self.length)

    def augment(
        self,
        batch: Tensor,
        key_B: Tensor,
        row_B: Tensor | None = None,
        role: Role = "global",
        step_B: Tensor | None = None,
    ) -> Tensor:
        """The last `length` items that training may see, changed by role: (B, L) int64."""
        x = last(batch, self.length, self.left_out)
        if role == "original":
            return x
        if role == "context":
            at = torch.arange(x.shape[1], device=x.device)
            return trimmed(x.masked_fill(at >= (_PAST * (x >= 0).sum(1, keepdim=True)).ceil(), END))
        if role == "local":
            return trimmed(cropped(x, random_streams.fork(key_B, 0), self.crop / 2))
        if role == "weak":
            return masked(x, random_streams.fork(key_B, 1), self.mask * _WEAK, MASK)
        for turn in range(2 if role == "strong" else 1):
            x = self._changed(x, random_streams.fork(key_B, 10 + turn))
        return x

    def augments(self, role: Role) -> bool:
        """Whether views differ from rows: an original view too, if last items are left out."""
        return role != "original" or self.left_out > 0

    def raw(self, batch: Tensor) -> Tensor:
        """Bag of the items with their inverse frequency, hashed with signs: (B, 1024), length 1."""
        there = batch >= SPECIAL
        place = (batch - SPECIAL).clamp_min(0)
        rare = torch.from_numpy(np.sqrt(np.log1p(self.counts.sum() / (1.0 + self.counts)))).float().to(batch.device)
        weight = torch.where(there, rare[place], 0.0) if len(rare) else torch.zeros(batch.shape, device=batch.device)
        sign = 1.0 - 2.0 * (torch.div(place, RAW_WIDTH, rounding_mode="floor") % 2)
        bag = torch.zeros(len(batch), RAW_WIDTH, device=batch.device)
        return torch.nn.functional.normalize(bag.scatter_add_(1, place % RAW_WIDTH, weight * sign), dim=1)

    def export_entry(self) -> ExportEntry:
        """Inputs of an exported graph."""
        return HistoryEntry(["", "[mask]", *self.names], self.length)

    @classmethod
    def masking(cls) -> Masking:
        """Masked items, as BERT4Rec hides them."""
        return MASKING

    @classmethod
    def miniature(cls) -> Miniature:
        """Bags of items."""
        return MINIATURE

    def dimensions(self, lengths: np.ndarray) -> str:
        """Items of rows."""
        return span(lengths, "items")

    def remarks(self, rows: Rows) -> list[Remark]:
        """Lengths against the number of items that the encoder reads, and rare items."""
        return remarks(rows, self.length, self.counts)

    @classmethod
    def examples(cls, n: int) -> list[Any]:
        """Walks on a ring of 12 items."""
        return [
            [f"i{(number + step * (1 + number % 3)) % 12}" for step in range(5 + number % 4)] for number in range(n)
        ]

    def show(self, packed: np.ndarray) -> str:
        """Renders the ids of a row in their order, escaped."""
        ids = [self._name(int(number)) for number in packed if number >= 0]
        more = [f"and {len(ids) - _SHOWN:,} more"] if len(ids) > _SHOWN else []
        return html.escape(" · ".join([*ids[:_SHOWN], *more]))

    def look(self, view: Tensor) -> str:
        """Renders the items of a view."""
        return self.show(view.cpu().numpy())

    def facts(self) -> Mapping[str, Any]:
        """Number of item numbers (`vocabulary`), `length`, the `special` numbers and the `mask` among them."""
        size = SPECIAL + len(self.names)
        return {"vocabulary": size, "length": self.length, "special": (UNKNOWN, MASK), "mask": MASK}

    def state(self) -> dict[str, Any]:
        """Known items and how often training sees each."""
        return {"items": self.names, "counts": self.counts.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restores what `state` returned."""
        self.names = list(state["items"])
        self._known(state["counts"])

    def _known(self, counts: Sequence[int]) -> None:
        self.counts = np.array(counts, np.int64)
        self._number = {name: place + SPECIAL for place, name in enumerate(self.names)}

    def _changed(self, x: Tensor, key_B: Tensor) -> Tensor:
        """Each row cropped, masked or reordered, one of the changes that the settings leave."""
        branch = random_streams.fork
        changes = [
            (self.crop < 1, lambda: cropped(x, branch(key_B, 0), self.crop)),
            (self.mask > 0, lambda: masked(x, branch(key_B, 1), self.mask, MASK)),
            (self.reorder > 0, lambda: reordered(x, branch(key_B, 2), self.reorder)),
        ]
        made = [make() for wanted, make in changes if wanted]
        if not made:
            return x
        which_B = (random_streams.uniform(branch(key_B, 3), 1)[:, 0] * len(made)).long()
        return torch.stack(made)[which_B, torch.arange(len(x), device=x.device)]

    def _name(self, number: int) -> str:
        if number < SPECIAL:
            return ("[unknown]", "[mask]")[number]
        return self.names[number - SPECIAL]


def _id(one: Any) -> str:
    if isinstance(one, str) and one.strip():
        return one.strip()
    if isinstance(one, int | np.integer) and not isinstance(one, bool):
        return str(int(one))
    if isinstance(one, float | np.floating) and float(one).is_integer():
        return str(int(one))
    raise Unreadable(
        f"found {type(one).__name__} {str(one)[:40]!r} in the list, expected ids: strings or whole numbers"
    )
