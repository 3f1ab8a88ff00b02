"""Thumbnails of a page, each stored once within a size budget."""

from collections.abc import Mapping, Sequence


class Shelf:
    """Stores snippets in the order of requests (gallery first) until the budget is spent.

    Args:
        thumbnails: Field -> one HTML snippet, or None, per row.
        budget: Characters of all snippets. Default 8,000,000.

    Attributes:
        snippets: Stored snippets.
        left_out: Requests refused for the budget.
    """

    def __init__(self, thumbnails: Mapping[str, Sequence[str | None]], budget: int = 8_000_000):
        self.snippets: list[str] = []
        self.left_out = 0
        self._given = thumbnails
        self._budget = budget
        self._places: dict[tuple[str, int], int] = {}

    def place(self, field: str, row: int) -> int | None:
        """Number of a row's thumbnail; None if it has none or the budget is spent."""
        if (field, row) in self._places:
            return self._places[field, row]
        column = self._given.get(field)
        snippet = column[row] if column is not None else None
        if not snippet:
            return None
        if len(snippet) > self._budget:
            self.left_out += 1
            return None
        self._budget -= len(snippet)
        self._places[field, row] = len(self.snippets)
        self.snippets.append(snippet)
        return self._places[field, row]
