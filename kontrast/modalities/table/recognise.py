"""Columns that hold a record of plain values each; plain columns beside each other become a table elsewhere."""

import pyarrow.types as types

from kontrast.data.schema.column import Claim, Column, is_string
from kontrast.data.tables.record import plain_type


def recognise(column: Column) -> Claim | None:
    """Says why a column holds records of numbers, categories, dates or strings."""
    kind = column.type
    if kind is None or not types.is_struct(kind) or not kind.num_fields or column.files:
        return None
    if {field.name for field in kind} == {"bytes", "path"} or not all(plain_type(field.type) for field in kind):
        return None
    words = f"records of {kind.num_fields} plain values"
    if all(is_string(field.type) for field in kind):
        return Claim(f"{words}, all strings, which may be texts; a table if you say so", usable=False)
    return Claim(words)
