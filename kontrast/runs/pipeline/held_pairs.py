"""AUC of positive against random pairs on held-out rows, before and after training."""

from collections.abc import Sequence

import numpy as np
import torch

from kontrast.core.embeddings import Embeddings
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.dataset.reader import Reader
from kontrast.evaluation.metric_result import MetricResult
from kontrast.evaluation.pair_auc import Pairs, pair_auc
from kontrast.runs.folder.folder import Folder, load_tensors
from kontrast.runs.model import CHUNK, Model
from kontrast.training.step import rows_of

MOST = 1000  # rows: an interval of .01, and a matrix of a million cosines
BEFORE = "untrained-pairs.safetensors"
_SEED = 0x5EE4  # keeps the views drawn here apart from those of training


def measured(model: Model, data: Dataset, rows: np.ndarray, most: int = MOST) -> MetricResult | None:
    """AUC of the served task's positive pairs against random pairs on given rows.

    Views depend on the seed and the rows' ids alone, so that all weights are compared on the same views.

    Args:
        model: The model; its tasks define the views and the positive pairs.
        data: The dataset that holds the rows.
        rows: Indices of the rows in the dataset.
        most: Largest number of rows used, the first ones with enough fields; at most `MOST`.

    Returns:
        The AUC with one entry per row, or None if fewer than two rows have a pair.
    """
    has = np.stack([data.stores[name].has[rows] for name in model.fields])
    rows = rows[has.sum(0) >= min(2, len(model.fields))][: min(most, MOST)]
    if len(rows) < 2:
        return None
    pairs = positive_pairs(model, data, np.sort(rows))
    return pair_auc(pairs) if pairs else None  # none if positives follow from labels, which are not used here


def keep_before(folder: Folder, found: MetricResult | None) -> None:
    """Writes the AUC of the untrained weights to the run folder."""
    value = torch.full((1,), torch.nan, dtype=torch.float64) if found is None else torch.tensor([found.value])
    entries = torch.zeros(0) if found is None else torch.from_numpy(found.entries)
    folder.save_tensors(f"{folder.embeddings.name}/{BEFORE}", {"value": value.double(), "entries": entries.double()})


def before(folder: Folder) -> MetricResult | None:
    """Reads what `keep_before` wrote; None if nothing was measured."""
    if not (folder.embeddings / BEFORE).is_file():
        return None
    kept = load_tensors(folder.embeddings / BEFORE)
    entries = kept["entries"].numpy()
    return (
        MetricResult(float(kept["value"]), len(entries), entries, chance=0.5, bounds=(0, 1)) if len(entries) else None
    )


@torch.no_grad()
def positive_pairs(model: Model, data: Dataset, rows: np.ndarray, draw: int = 0) -> list[Pairs]:
    """Positive pairs of rows, one entry per relation between views; those of a row with itself are left out.

    Args:
        model: The model; its tasks define the views and the positive pairs.
        data: The dataset that holds the rows.
        rows: Sorted indices of the rows.
        draw: Which draw of the views. Default 0.
    """
    learner, reader = model.learner.eval(), Reader(data, model.modalities, model.learner.needs)
    device = next(learner.parameters()).device
    seed = model.experiment.seed + _SEED
    drawings = learner.drawings(model.modalities, seed, mixed=False)
    sides: list[Sequence[tuple[Embeddings, Embeddings]]] = []
    for start in range(0, len(rows), CHUNK):
        batch = reader.read(rows[start : start + CHUNK]).to(device)
        batches = {group: drawing(batch, draw) for group, drawing in drawings.items()}
        sides.append(learner.positive_pairs(rows_of(learner, batches)))
    joined = [[chunk[k] for chunk in sides] for k in range(len(sides[0]))]
    classes = _classes(model, data, rows)
    found = [_joined(parts, classes) for parts in joined if sum(len(one) for one, _ in parts) > 1]
    return [pairs for pairs in found if not np.array_equal(pairs.one, pairs.two)]  # pairs of a row with itself


def _classes(model: Model, data: Dataset, rows: np.ndarray) -> dict[int, int] | None:
    """Class per row key if a task makes rows of one class positives, else None.

    A row of unknown class is a class of its own.
    """
    if data.labels is None or not any(name.split()[0] == "label" for name in model.learner.needs):
        return None
    labels = data.labels[rows]
    code = np.where(labels == "", -1 - np.arange(len(rows)), np.unique(labels, return_inverse=True)[1])
    return dict(zip(data.keys[rows].tolist(), code.tolist(), strict=True))


def _joined(parts: list[tuple[Embeddings, Embeddings]], classes: dict[int, int] | None) -> Pairs:
    one, two = (
        np.concatenate([part[side].z.detach().float().cpu().flatten(1).numpy() for part in parts]) for side in (0, 1)
    )

    def key(name: str) -> np.ndarray:
        return np.concatenate([part[0].keys[name].cpu().numpy() for part in parts])

    contents = [key(name) for name in parts[0][0].keys if name.startswith("content ")]
    groups = [each for each in contents if _copies(each)]
    groups += [np.array([classes[row] for row in key("id").tolist()])] if classes else []
    return Pairs(one, two, key("id"), tuple(groups))


def _copies(content: np.ndarray) -> bool:
    """Whether equal content means duplicates: no content is shared by over a tenth of rows."""
    return bool(np.unique(content, return_counts=True)[1].max(initial=0) <= max(2, len(content) // 10))
