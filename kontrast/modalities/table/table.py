"""Tables: plain columns of a row (numbers, categories, dates, truth values, short strings) seen together.

Axis letters: B rows, C columns, S numbers per packed row, F features.
"""

import datetime
import html
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from kontrast.core import random_streams
from kontrast.core.errors import Unreadable, UserError, did_you_mean
from kontrast.core.factory import Range
from kontrast.data.export_entry import ExportEntry
from kontrast.data.masking import Masking
from kontrast.data.miniature import Miniature
from kontrast.data.modality import Modality
from kontrast.data.remark import Remark, Rows
from kontrast.data.schema.column import Claim, Column
from kontrast.data.schema.missing_values import missing
from kontrast.data.view import Role
from kontrast.modalities.table.blocks.numbers import Scaling
from kontrast.modalities.table.export_entry import TableEntry
from kontrast.modalities.table.layout import Layout, fitted
from kontrast.modalities.table.masking import MASKING
from kontrast.modalities.table.miniature import MINIATURE
from kontrast.modalities.table.recognise import recognise

_SHORT, _PAST = 0.25, 0.5  # share of the columns in a local and in a context view
_WEAK, _STRONG, _MOST = 0.25, 1.5, 0.9  # of `corrupt`, and the most that a strong view raises it to
_SHOWN = 24  # columns in a preview
_EMPTY = 0.5  # share of missing cells from which on a column is remarked on

Share = Annotated[float, Range(0, 1)]


class Table(Modality):
    """Plain columns of a row as one view: numbers, categories, dates, truth values, short strings.

    A cell is a record of the columns. A missing column or cell, or a category that the training rows lack, is no error.
    Columns that are the same in all training rows are left out.

    Args:
        columns: Columns that are seen together; None: all of the record.
        categories: Columns of numbers that are codes, so that their order means nothing.
        scaling: Features of numbers. "standard": standard units; "quantile": how far a number reaches into each part
            between two quantiles; "both".
        bins: Parts between quantiles; fewer in tables of many columns.
        corrupt: Share of the columns that a view takes from other rows, each from its own marginal distribution
            (SCARF); 0 for none.
        hide: Share of the columns that a view hides, as if missing; 0 for none.
        subset: Share of the columns that a view shows, all others hidden (SubTab); 1 for all.

    Roles of views:
        global: all changes above.
        local: as global, but a quarter of the columns.
        weak: a quarter of `corrupt`; no other change.
        strong: as global, with half as much again of `corrupt` and `hide`.
        context: half of the columns, unchanged.
        original: no augmentation.

    Raises:
        UserError: a setting out of its range, or no column to learn from.

    Reference:
        Bahri et al., "SCARF: Self-Supervised Contrastive Learning using Random Feature Corruption", ICLR 2022,
        arXiv:2106.15147; Ucar et al., "SubTab", NeurIPS 2021, arXiv:2110.04361.

    Example:
        >>> table = Table()
        >>> items = [table.read({"age": n, "job": "nurse" if n % 2 else "cook"}, Path()) for n in range(20, 30)]
        >>> table.fit(items)
        >>> table.names
        ['age', 'job']
    """

    encoder = "column_mlp"
    axes = "BF"
    precedence = 70
    several: ClassVar[bool] = True
    """Whether a view reads several columns of a row."""

    def __init__(
        self,
        *,
        columns: list[str] | None = None,
        categories: list[str] | None = None,
        scaling: Scaling = "standard",
        bins: Annotated[int, Range(2, 256)] = 8,
        corrupt: Share = 0.5,
        hide: Share = 0.0,
        subset: Share = 1.0,
    ) -> None:
        if columns is not None and not columns:
            raise UserError("table: columns=[]; expected at least one column, or none to take all.")
        if subset == 0:
            raise UserError("table: subset=0; expected above 0, the share of the columns that a view shows.")
        for name in categories or [] if columns else []:
            if columns and name not in columns:
                raise UserError(f"table: categories names '{name}'{did_you_mean(name, columns)}")
        self.columns = list(columns) if columns else None
        self.scaling: Scaling = scaling
        self.categories, self.bins = list(categories or []), bins
        self.corrupt, self.hide, self.subset = corrupt, hide, subset
        self._layout = Layout([], [])
        self._left: dict[str, str] = {}

    @property
    def names(self) -> list[str]:
        """Columns that are used, in the order of the features."""
        return self._layout.names

    @classmethod
    def recognise(cls, column: Column) -> Claim | None:
        """Records of plain values; plain columns beside each other become a table elsewhere."""
        return recognise(column)

    def read(self, cell: Any, folder: Path) -> np.ndarray:
        """Takes the cells of the columns out of a record, or of its JSON text.

        Returns:
            (columns,) objects, None where missing.

        Raises:
            Unreadable: no record, a nested cell, or only missing cells.
        """
        if isinstance(cell, str):
            try:
                cell = json.loads(cell)
            except ValueError:
                raise Unreadable('is a string; expected a record of columns, such as {"age": 39}') from None
        if not isinstance(cell, Mapping):
            raise Unreadable(f"is {type(cell).__name__}; expected a record of columns")
        if self.columns is None:
            self.columns = list(map(str, cell))
        if not any(name in cell for name in self.columns):
            raise Unreadable(f"has none of the columns {', '.join(self.columns[:8])}")
        item = np.empty(len(self.columns), object)
        for at, name in enumerate(self.columns):
            value = cell.get(name)
            if isinstance(value, Mapping | list | tuple | np.ndarray | bytes):
                raise Unreadable(f"holds {type(value).__name__} in column '{name}'; expected a single value")
            item[at] = None if missing(value) else value
        if all(value is None for value in item):
            raise Unreadable("has no value in any of its columns")
        return item

    def fit(self, items: Sequence[np.ndarray]) -> None:
        """Finds the kind of each column; learns quantiles, categories and marginal distributions."""
        if not items:
            raise UserError("table: no row could be read; expected records of plain columns.")
        assert self.columns is not None
        self._layout, self._left = fitted(
            self.columns, np.stack(items), categories=self.categories, scaling=self.scaling, bins=self.bins
        )

    def pack(self, item: np.ndarray) -> np.ndarray:
        """Numbers, codes of categories, days and hashed strings: (S,) float32, NaN where missing.

        Raises:
            Unreadable: a cell of another kind than the training rows hold.
        """
        return self._layout.pack(item)

    def collate(self, packed: Sequence[np.ndarray]) -> Tensor:
        """(B, S) float32."""
        return torch.from_numpy(np.stack(list(packed)))

    def preprocess(self, batch: Tensor) -> Tensor:
        """Features without NaN, column after column: (B, F) float32."""
        return self._layout.expand(batch)

    def augment(
        self,
        batch: Tensor,
        key_B: Tensor,
        row_B: Tensor | None = None,
        role: Role = "global",
        step_B: Tensor | None = None,
    ) -> Tensor:
        """Views with other cells, hidden cells and fewer columns, by role: (B, F)."""
        if role == "original":
            return self.preprocess(batch)
        C = len(self._layout.names)
        if role == "context":
            return self.preprocess(self._without(batch, _chosen(key_B, 0, C, 1 - _PAST, at_most=C - 1)))
        more = _STRONG if role == "strong" else _WEAK if role == "weak" else 1.0
        corrupt = min(max(_MOST, self.corrupt), self.corrupt * more)
        if corrupt:
            others = self._layout.draw(random_streams.uniform(random_streams.fork(key_B, 1), C))
            batch = torch.where(self._slots(_chosen(key_B, 2, C, corrupt)), others, batch)
        if self.hide and role != "weak":
            hide = min(max(_MOST, self.hide), self.hide * more)
            batch = self._without(batch, _chosen(key_B, 3, C, hide, at_most=C - 1))
        subset = min(self.subset, _SHORT) if role == "local" else 1.0 if role == "weak" else self.subset
        if subset < 1:
            batch = self._without(batch, _chosen(key_B, 4, C, 1 - subset, at_most=C - 1))
        return self.preprocess(batch)

    def augments(self, role: Role) -> bool:
        """Whether any change is on; local and context views always change."""
        return role in ("local", "context") or (
            role != "original" and (self.corrupt > 0 or (role != "weak" and (self.hide > 0 or self.subset < 1)))
        )

    def raw(self, batch: Tensor) -> Tensor:
        """Numbers in standard units, the mean where missing, and one-hot categories: (B, R)."""
        return self._layout.raw(batch)

    def export_entry(self) -> ExportEntry:
        """Inputs of an exported graph."""
        return TableEntry(self._layout)

    @classmethod
    def masking(cls) -> Masking:
        """Masked columns."""
        return MASKING

    @classmethod
    def miniature(cls) -> Miniature:
        """The features of the whole row."""
        return MINIATURE

    def is_flat(self, packed: np.ndarray) -> bool:
        """Whether no cell is known."""
        return not bool(np.isfinite(packed).any())

    def dimensions(self, lengths: np.ndarray) -> str:
        """Columns by kind."""
        kinds = [f"{len(block.names):,} {type(block).__name__.lower()}" for block in self._layout.blocks]
        return f"{len(self._layout.names):,} columns: {', '.join(kinds)}"

    def remarks(self, rows: Rows) -> list[Remark]:
        """Columns that are left out, and columns that are mostly empty."""
        found = [Remark("columns left out", "note", self.note() + ".", {"columns": self._left})] if self._left else []
        absent = {n: share for block in self._layout.blocks for n, share in zip(block.names, block.absent, strict=True)}
        empty = {name: share for name, share in absent.items() if share > _EMPTY}
        if empty:
            said = ", ".join(f"{name} ({share:.0%})" for name, share in list(empty.items())[:_SHOWN])
            words = f"{rows.field}: mostly missing are {said}; whether a cell is there is then what such a column says."
            found.append(Remark("empty columns", "note", words, empty))
        return found

    @classmethod
    def examples(cls, n: int) -> list[Any]:
        """People with an age, an income, a job, a date and a truth value, some of them missing."""
        jobs, first = ("nurse", "cook", "pilot"), datetime.date(2020, 1, 1)
        return [
            {
                "age": 20 + 37 * k % 50 if k % 5 else None,
                "income": 100 * (1 + (k * 0.618) % 1) + k,
                "job": jobs[k % 3],
                "hired": first + datetime.timedelta(days=11 * k % 400),
                "member": k % 2 == 0,
            }
            for k in range(n)
        ]

    def show(self, packed: np.ndarray) -> str:
        """Renders columns and cells, one per line."""
        return _lines(self._layout.words(packed))

    def look(self, view: Tensor) -> str:
        """Renders what the features of each column say."""
        return _lines(self._layout.seen(view.float().cpu().numpy()))

    def facts(self) -> Mapping[str, Any]:
        """Features per column."""
        return {"column_sizes": self._layout.features}

    def note(self) -> str:
        """Columns that are left out, and why."""
        if not self._left:
            return ""
        shown = "; ".join(f"{name}: {why}" for name, why in list(self._left.items())[:4])
        more = f" and {len(self._left) - 4} more" if len(self._left) > 4 else ""
        return f"columns left out of the table: {shown}{more}"

    def state(self) -> dict[str, Any]:
        """Columns and what each block learned of them."""
        return {"columns": self.columns, "left": self._left, "blocks": self._layout.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restores what `state` returned."""
        self.columns, self._left = state["columns"], dict(state["left"])
        self._layout = Layout.restored(self.columns or [], state["blocks"])

    def _slots(self, columns: Tensor) -> Tensor:
        """(B, S) bool: the packed numbers of chosen columns (B, C)."""
        return columns[:, self._layout.column_of_slot.to(columns.device)]

    def _without(self, batch: Tensor, columns: Tensor) -> Tensor:
        """The batch with chosen columns (B, C) missing."""
        return batch.masked_fill(self._slots(columns), math.nan)


def _lines(said: Sequence[tuple[str, str]]) -> str:
    lines = [f"{html.escape(name[:40])}: {html.escape(words[:60]) or '-'}" for name, words in said[:_SHOWN]]
    more = [f"and {len(said) - _SHOWN:,} more columns"] if len(said) > _SHOWN else []
    return "<br>".join([*lines, *more])


def _chosen(key_B: Tensor, branch: int, columns: int, share: float, *, at_most: int | None = None) -> Tensor:
    """(B, C) bool: a random choice of this share of the columns, rounded up or down by chance."""
    u = random_streams.uniform(random_streams.fork(key_B, 100 + branch), columns + 1)
    number = (share * columns + u[:, -1:]).floor().clamp_max(columns if at_most is None else at_most)
    return u[:, :-1].argsort(1).argsort(1) < number
