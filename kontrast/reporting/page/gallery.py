"""Nearest-neighbour gallery: a fixed sample of rows over the classes, each with its neighbours."""

from typing import NamedTuple

import numpy as np

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.number_format import many, number, share
from kontrast.core.unit_rows import unit
from kontrast.reporting.page.safe import esc
from kontrast.reporting.page.shelf import Shelf

QUERIES, NEAREST, COUNTED = 8, 6, 1_000


class Direction(NamedTuple):
    """Direction of a search, with embeddings of queries and candidates over the same rows.

    Attributes:
        title: Heading.
        queries: (N, D) embeddings to search with; NaN if a row has none.
        candidates: (N, D) embeddings to search in; NaN if a row has none.
        asked: Fields shown of a query.
        found: Fields shown of a neighbour.
    """

    title: str
    queries: np.ndarray
    candidates: np.ndarray
    asked: list[str]
    found: list[str]

    @property
    def cross(self) -> bool:
        """Whether it goes between fields, so that a row's own partner is the right answer."""
        return self.asked != self.found


def gallery(bank: EmbeddingTable, shelf: Shelf, seed: int = 0) -> str:
    """Galleries of all directions as HTML.

    Args:
        bank: Embeddings.
        shelf: Thumbnails.
        seed: Seed of the sample. Default 0.
    """
    parts = []
    for i, way in enumerate(directions(bank)):
        inner = _direction(bank, way, shelf, seed)
        if inner:
            parts.append(
                f"<details{' open' if i == 0 else ''}><summary><h3>{esc(way.title)}</h3></summary>{inner}</details>"
            )
    return parts[0].replace("<details", "<details class='only'", 1) if len(parts) == 1 else "".join(parts)


def directions(bank: EmbeddingTable) -> list[Direction]:
    """Directions to search in, at most nine, which three fields in one space already give.

    A shared space is searched across and within fields; else whole rows, then each field alone.
    """
    if len(bank.z) == 1:
        ((name, z),) = bank.z.items()
        return [Direction(name, z, z, [name], [name])]
    if not bank.shared:
        whole, names = bank.whole(), list(bank.z)
        whole = np.where(np.any([bank.has(n) for n in names], axis=0)[:, None], whole, np.nan)
        apart = [Direction(f"by {n} alone", z, z, names, names) for n, z in bank.z.items()]
        return [Direction("by whole rows", whole, whole, names, names), *apart][:9]
    within = [Direction(f"{n} → {n}", z, z, [n], [n]) for n, z in bank.z.items()]
    across = [Direction(f"{a} → {b}", bank.z[a], bank.z[b], [a], [b]) for a in bank.z for b in bank.z if a != b]
    return [*across, *within][:9]


def choose(labels: np.ndarray | None, able: np.ndarray, many: int, seed: int) -> np.ndarray:
    """Rows to query with: one of each class in turn, in random order.

    Args:
        labels: Labels of all rows; None if unknown.
        able: Which rows can query.
        many: Largest number of rows.
        seed: Seed of the order.
    """
    order = np.random.default_rng(seed).permutation(np.flatnonzero(able))
    if labels is None:
        return order[:many]
    seen: dict[str, int] = {}
    turn = []
    for row in order:
        turn.append(seen.get(str(labels[row]), 0))
        seen[str(labels[row])] = turn[-1] + 1
    return order[np.argsort(turn, kind="stable")][:many]


def nearest(way: Direction, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(Q, k) nearest candidates and their cosine similarities, best first.

    Within a field a row never finds itself.

    Args:
        way: Direction of the search.
        rows: (Q,) indices of the queries.
        k: Neighbours per query; fewer if there are fewer candidates.
    """
    alike = unit(np.nan_to_num(way.queries[rows])) @ unit(np.nan_to_num(way.candidates)).T
    alike[:, np.isnan(way.candidates[:, 0])] = -np.inf
    if not way.cross:
        alike[np.arange(len(rows)), rows] = -np.inf
    able = int(np.isfinite(alike[0]).sum()) if len(rows) else 0
    k = min(k, able)
    if not k:
        return np.zeros((len(rows), 0), dtype=int), alike[:, :0]
    best = np.sort(np.argpartition(-alike, k - 1, axis=1)[:, :k], axis=1)
    found = np.take_along_axis(alike, best, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1), np.take_along_axis(found, order, axis=1)


def _direction(bank: EmbeddingTable, way: Direction, shelf: Shelf, seed: int) -> str:
    able = ~np.isnan(way.queries[:, 0])
    asked = choose(bank.labels, able, QUERIES, seed)
    best, alike = nearest(way, asked, NEAREST)
    if not best.size:
        return ""
    rows = "".join(_query(bank, way, shelf, int(q), b, a) for q, b, a in zip(asked, best, alike, strict=True))
    return f"<p class='note'>{_overall(bank, way, able, seed)}</p>{rows}"


def _overall(bank: EmbeddingTable, way: Direction, able: np.ndarray, seed: int) -> str:
    """Hit rates over up to 1,000 rows, since eight examples are no proof."""
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(able))[:COUNTED]
    best = np.concatenate([nearest(way, part, NEAREST)[0] for part in np.array_split(rows, max(len(rows) // 128, 1))])
    k, words = best.shape[1], []
    if way.cross:
        there = rows[~np.isnan(way.candidates[rows, 0])]
        own = (best == rows[:, None]).any(1)[~np.isnan(way.candidates[rows, 0])]
        chance = k / max(int((~np.isnan(way.candidates[:, 0])).sum()), 1)
        if len(there):
            hits = f"{share(float(own.mean()))} (chance {share(chance)})"
            words.append(f"the row's own {way.found[0]} is among the {k} nearest for {hits}")
    if bank.labels is not None and any(bank.labels):
        known = bank.labels[rows] != ""
        others = best != rows[:, None] if way.cross else np.ones_like(best, dtype=bool)
        same = (bank.labels[best] == bank.labels[rows][:, None]) & others
        if known.any():
            counts = np.unique(bank.labels[able & (bank.labels != "")], return_counts=True)[1]
            chance = float(((counts / counts.sum()) ** 2).sum())
            part = same[known].sum() / max(others[known].sum(), 1)
            words.append(f"{share(float(part))} of the {k} nearest share the row's label (chance {share(chance)})")
    said = f"Over {many(len(rows), 'row')}, {'; '.join(words)}. " if words else ""
    return esc(f"{said}The number under each is its cosine similarity. The rows shown were drawn by a fixed seed.")


def _query(bank: EmbeddingTable, way: Direction, shelf: Shelf, row: int, best: np.ndarray, alike: np.ndarray) -> str:
    label = "" if bank.labels is None else str(bank.labels[row])
    head = f"<b>{esc(label) or '&nbsp;'}</b><small title='{esc(bank.ids[row])}'>{esc(bank.ids[row])}</small>"
    cards = [
        f"<figure class='card asked'>{_pictures(bank, shelf, row, way.asked)}<figcaption>{head}</figcaption></figure>"
    ]
    for other, score in zip(best.tolist(), alike.tolist(), strict=True):
        theirs = "" if bank.labels is None else str(bank.labels[other])
        own = other == row
        wrong = bool(label and theirs and label != theirs)
        kind, mark = ("own", "✓ same row") if own else ("wrong", "✗ ") if wrong else ("", "")
        words = mark if own else f"{mark}{theirs}" if theirs or bank.labels is None else "no label"
        cards.append(
            f"<figure class='card {kind}' title='{esc(bank.ids[other])}'>{_pictures(bank, shelf, other, way.found)}"
            f"<figcaption><b>{number(score)}</b><span>{esc(words)}</span></figcaption></figure>"
        )
    return f"<div class='query'>{''.join(cards)}</div>"


def _pictures(bank: EmbeddingTable, shelf: Shelf, row: int, names: list[str]) -> str:
    made = []
    for name in names:
        place = shelf.place(name, row)
        if place is not None:
            made.append(f"<div class='thumb' data-thumb='{place}'></div>")
        elif not bank.has(name)[row]:
            made.append(f"<div class='thumb none'>no {esc(name)}</div>")
        else:
            made.append(f"<div class='thumb none'>{esc(bank.ids[row])}</div>")
    return "".join(made)
