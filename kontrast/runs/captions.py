"""Captions that a run writes of rows, and how well it expects the true ones."""

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from kontrast.core import containers
from kontrast.core.errors import UserError
from kontrast.core.number_format import many, number
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.dataset.drawing import Drawing
from kontrast.data.dataset.reader import Reader
from kontrast.data.modality import Modality
from kontrast.data.packed_row import PackedRow
from kontrast.data.view import Batch, View, ViewSpec
from kontrast.encoders.encoders import EncodedViews
from kontrast.evaluation.intervals import Found, interval
from kontrast.evaluation.word_errors import word_error_rate
from kontrast.runs.model import CHUNK, Model
from kontrast.tasks.auxiliary.captioning import Captioning
from kontrast.tasks.supervised.ctc import CTC

Writer = Captioning | CTC

SHOWN, MOST = 12, 512
"""Rows whose captions are shown, and rows whose true captions are measured."""


def captioning(model: Model) -> Writer | None:
    """The first task that predicts a text; None if there is none."""
    return next((task for task in model.learner.parts.values() if isinstance(task, Writer)), None)


def samples(model: Model, data: Dataset, rows: np.ndarray) -> dict[str, Any]:
    """Captions of a few rows beside the true ones, and the error of the true ones; {} without a task for it.

    Args:
        model: Its weights write the captions.
        data: The dataset that holds the rows.
        rows: Indices of held-out rows in it.

    Returns:
        rows: rows measured, all of which have their text.
        loss: error per token of their true texts, in nats.
        shuffled: the same, each text expected from the features of another row.
        word errors: {"value", "low", "high"} of the word error rate, of a task that recognises speech only.
        shown: rows {"row": number among `rows`, "field", "said", "true"}.
    """
    task = captioning(model)
    if task is None or task.text not in data.stores:
        return {}
    text, store = model.modalities[task.text], data.stores[task.text]
    sums, shown, count, heard = np.zeros(4), [], 0, {}
    for field in task.networks:
        both = np.flatnonzero(store.has[rows] & data.stores[field].has[rows])
        some = both[_evenly(len(both), max(1, SHOWN // len(task.networks)))]
        said = written(model, task, data, field, rows[some])
        true = [_first(text, packed) for packed in store.rows(rows[some])]
        for row, *each in zip(some, said, true, strict=True):
            shown.append({"row": int(row), "field": field} | dict(zip(("said", "true"), each, strict=True)))
        measured = rows[both[_evenly(len(both), MOST)]]
        count = max(count, len(measured))
        for batch in _batches(model, data, (field, task.text), measured):
            sums += _errors(model, task, field, batch)
        if isinstance(task, CTC) and len(measured):
            heard = _word_errors(
                written(model, task, data, field, measured), [_first(text, row) for row in store.rows(measured)]
            )
    if not (sums[1] and sums[3]):
        return {}
    own, other = sums[0] / sums[1], sums[2] / sums[3]
    return {"rows": count, "loss": own, "shuffled": other, "shown": shown} | heard


def of_rows(model: Model, data: Dataset) -> list[dict[str, Any]]:
    """Captions of all rows: {"id", "field", "caption"} for each field that a row has.

    Raises:
        UserError: The run has no task that predicts a text, or the data none of the fields it reads.
    """
    task = captioning(model)
    if task is None:
        named = ", ".join(type(part).__name__.lower() for part in model.learner.parts.values())
        raise UserError(
            f"this run writes no captions: its tasks are {named}. Train one with --recipe coca, or --recipe speech."
        )
    fields = [field for field in task.networks if field in data.stores]
    if not fields:
        raise UserError(
            f"{data.name} has no field to write captions of; found {', '.join(data.stores)}, expected "
            f"{' or '.join(task.networks)}."
        )
    found = []
    for field in fields:
        rows = np.flatnonzero(data.stores[field].has)
        said = written(model, task, data, field, rows)
        found += [
            {"id": str(data.ids[n]), "field": field, "caption": words} for n, words in zip(rows, said, strict=True)
        ]
    return found


@torch.no_grad()
def written(model: Model, task: Writer, data: Dataset, field: str, rows: np.ndarray) -> list[str]:
    """Captions of rows that have the field."""
    model.learner.eval()
    encoders, found = model.learner.encoders, []
    for batch in _batches(model, data, (field,), rows):
        with encoders.plain():
            tokens = task.caption(field, encoders(field, batch.views[field].data))
        found += [_words(model.modalities[task.text], line.astype(np.int32)) for line in tokens.cpu().numpy()]
    return found


def words(found: Mapping[str, Any], most: int = 3) -> str:
    """The first captions beside the true ones, and the error, as lines of the terminal."""
    shown: Sequence[Mapping[str, Any]] = found["shown"]
    few = [shown[k] for k in _evenly(len(shown), most)]
    lines = [f"{_quoted(one['said'])} of {one['field']}, in truth {_quoted(one['true'])}" for one in few]
    error = f"{found['loss']:.2f} nats per token of {found['rows']:,} held-out texts"
    error += f", {found['shuffled']:.2f} from the features of other rows"
    return "\n".join([*([spoken(found)] if "word errors" in found else []), error, *lines])


def spoken(found: Mapping[str, Any]) -> str:
    """The word error rate with its interval, in words."""
    value, low, high = (found["word errors"][name] for name in ("value", "low", "high"))
    between = "" if low is None else f" [{number(low)}, {number(high)}]"
    return f"word error rate {number(value)}{between} of {many(found['rows'], 'held-out text')}"


def _word_errors(said: Sequence[str], true: Sequence[str]) -> dict[str, Any]:
    """The word error rate and its interval, as JSON; {} if no true text has a word."""
    rate = word_error_rate(said, true)
    if rate is None:
        return {}
    ends = [float(end) if np.isfinite(end) else None for end in interval(Found(rate))]
    return {"word errors": dict(zip(("value", "low", "high"), (rate.value, *ends), strict=True))}


def _first(text: Modality, packed: PackedRow) -> str:
    """The first text of a row, as plain words."""
    return _words(text, packed).split("\n")[0]


def _quoted(text: str, most: int = 60) -> str:
    return f"'{text if len(text) <= most else f'{text[: most - 1]}…'}'"


def _evenly(number: int, most: int) -> np.ndarray:
    """Up to `most` numbers below `number`, evenly spaced."""
    return np.linspace(0, max(number - 1, 0), min(number, most)).astype(int)


def _words(text: Modality, packed: PackedRow) -> str:
    """The text of tokens as plain words, a line per text of a row."""
    return html.unescape(text.show(packed).replace("<br>", "\n"))


def _batches(model: Model, data: Dataset, fields: Sequence[str], rows: np.ndarray) -> Iterator[Batch]:
    """Fields of rows, without augmentation."""
    modalities = {field: model.modalities[field] for field in fields}
    reader = Reader(data, modalities, ())
    drawing = Drawing({f: ViewSpec(f, "original") for f in fields}, modalities, seed=model.experiment.seed)
    device = next(model.learner.parameters()).device
    for start in range(0, len(rows), CHUNK):
        yield drawing(reader.read(rows[start : start + CHUNK]).to(device), 0)


@torch.no_grad()
def _errors(model: Model, task: Writer, field: str, batch: Batch) -> np.ndarray:
    """Summed error and number of tokens of the texts, from their own row and from the one before it."""
    encoders, found = model.learner.encoders, []
    other = torch.arange(-1, len(batch) - 1, device=batch.keys["id"].device)
    for rows in (slice(None), other):
        view = View(field, containers.take(batch.views[field].data, rows))
        with encoders.plain():
            out = task.errors(EncodedViews(encoders), Batch({**batch.views, field: view}, batch.keys), field)
        found += [out.z.double().sum(), out.keys["length"].sum().double()]
    return torch.stack(found).cpu().numpy()
