"""Searches shown in the terminal, and the demo's last act: three real ones."""

from collections.abc import Iterator, Sequence

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.runs.run import Run
from kontrast.search.index import Hit


def hit_lines(hits: Sequence[Hit]) -> Iterator[str]:
    """One line a hit: how near, which field, id, label, and the first words of what is known of it."""
    if not hits:
        yield "nothing found"
    for hit in hits:
        known = " · ".join(str(v) for v in hit.metadata.values() if v not in (None, ""))
        yield f"  {hit.similarity:.3f}  {hit.field:<8}  {hit.id}  {hit.label or '':<18} {known[:60]}"


def show_off(run: Run) -> Iterator[str]:
    """Index the emoji and search them three times: by words, and by a drawing among the other vendor's drawings."""
    run.index()
    yield ""
    for words in ("red heart", "smiling cat"):
        yield f'search    "{words}" among the drawings'
        yield from _emoji(run.search(words, among="google", k=4))
    bank, drawing = run.embeddings("trained-test"), _drawing(run)
    yield f"search    like Google's drawing of {_name(bank, drawing)} (never seen in training), among Twitter's"
    yield from _emoji(run.search(like=_cell(run, drawing), field="google", among="twitter", k=4))
    yield ""
    yield f'next      kontrast search {run.path} "green vegetable" --among twitter'
    yield f"          kontrast report {run.path} --open"
    yield "          kontrast train YOUR_DATA"


def _emoji(hits: Sequence[Hit]) -> Iterator[str]:
    for hit in hits:
        picture = "".join(chr(int(code, 16)) for code in hit.id.split("-"))
        yield f"            {hit.similarity:.3f}  {picture}  {hit.metadata.get('text', '')}"


def _drawing(run: Run) -> str:
    """A held-out emoji: the first of the bank."""
    return str(run.embeddings("trained-test").ids[0])


def _name(bank: EmbeddingTable, row: str) -> str:
    at = bank.ids.tolist().index(row)
    return repr(bank.metadata["text"][at].as_py())


def _cell(run: Run, row: str) -> bytes:
    from kontrast.data.sources.open_source import open_frame

    frame = open_frame(run.experiment.source.data, cache=None)
    ids = frame.cells("id", range(len(frame)))
    return frame.cells("google", [ids.index(row)])[0]
