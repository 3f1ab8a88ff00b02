"""Interactive map: every row as a point, near its neighbours.

Drawn by script.js on a canvas rather than by plotly: plotly.js adds 4.8 MB to each report, shows no picture on hover
without extra script, and draws lines neither to a row's other fields nor to its true neighbours.
"""

from typing import Any

import numpy as np

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.number_format import many, number
from kontrast.core.unit_rows import unit
from kontrast.reporting.page.clusters import anchors
from kontrast.reporting.page.columns import columns
from kontrast.reporting.page.project import project
from kontrast.reporting.page.safe import block, esc
from kontrast.reporting.page.shelf import Shelf

POINTS = 3_000  # limit over all planes: t-SNE takes seconds, and a phone draws them at once
NEAR = 5
TRUST = "how far neighbours on the map are neighbours in the full space"


def layout(bank: EmbeddingTable, shelf: Shelf, points: int = POINTS, seed: int = 0) -> dict[str, Any]:
    """Planes, points, columns and thumbnails, as the script reads them.

    Args:
        bank: Embeddings.
        shelf: Thumbnails.
        points: Largest number of points over all planes. Default 3,000.
        seed: Seed of the sample. Default 0.
    """
    spaces = _spaces(bank)
    rows = sample(len(bank), max(points // sum(len(blocks) for _, blocks in spaces), 1), seed)
    listed = columns(bank, rows)
    planes = [_plane(name, blocks, rows, listed) for name, blocks in spaces]
    titles, named_by = _titles(bank, rows, listed)
    thumbs = [[shelf.place(name, int(row)) for name in bank.z] for row in rows]
    return {
        "planes": [plane for plane in planes if plane["row"]],
        "fields": list(bank.z),
        "joined": bank.shared and len(bank.z) > 1,
        "ids": [str(i) for i in bank.ids[rows]],
        "titles": titles,
        "named_by": named_by,
        "columns": listed,
        "thumbs": thumbs,
        "of": len(bank),
    }


def map_section(data: dict[str, Any], left_out: int, name: str = "map") -> str:
    """HTML of a map: frame for the script, description, and data.

    Args:
        data: What `layout` returned.
        left_out: Thumbnails left out, for the note.
        name: Unique per map of a page; maps of one page highlight the same row. Default "map".
    """
    if not data["planes"]:
        return ""
    shown = len(data["ids"])
    sampled = f" A fixed sample of {number(shown)} of {many(data['of'], 'row')}." if shown < data["of"] else ""
    bare = f" {many(left_out, 'thumbnail')} left out to keep the page light." if left_out else ""
    words = "".join(
        f"<p class='note plane-words'{' hidden' if i else ''}>{_words(p)}</p>" for i, p in enumerate(data["planes"])
    )
    said = (
        f"Map of {many(shown, 'row')} by {esc(', '.join(data['fields']))}; the neighbours below say the same in words."
    )
    return f"""
<div class='map' id='{name}'>
  <div class='tools'>
    <label class='find'><input type='search' placeholder='Search rows' aria-label='Search rows'>
      <output></output></label>
    <label class='pick-plane'>Show <select></select></label>
    <label class='pick-colour'>Colour by <select></select></label>
    <label class='tick'><input type='checkbox' class='near' checked> true neighbours</label>
    <label class='tick'><input type='checkbox' class='names' checked> names of clusters</label>
    <label class='tick joins'><input type='checkbox' class='join'> join the fields of a row</label>
    <span class='zoom'><button type='button' data-zoom='1.5' aria-label='zoom in'>+</button>
      <button type='button' data-zoom='0.667' aria-label='zoom out'>−</button>
      <button type='button' data-zoom='0' aria-label='whole map'>⤢</button></span>
  </div>
  <div class='stage'><canvas tabindex='0' role='img' aria-label="{said}"></canvas><div class='tip' hidden></div></div>
  <div class='legend'></div>
{words}
</div>
<p class='note'>{sampled}{bare} Point at a row to see it with its {NEAR} nearest in the full space (lines);
click to keep it. Search finds rows by their words and by what is known of them; Enter goes from one to the next.
Pinch, double-click, or click and turn the wheel to zoom; then drag to move. Near means alike;
distances between far groups mean little.</p>
{block(f"{name}-data", data)}"""


def sample(n: int, most: int, seed: int) -> np.ndarray:
    """All rows, or `most` of them sampled with a fixed seed, in their order."""
    return np.arange(n) if n <= most else np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def _spaces(bank: EmbeddingTable) -> list[tuple[str, list[np.ndarray]]]:
    """Name and blocks per plane: shared fields together, else whole rows and each field."""
    if bank.shared or len(bank.z) == 1:
        return [(", ".join(bank.z), list(bank.z.values()))]
    return [("whole rows", [bank.whole()]), *((name, [z]) for name, z in bank.z.items())]


def _titles(bank: EmbeddingTable, rows: np.ndarray, listed: list[dict[str, Any]]) -> tuple[list[str], str]:
    """Title of each row (first text column, else label, else id) and its column."""
    texts = [column for column in listed if column["kind"] == "text"]
    labels = [column for column in listed if column["name"] == "label" and column["kind"] == "category"]
    ids = [str(i) for i in bank.ids[rows]]
    if texts:
        return [value or row for value, row in zip(texts[0]["values"], ids, strict=True)], texts[0]["name"]
    if labels:
        values = labels[0]["values"]
        return [values[code] or row for code, row in zip(labels[0]["codes"], ids, strict=True)], "label"
    return ids, ""


def _plane(name: str, blocks: list[np.ndarray], rows: np.ndarray, listed: list[dict[str, Any]]) -> dict[str, Any]:
    """Points of all blocks on one plane, as plain values.

    Coordinates are integers up to 9,999, `row` is an index into `rows`, and `names` holds, per column, the points at
    which to draw names of clusters.
    """
    parts = [(np.flatnonzero(_there(block[rows])), k) for k, block in enumerate(blocks)]
    row = np.concatenate([at for at, _ in parts])
    field = np.concatenate([np.full(len(at), k) for at, k in parts])
    if not len(row):
        return {"row": []}
    z = np.concatenate([blocks[k][rows[at]] for at, k in parts]).astype(np.float32)
    plane = project(z)
    low = plane.xy.min(0)
    reach = max(float((plane.xy - low).max()), 1e-12)
    xy = np.round((plane.xy - low) / reach * 9_999).astype(int)
    return {
        "name": name,
        "method": plane.method,
        "trust": plane.trust,
        "xy": xy.ravel().tolist(),
        "row": row.tolist(),
        "field": field.tolist(),
        "near": _near(z, row).tolist(),
        "names": [_names(xy, column, row) for column in listed],
    }


def _names(xy_N2: np.ndarray, column: dict[str, Any], row_N: np.ndarray) -> list[int]:
    if column["kind"] != "category" or len(column["values"]) < 2:
        return []
    nameless = np.array([not value for value in column["values"]])
    code_N = np.array(column["codes"])[row_N]
    return anchors(xy_N2.astype(float), np.where(nameless[code_N], -1, code_N))


def _there(z_ND: np.ndarray) -> np.ndarray:
    return np.isfinite(z_ND).all(1) & (np.abs(z_ND).max(1) > 0)


def _near(z_ND: np.ndarray, row_N: np.ndarray) -> np.ndarray:
    """(N, up to 5) nearest points of other rows, by cosine similarity."""
    z = unit(z_ND)
    alike = z @ z.T
    alike[row_N[:, None] == row_N[None]] = -np.inf
    return np.argsort(-alike, axis=1, kind="stable")[:, : min(NEAR, len(set(row_N.tolist())) - 1)]


def _words(plane: dict[str, Any]) -> str:
    trust = "" if plane["trust"] is None else f" Trustworthiness {number(plane['trust'])} of 1: {TRUST}."
    return f"<b>{esc(plane['name'])}</b>: {many(len(plane['row']), 'point')}, {plane['method']}.{trust}"
