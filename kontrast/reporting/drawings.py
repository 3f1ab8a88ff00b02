"""SVG drawings of a run for notebooks: training curves and the map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kontrast.core.atomic_files import atomic_write
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError, did_you_mean
from kontrast.core.number_format import number, round_number
from kontrast.reporting.page.charts import binned, ticks
from kontrast.reporting.page.columns import category
from kontrast.reporting.page.map import sample
from kontrast.reporting.page.project import project
from kontrast.reporting.page.safe import esc

POINTS = 600  # limit of a map: half a second of t-SNE, and a small cell output
# Paul Tol's "muted" scheme; its dark blue is lightened, to be seen on dark pages too
COLOURS = ("#5b4bc4", "#44aa99", "#cc6677", "#ddaa33", "#88ccee", "#117733", "#aa4499", "#999933", "#882255")
REST = "#8b939a"


@dataclass(frozen=True)
class Drawing:
    """SVG that a notebook displays.

    Attributes:
        svg: Its markup.
    """

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> Path:
        """Writes the SVG to a file atomically and returns its path."""
        with atomic_write(Path(path)) as aside:
            aside.write_text(self.svg, encoding="utf8")
        return Path(path)


@dataclass(frozen=True)
class Points:
    """Rows on a plane.

    Attributes:
        xy: (N, 2) coordinates within 0 to 1.
        row: (N,) index of each point's row in the table.
        field: (N,) index of each point's field.
    """

    xy: np.ndarray
    row: np.ndarray
    field: np.ndarray


def spread_out(bank: EmbeddingTable, most: int = POINTS) -> Points:
    """Projects a fixed sample onto a plane: fields of a shared space, else whole rows.

    Args:
        bank: Embeddings.
        most: Largest number of points. Default 600.
    """
    blocks = list(bank.z.values()) if bank.shared else [bank.whole()]
    rows = sample(len(bank), max(most // len(blocks), 1), seed=0)
    there = [np.isfinite(z[rows]).all(1) for z in blocks]
    row = np.concatenate([rows[has] for has in there])
    field = np.concatenate([np.full(int(has.sum()), at) for at, has in enumerate(there)])
    if not len(row):
        return Points(np.zeros((0, 2)), row, field)
    xy = project(np.concatenate([z[rows[has]] for z, has in zip(blocks, there, strict=True)])).xy
    low, high = xy.min(0), xy.max(0)
    return Points((xy - low) / np.maximum(high - low, 1e-12), row, field)


def map_drawing(bank: EmbeddingTable, points: Points | None = None, *, width: int = 520, height: int = 360) -> Drawing:
    """Draws each row as a point coloured by label; shapes distinguish fields.

    Hovering shows id, label and field.

    Args:
        bank: Embeddings.
        points: Places of the rows; None to compute them.
        width: In pixels. Default 520.
        height: In pixels. Default 360.
    """
    points = spread_out(bank) if points is None else points
    labels = np.full(len(bank), "") if bank.labels is None else bank.labels
    classes = category("label", [str(label) for label in labels[points.row]])
    fields, marks = list(bank.z), []
    for (x, y), row, field, code in zip(points.xy, points.row, points.field, classes["codes"], strict=True):
        colour = COLOURS[code] if code < len(COLOURS) and classes["values"][code] else REST
        if len(classes["values"]) == 1:
            colour = COLOURS[0]
        words = [str(bank.ids[row]), str(labels[row]), fields[field] if bank.shared and len(fields) > 1 else ""]
        left, top = 8 + x * (width - 16), 8 + y * (height - 16)
        form = (
            f"<circle cx='{left:.1f}' cy='{top:.1f}' r='3' fill='{colour}'>",
            f"<rect x='{left - 2.6:.1f}' y='{top - 2.6:.1f}' width='5.2' height='5.2' fill='{colour}'>",
        )[field % 2]
        marks.append(f"{form}<title>{esc(' · '.join(filter(None, words)))}</title></{form[1 : form.index(' ')]}>")
    said = f"map of {len(set(points.row.tolist()))} rows"
    return Drawing(_svg("".join(marks), said, width, height, "fill-opacity='.85'"))


def curve_drawing(moments: Sequence[Mapping[str, Any]], name: str, *, width: int = 520, height: int = 180) -> Drawing:
    """Draws a number of the step records, or of their health, over the steps.

    Args:
        moments: Step records as plain values.
        name: Number to draw: loss, rate, wait ..., or spread, effective_rank ... of the health.
        width: In pixels. Default 520.
        height: In pixels. Default 180.

    Raises:
        UserError: No record has that number.
    """
    values = [(m["step"], {**m, **(m.get("health") or {})}.get(name)) for m in moments]
    known = {key for m in moments for key, value in {**m, **(m.get("health") or {})}.items() if _number(value)}
    if known and name not in known:
        raise UserError(f"a run has no curve '{name}'{did_you_mean(name, known)}")
    points = binned([(float(x), float(y)) for x, y in values if y is not None and np.isfinite(y)])
    if not points:
        return Drawing(_svg(f"<text x='8' y='24'>no {esc(name)} yet</text>", f"no {esc(name)}", width, height))
    xs, ys = np.array(points).T
    low, high = float(ys.min()), float(ys.max())
    room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    low, high = low - room, high + room
    left, bottom = 48, height - 20

    def across(x: float) -> float:
        return left + (width - left - 8) * (x - xs[0]) / ((xs[-1] - xs[0]) or 1)

    def up(y: float) -> float:
        return bottom - (bottom - 22) * (y - low) / (high - low)

    parts = [
        f"<line x1='{left}' x2='{width - 8}' y1='{up(y):.1f}' y2='{up(y):.1f}' stroke='#808890' stroke-opacity='.3'/>"
        f"<text x='{left - 6}' y='{up(y) + 4:.1f}' text-anchor='end'>{round_number(y)}</text>"
        for y in ticks(low, high)
    ]
    path = "L".join(f"{across(x):.1f} {up(y):.1f}" for x, y in zip(xs, ys, strict=True))
    parts += [
        f"<path d='M{path}' fill='none' stroke='#2b8aa8' stroke-width='2' stroke-linejoin='round'/>",
        f"<circle cx='{across(xs[-1]):.1f}' cy='{up(ys[-1]):.1f}' r='3.5' fill='#2b8aa8'/>",
        f"<text x='{left}' y='14'>{esc(name.replace('_', ' '))} {number(float(ys[-1]))}</text>",
        f"<text x='{left}' y='{height - 4}'>step {int(xs[0]):,}</text>",
        f"<text x='{width - 8}' y='{height - 4}' text-anchor='end'>{int(xs[-1]):,}</text>",
    ]
    return Drawing(_svg("".join(parts), f"{esc(name)} over {int(xs[-1]):,} steps", width, height))


def _number(value: Any) -> bool:
    return isinstance(value, int | float)


def _svg(body: str, said: str, width: int, height: int, more: str = "") -> str:
    """Wraps the body in grey text, legible on dark and light notebook pages alike."""
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}' "
        f"role='img' aria-label='{said}' font-family='system-ui, sans-serif' font-size='12' {more}>"
        f"<g fill='#808890'>{body}</g></svg>"
    )
