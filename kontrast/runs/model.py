"""The model of a run: builds, saves and loads modalities and learner, and embeds rows."""

import copy
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kontrast.core import containers, registry, renamed
from kontrast.core.containers import Data
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError, did_you_mean
from kontrast.core.experiment import Choice, Experiment
from kontrast.core.shared_work import SharedWork
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.modality import Modality
from kontrast.encoders.encoder import Encoder
from kontrast.runs.build import learner_of, modalities_of
from kontrast.runs.folder import run_json
from kontrast.runs.folder.folder import TARGETS, Folder, load_tensors, save_tensors
from kontrast.training.learner import Learner

WEIGHTS, HEADS = "model.safetensors", "tasks.safetensors"
CHUNK = 256  # rows embedded at once, unless asked otherwise

Progress = Callable[[str, int, int], None]
Precision = Literal["32", "bf16"]


@dataclass(frozen=True)
class Model:
    """Fitted modalities and the learner, that is encoders and tasks: all that embedding takes.

    Attributes:
        experiment: The experiment that the model was built from.
        modalities: Field -> modality, fitted.
        learner: The encoders and the tasks.
        bf16: Whether it computes in bf16 (see `halved`).
        facts: Number of training rows and their targets, as from `facts_of`.
    """

    experiment: Experiment
    modalities: Mapping[str, Modality]
    learner: Learner
    bf16: bool = False
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def fields(self) -> list[str]:
        """Names of the fields that can be embedded."""
        return list(self.modalities)

    def save(self, folder: Folder) -> None:
        """Writes model.safetensors, modalities.json and targets.json into encoder/ of the run folder.

        With experiment.json they are all that embedding takes. What else the tasks learned (heads, prototypes) goes to
        tasks.safetensors; momentum copies and queues stay in the checkpoints.
        """
        states = {name: modality.state() for name, modality in self.modalities.items()}
        folder.write_json("encoder/modalities.json", states)
        folder.write_json(TARGETS, self.facts)
        encoders = self.learner.encoders
        for field, network in encoders.network_of.items():
            encoders.encoder(field).keep(folder.path / "encoder" / network)
        state, serving = self.learner.state_dict(), self.learner.serving_names()
        parts = {WEIGHTS: serving, HEADS: [n for n in state if n.startswith("tasks.") and n not in serving]}
        for file, names in parts.items():
            if names:
                save_tensors({name: state[name] for name in names}, folder.path / "encoder" / file)

    @staticmethod
    def load(folder: Folder) -> "Model":
        """Loads what `save` wrote, in eval mode on the CPU.

        Raises:
            UserError: A file is missing or damaged, holds NaN, or does not fit experiment.json.
        """
        experiment = folder.experiment()
        own = replace(experiment, encoders=_kept(folder, experiment))
        modalities = modalities_of(own)
        states = folder.read_json("encoder/modalities.json")
        facts = run_json.targets(folder)
        file = folder.path / "encoder" / WEIGHTS
        weights = renamed.tensors(load_tensors(file))
        if (folder.path / "encoder" / HEADS).is_file():
            weights |= load_tensors(folder.path / "encoder" / HEADS)
        wrong = [name for name, t in weights.items() if t.is_floating_point() and not torch.isfinite(t).all()]
        if wrong:
            raise UserError(
                f"{file} holds NaN or infinity in {len(wrong)} of its tensors, such as {wrong[0]}: so rows have "
                "no embedding. Bring the file back, or train anew."
            )
        try:
            for name, modality in modalities.items():
                modality.restore(states[name])
            learner = learner_of(own, modalities, facts)
            lacking = learner.load_state_dict(weights, strict=False)
            if lost := [*lacking.unexpected_keys, *sorted({*lacking.missing_keys} & {*learner.serving_names()})]:
                raise ValueError(f"{lost[0]}: no such weights, or none for it")
        except UserError:
            raise
        except (LookupError, RuntimeError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise UserError(
                f"the encoder in {folder.path} does not fit its experiment.json ({_word(error)}); "
                "one of the two has been changed. Bring it back, or train anew."
            ) from error
        return Model(experiment, modalities, learner.eval(), facts=facts)

    def halved(self) -> "Model":
        """A copy that embeds in bf16.

        It is fast on a GPU or CPU with bf16 (AMX, AVX512-bf16), slow on others.

        Weights of matrix products are cast once here, as autocast would cast them at every block; embedding layers too,
        as their float32 output would keep sums in float32. The rest (norms, statistics, means) is left to autocast.
        """
        twin = copy.deepcopy(self.learner)
        for part in twin.modules():
            if isinstance(part, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Embedding):
                part.to(torch.bfloat16)
        return replace(self, learner=twin, bf16=True)

    @torch.no_grad()
    def embed_views(self, field: str, x: Tensor) -> Tensor:
        """Embeds a preprocessed batch.

        Args:
            field: The field of the batch.
            x: (B, ...) from `Modality.preprocess`.

        Returns:
            (B, D) float32 of length 1, on the CPU; a row's embedding does not depend on the others.
        """
        device = next(self.learner.parameters()).device
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.bf16):
            z = self.learner.embed(field, containers.apply(lambda t: t.to(device), x))
        return F.normalize(z.float(), dim=1).cpu()

    def embed_batch(self, field: str, batch: Data) -> Tensor:
        """Embeds rows as `Modality.collate` returns them: the mean over the windows that show each.

        Args:
            field: The field of the batch.
            batch: Rows of the field.

        Returns:
            (B, D) float32 of length 1, on the CPU.
        """
        seen = [self.embed_views(field, window) for window in self.modalities[field].windows(batch)]
        return seen[0] if len(seen) == 1 else F.normalize(torch.stack(seen).mean(0), dim=1)

    def embed_cells(self, field: str, cells: list[Any], folder: Path = Path()) -> np.ndarray:
        """Embeds single cells of a field.

        Args:
            field: A field of the run.
            cells: Values as the data holds them: a path, a text, an array.
            folder: Folder that relative paths start from.

        Returns:
            (n, D) float32 of length 1.

        Raises:
            UserError: The run has no such field.
            Unreadable: A cell cannot be read.
        """
        if field not in self.modalities:
            raise UserError(f"this run has no field '{field}'{did_you_mean(field, self.modalities)}")
        modality = self.modalities[field]
        packed = [modality.pack(modality.read(cell, folder)) for cell in cells]
        self.learner.eval()
        return self.embed_batch(field, modality.collate(packed)).numpy()

    def embed(
        self,
        data: Dataset,
        rows: np.ndarray | None = None,
        *,
        batch: int = CHUNK,
        progress: Progress | None = None,
        work: SharedWork | None = None,
    ) -> EmbeddingTable:
        """Embeds rows of a dataset.

        Args:
            data: The dataset.
            rows: Indices of the rows. Default: all.
            batch: Rows embedded at a time; changes speed and memory only.
            progress: Called with what is done, rows done and rows in total.
            work: Shares the batches over processes, all of which call this. Default: one process.

        Returns:
            One embedding per row and field; NaN for a field that the row lacks.
        """
        rows = np.arange(len(data.ids)) if rows is None else rows
        self.learner.eval()

        z = _blocks(self.modalities, data, rows, self.embed_batch, batch, progress, work or SharedWork())
        return bank_of(z, data, rows, self.learner.shared)


def _kept(folder: Folder, experiment: Experiment) -> dict[str, Choice]:
    """The encoders, set to load from the run's own files."""
    found = {}
    for tower, chosen in experiment.encoders.items():
        encoder: type[Encoder] = registry.load("encoders", chosen.name)
        here = encoder.kept(folder.path / "encoder" / tower)
        found[tower] = Choice(chosen.name, {**chosen.settings, **here})
    return found


def _word(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def raw_bank(
    modalities: Mapping[str, Modality], data: Dataset, rows: np.ndarray, work: SharedWork | None = None
) -> EmbeddingTable:
    """The baseline without learning: each field's raw features, scaled to length 1."""

    def features(name: str, packed: Tensor) -> Tensor:
        return F.normalize(modalities[name].raw(packed).float(), dim=1)

    blocks = _blocks(modalities, data, rows, features, CHUNK, None, work or SharedWork())
    return bank_of(blocks, data, rows, shared=False)


def _blocks(
    modalities: Mapping[str, Modality],
    data: Dataset,
    rows: np.ndarray,
    features: Callable[[str, Tensor], Tensor],
    batch: int,
    progress: Progress | None,
    work: SharedWork,
) -> dict[str, np.ndarray]:
    """Features per field, (N, D) each; NaN for rows without the field."""
    return {name: _block(name, modalities[name], data, rows, features, batch, progress, work) for name in data.stores}


def _block(
    name: str,
    modality: Modality,
    data: Dataset,
    rows: np.ndarray,
    features: Callable[[str, Tensor], Tensor],
    batch: int,
    progress: Progress | None,
    work: SharedWork,
) -> np.ndarray:
    store = data.stores[name]
    there = np.flatnonzero(store.has[rows])
    # Long rows first: little padding within a part, and a lack of memory shows at once.
    there = there[np.argsort(-store.lengths(rows[there]), kind="stable")]
    parts = [there[start : start + batch] for start in range(0, len(there), batch)]

    def embedded(k: int) -> np.ndarray:
        z = features(name, modality.batch(store, rows[parts[k]], None)).numpy()
        if progress:
            progress(f"embedding {name}", min((k + 1) * batch, len(there)), len(there))
        return z

    found: np.ndarray | None = None
    for part, z in zip(parts, work.done([partial(embedded, k) for k in range(len(parts))]), strict=True):
        found = np.full((len(rows), z.shape[1]), np.nan, np.float32) if found is None else found
        found[part] = z
    return np.full((len(rows), 1), np.nan, np.float32) if found is None else found


def bank_of(z: Mapping[str, np.ndarray], data: Dataset, rows: np.ndarray, shared: bool) -> EmbeddingTable:
    """Joins embeddings with ids, labels, metadata and gold similarities of their rows.

    Args:
        z: Field -> (N, D).
        data: The dataset.
        rows: (N,) indices of the rows in it.
        shared: Whether the fields lie in one space.
    """
    labels = None if data.labels is None else data.labels[rows]
    golds = None if data.golds is None else data.golds[rows]
    metadata = data.metadata.take(rows) if data.metadata.num_columns else data.metadata
    return EmbeddingTable(z, data.ids[rows], labels, metadata, shared, golds)
