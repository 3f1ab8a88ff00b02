"""Columns of strings that name files of one kind."""

from collections.abc import Callable

from kontrast.data.schema import file_tree
from kontrast.data.schema.column import Claim, Column, is_url, mostly


def named_files(column: Column, fits: Callable[[str], bool], kind: str) -> Claim | None:
    """Says that strings name files of a kind, and how many of these are not there.

    Args:
        column: A column of strings.
        fits: Whether a string is the name of such a file.
        kind: The kind in a word: "image".

    Returns:
        The reason; unusable if no file is there; None if most strings name no such file.
    """
    if not mostly(lambda cell: fits(cell) and not is_url(cell), column.strings):
        return None
    there = sum(file_tree.there(file_tree.locate(column.folder, cell)) for cell in column.strings)
    if not there:
        missing = f"strings that look like {kind} files, but none of them lies in {column.folder}"
        return Claim(missing, usable=False)
    gone = 1 - there / len(column.strings)
    return Claim(f"strings that name {kind} files" + (f", {gone:.0%} of which are not there" if gone else ""))
