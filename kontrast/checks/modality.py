"""`check_modality`: the checks that every modality of this project passes, for any modality."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from kontrast.checks.results import Broken, Doubt, Finding, run_check
from kontrast.core import containers, factory, random_streams, registry
from kontrast.core.containers import Data
from kontrast.data.modality import Modality
from kontrast.data.packed_row import arrays, length
from kontrast.data.remark import Rows
from kontrast.data.schema.fields import infer
from kontrast.data.schema.fingerprint import content
from kontrast.data.sources.open_source import open_frame
from kontrast.data.view import Role

CELLS = 24  # examples that a modality is tried with
HERE = Path()


def check_modality(
    name: str, *, settings: Mapping[str, Any] | None = None, progress: Callable[[Finding], None] | None = None
) -> list[Finding]:
    """Findings on a modality: settings, and what must hold of any modality, on its own examples.

    Args:
        name: A modality of this project (`image`) or your own (`my_lab.ideas:Spectra`).
        settings: Settings of the modality.
        progress: Called with every finding as it comes.

    Raises:
        UserError: an unknown name, a class that is no modality, or a wrong setting.
    """
    chosen = dict(settings or {})
    factory.build("modalities", name, chosen)  # a wrong setting is reported before any check runs
    properties: dict[str, Callable[[Any], str]] = {
        "settings": partial(_settings, name),
        "recognised": partial(_recognised, name),
        "packed": _packed,
        "state": partial(_restored, name, chosen),
        "rows alone": _alone,
        "views": _views,
        "features": _features,
        "words and pictures": _shown,
        "export": _exported,
    }
    findings = []
    for title, holds in properties.items():
        findings.append(run_check(title, holds, lambda: fitted(name, chosen)))
        if progress is not None:
            progress(findings[-1])
    return findings


def fitted(name: str, settings: Mapping[str, Any]) -> Modality:
    """The modality, fitted to its examples."""
    made: Modality = factory.build("modalities", name, settings)
    made.fit([made.read(cell, HERE) for cell in made.examples(CELLS)])
    return made


def _rows(modality: Modality) -> list[Any]:
    return [modality.pack(modality.read(cell, HERE)) for cell in modality.examples(CELLS)]


def _settings(name: str, _: object) -> str:
    found = [setting for setting, _, _ in factory.settings_of(registry.load("modalities", name))]
    return f"{len(found)} settings, each with a type and a default"


def _recognised(name: str, make: Callable[[], Modality]) -> str:
    """A column of examples is inferred as this modality."""
    modality = make()
    if not registry.fits("modalities", name) or ":" in name:
        raise Doubt("a modality of your own is used if you name it: --field COLUMN=package.module:Name")
    frame = open_frame({"field": modality.examples(CELLS)}, cache=None)
    found = infer(frame, {}, None)["field"]
    if found.kind != name:
        raise Broken(f"a column of its examples is taken for {found.kind}: {found.why}")
    return f"a column of its examples: {found.why}"


def _packed(make: Callable[[], Modality]) -> str:
    modality = make()
    rows = _rows(modality)
    forms = {tuple((name, a.dtype, a.shape[1:]) for name, a in arrays(row).items()) for row in rows}
    if len(forms) > 1:
        raise Broken(f"rows are packed to {len(forms)} forms, such as {list(forms)[:2]}; expected one for all rows")
    batch = modality.collate(rows)
    if len(containers.tensors(batch)[0]) != CELLS:
        raise Broken(f"a batch of {CELLS} rows has {len(containers.tensors(batch)[0])}")
    flat = sum(map(modality.is_flat, rows))
    if flat:
        raise Broken(f"is_flat says that {flat} of {CELLS} examples do not vary")
    kinds = " and ".join(f"{name or 'an array'} of {a.dtype}" for name, a in arrays(rows[0]).items())
    return f"{CELLS} examples, each {kinds}; {modality.dimensions(_lengths(rows))}"


def _restored(name: str, settings: Mapping[str, Any], make: Callable[[], Modality]) -> str:
    modality = make()
    written = json.dumps(modality.state())
    other: Modality = factory.build("modalities", name, settings)
    other.restore(json.loads(written))
    rows = _rows(modality)
    batch = modality.collate(rows)
    if [content(row) for row in rows] != [content(row) for row in _rows(other)]:
        raise Broken("a restored modality packs rows differently")
    _equal("what a restored modality gives the encoder", other.preprocess(batch), modality.preprocess(batch))
    if dict(other.facts()) != dict(modality.facts()):
        raise Broken(f"a restored modality has other facts: {other.facts()} instead of {modality.facts()}")
    return f"{len(written):,} bytes of JSON make the same modality"


def _alone(make: Callable[[], Modality]) -> str:
    modality = make()
    rows = _rows(modality)
    whole = modality.preprocess(modality.collate(rows))
    for k in (0, 3, CELLS - 1):
        alone = modality.preprocess(modality.collate(rows[k : k + 1]))
        _equal(f"row {k} of a batch", containers.take(whole, slice(k, k + 1)), alone)
    for window in modality.windows(modality.collate(rows)):
        if len(containers.tensors(window)[0]) != CELLS:
            raise Broken(f"a window of {CELLS} rows has {len(containers.tensors(window)[0])}")
    return "a row gives the encoder the same alone as in a batch, but for padding"


def _views(make: Callable[[], Modality]) -> str:
    modality = make()
    batch = modality.collate(_rows(modality))
    ids, changed = torch.arange(CELLS), []
    row = random_streams.key(0, 0, ids, -1)
    step = random_streams.step_keys(0, 0, [0]).expand(CELLS)

    def view(role: Role, number: int, some: slice = slice(None)) -> Data:
        key = random_streams.key(0, 0, ids, number)
        part = containers.apply(torch.clone, containers.take(batch, some))
        return modality.augment(part, key[some], row[some], role, step[some])

    for role in get_args(Role):
        one = view(role, 0)
        _equal(f"a {role} view with the same random numbers", view(role, 0), one)
        _equal(f"a {role} view of fewer rows", view(role, 0, slice(0, 5)), containers.take(one, slice(0, 5)))
        other = view(role, 1)
        same = all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in _leaves(one, other))
        if not same:
            changed.append(role)
        if not same and not modality.augments(role):
            raise Broken(f"two {role} views differ, and augments('{role}') is False")
    _equal("an original view", view("original", 0), modality.preprocess(batch))
    if "global" not in changed:
        raise Doubt("two global views of a row are equal: one field alone teaches a contrast nothing")
    return f"the same for the same random numbers, whatever the batch; differ in the roles {', '.join(changed)}"


def _features(make: Callable[[], Modality]) -> str:
    modality = make()
    rows = _rows(modality)
    for what, features in (("raw", modality.raw), ("likeness", modality.likeness)):
        found = features(modality.collate(rows))
        if found.ndim != 2 or len(found) != CELLS or not bool(found.isfinite().all()):
            raise Broken(f"{what} features are {tuple(found.shape)}; expected ({CELLS}, R), finite")
        few = features(modality.collate(rows[:4]))
        if few.shape[1] == found.shape[1] and not torch.allclose(few, found[:4], atol=1e-5):
            raise Broken(f"{what} features of a row depend on the other rows of the batch")
    return f"raw features {tuple(modality.raw(modality.collate(rows)).shape)}, of each row by itself"


def _shown(make: Callable[[], Modality]) -> str:
    modality = make()
    cells, rows = modality.examples(CELLS), _rows(modality)
    view = modality.preprocess(modality.collate(rows))
    pages = [modality.show(rows[0]), modality.look(containers.take(view, 0))]
    if not all(pages) or any("<script" in page or " style=" in page for page in pages):
        raise Broken("show or look gives nothing, or a script or an inline style, which pages of reports do not allow")
    remarks = modality.remarks(Rows("field", HERE, cells, rows, _lengths(rows)))
    grave = [remark.words for remark in remarks if remark.level in ("warning", "error")]
    if grave:
        raise Broken(f"it warns of its own examples: {grave[0]}")
    return f"{len(pages[0]):,} characters of HTML for a row; {len(remarks)} remarks"


def _exported(make: Callable[[], Modality]) -> str:
    modality = make()
    entry = modality.export_entry()
    if entry is None:
        return "no graph takes such data"
    rows = entry.made_up(4)
    found = entry(*(torch.from_numpy(x) for x in entry.feed(rows).values()))
    _equal("what the graph gives the encoder", found, modality.preprocess(modality.collate(rows)))
    return f"inputs {', '.join(entry.axes)} give the encoder what preprocess does"


def _lengths(rows: list[Any]) -> Any:
    return np.array([length(row) for row in rows])


def _leaves(one: Data, other: Data) -> list[tuple[Tensor, Tensor]]:
    """Tensors of two views, cut to their common size."""
    pairs = []
    for a, b in zip(containers.tensors(one), containers.tensors(other), strict=True):
        inside = tuple(slice(min(m, n)) for m, n in zip(a.shape, b.shape, strict=True))
        pairs.append((a[inside].float(), b[inside].float()))
    return pairs


def _equal(what: str, found: Data, wanted: Data) -> None:
    """Raises `Broken` if views differ, or are larger than each other by more than padding (NaN or negative)."""
    for a, b in _leaves(found, wanted):
        if not torch.allclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True):
            raise Broken(f"{what} differs by up to {(a - b).abs().nan_to_num().max():.1e}")
    for one, other in ((found, wanted), (wanted, found)):
        for t, u in zip(containers.tensors(one), containers.tensors(other), strict=True):
            rest = t.float().clone()
            rest[tuple(slice(n) for n in u.shape)] = torch.nan
            if bool((rest >= 0).any()):
                raise Broken(f"{what} has a shape of {tuple(t.shape)}, expected {tuple(u.shape)}")
