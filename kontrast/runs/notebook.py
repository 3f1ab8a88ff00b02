"""The view of a run in a notebook: verdict, scores, loss and map."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.number_format import interval, number
from kontrast.evaluation.standing import label
from kontrast.evaluation.verdict import claim
from kontrast.reporting.drawings import Points, curve_drawing, map_drawing, spread_out
from kontrast.reporting.page.safe import esc
from kontrast.runs.folder import run_json
from kontrast.runs.folder.folder import Folder

MOST, SNIPPET = 10, 20_000  # scores shown; characters of a thumbnail, so that an output cell stays small
THUMBS, SIDE, WIDTH, HEIGHT = 24, 44, 520, 360
STYLE = f"""
.kontrast-card {{ font: 14px/1.45 system-ui, sans-serif; max-width: 1100px; }}
.kontrast-card h4 {{ margin: 0 0 4px; font-size: 17px; }}
.kontrast-card p {{ margin: 0 0 10px; max-width: 80ch; }}
.kontrast-card table {{ border-collapse: collapse; margin: 0 0 12px; }}
.kontrast-card th, .kontrast-card td {{ text-align: left; padding: 3px 16px 3px 0; font-weight: 400;
  border-bottom: 1px solid #80889055; }}
.kontrast-card thead th, .kontrast-card small {{ color: #808890; }}
.kontrast-card .rows {{ display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start; }}
.kontrast-card .thumbs {{ position: relative; width: {WIDTH}px; height: {HEIGHT}px; }}
.kontrast-card .thumbs > div {{ position: absolute; width: {SIDE}px; height: {SIDE}px; overflow: hidden;
  border: 1px solid #808890; border-radius: 5px; background: #fff; color: #222; font-size: 8px; line-height: 1.15; }}
.kontrast-card .thumbs > div > img, .kontrast-card .thumbs > div > svg {{ display: block; width: 100%; height: 100%;
  margin: 0; object-fit: contain; }}
"""


def card(folder: Folder) -> str:
    """HTML of a run for a notebook; if unfinished, its step and loss."""
    name, moments = esc(folder.path.resolve().name), folder.moments()
    curve = curve_drawing(moments, "loss").svg if moments else ""
    if not (folder.path / "scores.json").is_file():
        step = f"at step {moments[-1]['step']:,} of {moments[-1]['total']:,}" if moments else "before its first step"
        return _framed(f"<h4>{name}: not finished</h4><p>{step}; {esc(folder.go_on)}</p>{curve}")
    found = run_json.scores(folder)
    scores = [row for row in found["scores"] if row["trained"]]
    head, rest = claim(found["verdict"]["words"])
    bank = EmbeddingTable.load(folder.embeddings / "trained-test.parquet")
    shown = run_json.samples(folder)["thumbnails"]
    return _framed(
        f"<h4>{name}</h4><p><b>{esc(head)}</b> {esc(rest)}</p>{_table(scores)}"
        f"<div class='rows'>{_map(bank, shown)}{curve}</div>"
    )


def _framed(body: str) -> str:
    return f"<div class='kontrast-card'><style>{STYLE}</style>{body}</div>"


def _table(scores: Sequence[Mapping[str, Any]]) -> str:
    heads = "".join(f"<th>{words}</th>" for words in ("score", "trained", "untrained", "raw features", "chance"))
    rows = "".join(_row(score) for score in scores[:MOST])
    more = f"<p><small>and {len(scores) - MOST} more in its report</small></p>" if len(scores) > MOST else ""
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{more}" if scores else ""


def _row(score: Mapping[str, Any]) -> str:
    trained = score["trained"]
    beside = (number(score[which]["value"]) if score[which] else "–" for which in ("untrained", "raw"))
    cells = [
        esc(label(score)),
        f"<b>{number(trained['value'])}</b> <small>{interval(trained['low'], trained['high'])}</small>",
        *beside,
        number(score["chance"]),
    ]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _map(bank: EmbeddingTable, thumbnails: Mapping[str, Sequence[str | None]]) -> str:
    points = spread_out(bank)
    drawn = map_drawing(bank, points, width=WIDTH, height=HEIGHT).svg
    over = "".join(
        f"<div style='left:{x:.0f}px;top:{y:.0f}px' title='{esc(bank.ids[row])}'>{snippet}</div>"
        for x, y, row, snippet in _chosen(bank, points, thumbnails)
    )
    return f"<div class='thumbs'>{drawn}{over}</div>"


def _chosen(
    bank: EmbeddingTable, points: Points, thumbnails: Mapping[str, Sequence[str | None]]
) -> list[tuple[float, float, int, str]]:
    """Points in random order whose thumbnails do not overlap: position, row and thumbnail."""
    fields, found = list(bank.z), []
    for at in np.random.default_rng(0).permutation(len(points.row)):
        row, (x, y) = int(points.row[at]), points.xy[at] * (WIDTH - SIDE, HEIGHT - SIDE)
        names = [fields[points.field[at]]] if bank.shared else fields
        snippet = next((s for name in names if name in thumbnails and (s := thumbnails[name][row])), None)
        free = all(abs(x - a) > SIDE * 1.15 or abs(y - b) > SIDE * 1.15 for a, b, _, _ in found)
        if snippet and len(snippet) <= SNIPPET and free:
            found.append((float(x), float(y), row, snippet))
        if len(found) == THUMBS:
            break
    return found
