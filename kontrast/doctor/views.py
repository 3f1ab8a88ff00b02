"""Picture of a few rows, unchanged and as augmented views."""

import io

import numpy as np
import torch

from kontrast.core import containers, random_streams
from kontrast.core.atomic_files import atomic_write
from kontrast.core.containers import Data
from kontrast.doctor.case import Case
from kontrast.doctor.examination import Examination, Finding
from kontrast.doctor.sheet import sheet

_ROWS, _VIEWS = 12, 5  # rows of all fields together, and views per row
_SAME = 1e-6


class Views(Examination):
    """Draws augmented views, so that the user sees what the encoder will learn to ignore."""

    place = 90

    def __call__(self, case: Case) -> list[Finding]:
        """Returns a fact with the picture's path, and a warning if all views are equal."""
        found, rows = [], []
        for name, modality in case.modalities.items():
            store = case.data.stores[name]
            few = np.flatnonzero(store.has & case.data.training)
            few = np.sort(few[np.argsort(case.data.keys[few])][: max(2, _ROWS // len(case.modalities))])  # by hash
            if not len(few):
                continue
            batch = modality.batch(store, few, None)
            ids = torch.from_numpy(case.data.keys[few])
            seed = case.experiment.seed
            drawn = [
                modality.augment(containers.cloned(batch), random_streams.key(seed, 0, ids, n), ids)
                for n in range(_VIEWS)
            ]
            if len(case.modalities) == 1 and all(_equal(drawn[0], other) for other in drawn[1:]):
                words = f"{name}: all views of a row are the same, so one field alone teaches nothing. Augment more."
                found.append(Finding("same views", "warning", words, {"field": name}))
            for k, row in enumerate(few):
                original = modality.show(store.rows(few[k : k + 1])[0])
                looks = [modality.look(view[k]) for view in drawn]
                rows.append((f"{name} · {case.data.ids[row]}", [original, *looks]))
        if case.out is not None and rows:
            path = case.out / "views.png"
            picture = io.BytesIO()
            sheet(rows, ["as it is", *(f"view {n + 1}" for n in range(_VIEWS))]).save(picture, "PNG")
            with atomic_write(path) as aside:
                aside.write_bytes(picture.getvalue())
            found.append(
                Finding("views", "fact", f"{path}: {len(rows)} rows as training sees them", {"picture": str(path)})
            )
        return found


def _equal(one: Data, other: Data) -> bool:
    pairs = list(zip(containers.tensors(one), containers.tensors(other), strict=True))
    if any(a.shape != b.shape for a, b in pairs):
        return False
    apart = [(torch.nan_to_num(a.float()) - torch.nan_to_num(b.float())).abs() for a, b in pairs if a.numel()]
    return all(bool(difference.max() <= _SAME) for difference in apart)
