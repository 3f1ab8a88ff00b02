"""Columns of texts: lists of strings, strings under a telling name, or strings that are nothing else."""

from kontrast.data.schema.column import Claim, Column, is_string

_NAMES = ("text", "caption", "captions", "sentence", "description", "title", "body", "content", "review", "document")


def recognise(column: Column) -> Claim | None:
    """Says why a column holds texts."""
    if column.type is None:
        return None
    inner, depth = column.listed
    if depth == 1 and is_string(inner):
        return Claim("lists of strings: several texts a row")
    if not column.strings:
        return None
    if column.name in _NAMES:
        return Claim(f"strings, and named '{column.name}'", by="name")
    return Claim("long strings" if column.long else "strings, most of them different", by="rest")
