"""Which plain columns become a view of several columns, by the data and by what the user asked."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from kontrast.core import registry
from kontrast.core.choice import Choice
from kontrast.core.errors import UserError, did_you_mean
from kontrast.core.experiment import Experiment
from kontrast.data.schema.fields import MIX_SOURCE, Field
from kontrast.data.tables.frame import Frame
from kontrast.data.tables.record import own, single

TABLE = "table"
_FEWEST = 2  # columns that are seen as a table if nobody asks: contrast compares columns of a row
_FREE = ("meta", "text", "ignore")  # kinds that a view of several columns may read: no target, id, group or split
_SHOWN = 6


def split_asked(frame: Frame, chosen: Mapping[str, str]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Takes what is asked for as a table out of the kinds of columns.

    Args:
        frame: All rows of the source.
        chosen: Column -> kind, as the user said. A column of kind "table" is one of the view `table`; a name that is
            no column is a view of all plain columns.

    Returns:
        Column -> kind without tables, and view -> the columns that were named for it; none for all of them.
    """
    asked: dict[str, list[str]] = {}
    kinds = {name: kind for name, kind in chosen.items() if kind != TABLE}
    for name in (name for name, kind in chosen.items() if kind == TABLE):
        if name not in frame.columns or own(frame, name):
            asked.setdefault(name, [])
        else:
            kinds[name] = "meta"
            asked.setdefault(_free_name(frame), []).append(name)
    return kinds, asked


def with_table(
    frame: Frame,
    fields: Mapping[str, Field],
    asked: Experiment,
    named: Mapping[str, Sequence[str]],
    settings: Mapping[str, Any],
) -> tuple[dict[str, Field], Experiment]:
    """Adds views of several columns to the fields and to the experiment.

    Without being asked, only data that has no other view becomes a table.

    Args:
        frame: All rows of the source.
        fields: What each column is.
        asked: What the user named, views included.
        named: View -> its columns, as from `split_asked`.
        settings: Dotted settings of the user; `views.table....` asks for a table.

    Raises:
        UserError: a column that is not there, that is a target, id, group or split, or nothing plain.
    """
    tables = {name: list(columns) for name, columns in named.items()}
    fields = _records_alone(fields, {*named, *asked.views})
    for name, view in asked.views.items():
        if view.name == TABLE:
            tables.setdefault(name, [])
    for name, field in fields.items():
        if field.kind == TABLE:
            tables.setdefault(name, [])
    free = _free_name(frame)
    if any(path.startswith(f"views.{free}.") for path in settings):
        tables.setdefault(free, [])
    plain = [name for name, field in fields.items() if _is_plain(frame, name, field)]
    if not tables and _alone(frame, fields, plain):
        tables[free] = []
    found, views = dict(fields), dict(asked.views)
    for name, columns in tables.items():
        view = views.get(name, Choice(TABLE))
        wanted = settings.get(f"views.{name}.columns") or view.settings.get("columns") or columns
        columns = _checked(frame, fields, name, wanted) if wanted else _of_record(frame, name) or plain
        if not columns:
            raise UserError(
                f"{frame.name} has no plain column for the view '{name}': expected numbers, categories, dates or short "
                f"strings; found {_listed(fields)}."
            )
        said = ", ".join(columns[:_SHOWN]) + (f" and {len(columns) - _SHOWN:,} more" if len(columns) > _SHOWN else "")
        found[name] = Field(TABLE, f"{len(columns):,} plain column{'s' * (len(columns) > 1)}: {said}")
        views[name] = Choice(TABLE, {**view.settings, "columns": list(columns)})
    encoders = dict(asked.encoders)
    if len(tables) > 1:  # tables of different columns cannot share an encoder
        usual = encoders.get(TABLE, Choice(registry.load("modalities", TABLE).encoder))
        encoders = {**dict.fromkeys(tables, usual), **{n: e for n, e in encoders.items() if n != TABLE}}
    return found, dataclasses.replace(asked, views=views, encoders=encoders)


def _records_alone(fields: Mapping[str, Field], asked: Collection[str]) -> dict[str, Field]:
    """Leaves columns of records out beside other views, unless they were asked for: they mostly describe these."""
    others = set(registry.kinds("modalities")) - {TABLE}
    if not any(field.kind in others for field in fields.values()):
        return dict(fields)
    return {
        name: Field("ignore", f"{field.why}; a table beside the other views if you say so: --field {name}=table")
        if field.kind == TABLE and name not in asked
        else field
        for name, field in fields.items()
    }


def _alone(frame: Frame, fields: Mapping[str, Field], plain: Sequence[str]) -> bool:
    """Whether plain columns are all that the data has: nothing looks like a picture or a file that cannot be read."""
    modalities = registry.kinds("modalities")
    if len(plain) < _FEWEST or any(field.kind in modalities for field in fields.values()):
        return False
    left = [name for name, field in fields.items() if field.kind == "ignore"]
    return all(single(frame.columns[name]) and "file" not in fields[name].why for name in left)


def _is_plain(frame: Frame, name: str, field: Field) -> bool:
    return field.kind == "meta" and name != MIX_SOURCE and single(frame.columns[name])


def _checked(frame: Frame, fields: Mapping[str, Field], view: str, columns: Any) -> list[str]:
    if not isinstance(columns, list | tuple) or not all(isinstance(name, str) for name in columns):
        raise UserError(f"views.{view}.columns={columns!r}; expected a list of column names.")
    for name in columns:
        if name not in fields:
            raise UserError(f"views.{view}.columns names '{name}', which is no column{did_you_mean(name, fields)}")
        if fields[name].kind not in _FREE:
            raise UserError(
                f"views.{view}.columns names '{name}', which is the {fields[name].kind} ({fields[name].why}): a "
                "target, id, group or split never enters a view. Leave it out, or say that it is plain: "
                f"--field {name}=meta."
            )
        if not single(frame.columns[name]):
            raise UserError(
                f"views.{view}.columns names '{name}', which holds no single values; expected numbers, categories, "
                "dates or short strings. Leave it out."
            )
    return list(dict.fromkeys(columns))


def _of_record(frame: Frame, name: str) -> list[str]:
    """Columns of a view whose records are in the data."""
    if not own(frame, name):
        return []
    column = frame.columns[name]
    assert not isinstance(column, np.ndarray)
    kind = column.type
    return [kind.field(i).name for i in range(kind.num_fields)]


def _free_name(frame: Frame) -> str:
    """Name of the view of plain columns: `table`, unless a column has it."""
    names = (TABLE, *(f"{TABLE}{n}" for n in range(2, len(frame.columns) + 3)))
    return next(name for name in names if name not in frame.columns or own(frame, name))


def _listed(fields: Mapping[str, Field]) -> str:
    return "; ".join(f"{name}: {field.kind} ({field.why})" for name, field in list(fields.items())[:_SHOWN])
