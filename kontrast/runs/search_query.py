"""Finds the field that a search query belongs to, and reads the query."""

from pathlib import Path

from kontrast.core.errors import Unreadable, UserError, did_you_mean
from kontrast.data.dataset.packing import reader
from kontrast.data.schema.fields import infer
from kontrast.data.sources.source_rows import source_rows
from kontrast.data.tables.record import with_records
from kontrast.runs.model import Model


def ask(model: Model, query: object, field: str | None, *, text: bool) -> tuple[str, object]:
    """Field and cell of a search query.

    Args:
        model: The model of the run.
        query: A text, or an example: a picture, an array, or a file that holds one.
        field: The field it belongs to. Default: the first text field for a text, else the first that can read it.
        text: Whether the query is a text.

    Raises:
        UserError: No such field, no text field for a text, or no field can read the query.
    """
    kinds = {name: view.name for name, view in model.experiment.views.items()}
    if field is not None and field not in kinds:
        raise UserError(f"this run has no field '{field}'{did_you_mean(field, kinds)}")
    words = [name for name, modality in model.modalities.items() if modality.typed]
    if text and field is None and not words:
        raise UserError(
            f"this run has no text field to search by; it has {', '.join(kinds)}. Search by example: --like FILE."
        )
    others = [name for name in kinds if name not in words] or words
    names = [field] if field else words[:1] if text else others
    reasons = []
    for name in names:
        try:
            return name, _readable(model, name, kinds[name], query)
        except Unreadable as reason:
            reasons.append(str(reason).rstrip("."))
    raise UserError(f"cannot read {query!r} as {' or '.join(names)}: {reasons[0]}.")


def _readable(model: Model, name: str, kind: str, query: object) -> object:
    """The query itself if readable, else the first fitting cell of the file named."""
    modality = model.modalities[name]
    try:
        modality.read(query, Path())
        return query
    except Unreadable:
        if not isinstance(query, str | Path) or not Path(query).is_file():
            raise
        try:
            frame, _ = source_rows(query, model.experiment.source, cache=None, chosen={})
        except UserError:
            frame = None
        if frame is None:
            raise
        frame = with_records(frame, model.experiment.views)
        fields = infer(frame, {}, None)
        column = name if name in fields else next((n for n, f in fields.items() if f.kind == kind), None)
        if column is None:
            raise
        (cell,) = frame.cells(column, [0])
        reader(frame, modality)(cell)
        return cell
