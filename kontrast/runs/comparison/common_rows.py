"""The held-out rows that several runs share, on which they are compared."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError
from kontrast.core.unit_rows import unit
from kontrast.runs.folder import run_json
from kontrast.runs.folder.folder import Folder
from kontrast.runs.run import Run

LOOKED_AT = 500  # largest number of rows whose raw features are compared between runs


@dataclass(frozen=True)
class CommonRows:
    """The rows that several runs share.

    Attributes:
        banks: Embeddings (train, test) per run; all tests hold the same rows in the same order.
        thumbnails: Field -> one HTML snippet per shared row, None if there is none.
        notes: Remarks on the rows for readers of the comparison.
    """

    banks: tuple[tuple[EmbeddingTable, EmbeddingTable], ...]
    thumbnails: dict[str, list[str | None]]
    notes: tuple[str, ...]


def common_rows(runs: Sequence[Run]) -> CommonRows:
    """Finds the rows that every run held out, by id.

    Unless the data have equal fingerprints, rows of equal id are checked for equal labels, and for raw features that
    are nearest to their own in the other run.

    Raises:
        UserError: The runs share fewer than 2 rows, or one id names different rows.
    """
    tests = [run.embeddings("trained-test") for run in runs]
    others = [set(test.ids.tolist()) for test in tests[1:]]
    ids = [row for row in tests[0].ids.tolist() if all(row in other for other in others)]
    if len(ids) < 2:
        raise UserError(
            f"{', '.join(str(run.path) for run in runs)} share {len(ids) or 'no'} held-out rows; a comparison needs "
            "rows that every run held out. Train on the same data, split alike (the same seed, or a split column)."
        )
    notes = [
        f"{run.path.name}: {len(ids):,} of its {len(test):,} held-out rows are shared"
        for run, test in zip(runs, tests, strict=True)
        if len(ids) < len(test)
    ]
    tests = [_rows(test, ids) for test in tests]
    prints = [run_json.data(Folder(run.path))["fingerprint"] for run in runs]
    for run, test, mark in zip(runs[1:], tests[1:], prints[1:], strict=True):
        if mark != prints[0]:
            notes += _same(runs[0], tests[0], run, test, ids)
    train = [run.embeddings("trained-train") for run in runs]
    return CommonRows(
        tuple(zip(train, _alike(tests), strict=True)), _thumbnails(runs[0], list(tests[0].z), ids), tuple(notes)
    )


def _rows(bank: EmbeddingTable, ids: Sequence[str]) -> EmbeddingTable:
    place = {row: at for at, row in enumerate(bank.ids.tolist())}
    return bank.take(np.array([place[row] for row in ids]))


def _same(one: Run, first: EmbeddingTable, two: Run, second: EmbeddingTable, ids: Sequence[str]) -> list[str]:
    """Notes on two unequal data sets; UserError if equal ids name different rows."""
    names = f"{one.path} and {two.path}"
    if first.labels is not None and second.labels is not None:
        differ = np.flatnonzero(first.labels != second.labels)
        if len(differ):
            at = differ[0]
            raise UserError(
                f"{names} are of different data: row '{ids[at]}' has the label '{first.labels[at]}' in one and "
                f"'{second.labels[at]}' in the other ({len(differ):,} of {len(ids):,} shared ids). Compare runs on the "
                "same rows and labels."
            )
    raw = [_rows(run.embeddings("raw-test"), ids) for run in (one, two)]
    there = [name for name in raw[0].z if name in raw[1].z and raw[0].z[name].shape == raw[1].z[name].shape]
    found = [met for name in there if (met := _met(raw[0], raw[1], name)) is not None]
    if found and max(found) < 0.5:
        raise UserError(
            f"{names} are of different data: their rows have the same ids but not the same values ({max(found):.0%} "
            "find themselves in the other run by raw features). Compare runs on the same rows."
        )
    if not found:
        return [f"{names}: not the same data to the byte; rows are matched by their id alone"]
    return [f"{names}: not the same data to the byte; rows are matched by id, and raw features agree"]


def _met(one: EmbeddingTable, two: EmbeddingTable, name: str) -> float | None:
    """Share of rows whose nearest raw features in the other run are their own."""
    both = np.flatnonzero(one.has(name) & two.has(name))[:LOOKED_AT]
    if len(both) < 2:
        return None
    alike = unit(one.z[name][both]) @ unit(two.z[name][both]).T
    return float((alike.diagonal() >= alike.max(1) - 1e-5).mean())


def _alike(tests: Sequence[EmbeddingTable]) -> list[EmbeddingTable]:
    """Masks each field in rows where one of the runs lacks it."""
    made = []
    for test in tests:
        z = dict(test.z)
        for name in z:
            lacks = ~np.logical_and.reduce([other.has(name) for other in tests if name in other.z])
            if (lacks & test.has(name)).any():
                z[name] = np.where(lacks[:, None], np.float32(np.nan), z[name])
        made.append(replace(test, z=z))
    has = np.logical_and.reduce([np.logical_or.reduce([test.has(name) for name in test.z]) for test in made])
    return made if has.all() else [test.take(has) for test in made]


def _thumbnails(run: Run, fields: Sequence[str], ids: Sequence[str]) -> dict[str, list[str | None]]:
    """Thumbnails of the rows with these ids, from the run's report."""
    every = run.embeddings("trained-test").ids.tolist()
    place = {row: at for at, row in enumerate(every)}
    shown = run_json.samples(Folder(run.path))["thumbnails"]
    return {name: [shown[name][place[row]] for row in ids] for name in fields if name in shown}
