"""A Model: the fitted modalities and the method, from an experiment or from a run folder, and what it makes of rows: a
Bank."""

import copy
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kontrast.core import factory, random_streams, registry
from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError, did_you_mean
from kontrast.core.experiment import Choice, Experiment, plain
from kontrast.data.dataset.dataset import Dataset
from kontrast.data.modality import Modality
from kontrast.data.schema import target
from kontrast.encoders.encoder import Encoder
from kontrast.layers.towers import Towers
from kontrast.methods.method import Method
from kontrast.runs import kept
from kontrast.runs.folder import TARGETS, Folder, load_tensors, save_tensors
from kontrast.training.memory import capacity
from kontrast.training.parameter_count import refuse_beyond

CHUNK = 256  # rows embedded at once, unless asked otherwise

Progress = Callable[[str, int, int], None]
Precision = Literal["32", "bf16"]


@dataclass(frozen=True)
class Model:
    """What embeds: `modalities` by field, and the `method` with its towers. bf16: it computes in that (`halved`).

    facts: what is known of the training rows and their targets (`facts_of`).
    """

    experiment: Experiment
    modalities: Mapping[str, Modality]
    method: Method
    bf16: bool = False
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def fields(self) -> list[str]:
        """The fields that can be embedded."""
        return list(self.modalities)

    def save(self, folder: Folder) -> None:
        """encoder/: model.safetensors, modalities.json and targets.json: all that embedding needs besides
        experiment.json."""
        states = {name: modality.state() for name, modality in self.modalities.items()}
        folder.write_json("encoder/modalities.json", states)
        folder.write_json(TARGETS, self.facts)
        for field, tower in self.method.towers.tower_of.items():
            self.method.towers.encoder(field).keep(folder.path / "encoder" / tower)
        save_tensors(self.method.state_dict(), folder.path / "encoder" / "model.safetensors")

    @staticmethod
    def load(folder: Folder) -> "Model":
        """Back from `save`, ready to embed on the CPU."""
        experiment = folder.experiment()
        own = replace(experiment, encoders=_kept(folder, experiment))
        modalities = modalities_of(own)
        states = folder.read_json("encoder/modalities.json")
        facts = kept.targets(folder)
        file = folder.path / "encoder" / "model.safetensors"
        weights = load_tensors(file)
        wrong = [name for name, t in weights.items() if t.is_floating_point() and not torch.isfinite(t).all()]
        if wrong:
            raise UserError(
                f"{file} holds NaN or infinity in {len(wrong)} of its tensors, such as {wrong[0]}: so rows have "
                "no embedding. Bring the file back, or train anew."
            )
        try:
            for name, modality in modalities.items():
                modality.restore(states[name])
            method = method_of(own, modalities, facts)
            method.load_state_dict(weights)
        except UserError:
            raise
        except (LookupError, RuntimeError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise UserError(
                f"the encoder in {folder.path} does not fit its experiment.json ({_word(error)}); "
                "one of the two has been changed. Bring it back, or train anew."
            ) from error
        return Model(experiment, modalities, method.eval(), facts=facts)

    def halved(self) -> "Model":
        """A copy that embeds in bf16: fast where the CPU (AMX, AVX512-bf16) or GPU computes it, slow where it does not.

        Autocast casts every weight anew at every block, so those of matrix products lie in bf16 here; embeddings too,
        or what is added to them stays in float32. The rest (norms, statistics, means) is left to autocast.
        """
        twin = copy.deepcopy(self.method)
        for part in twin.modules():
            if isinstance(part, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Embedding):
                part.to(torch.bfloat16)
        return replace(self, method=twin, bf16=True)

    @torch.no_grad()
    def embed_views(self, field: str, x: Tensor) -> Tensor:
        """(B, ...) as `Modality.preprocess` gives it -> (B, D) float32 on the sphere, each row on its own."""
        device = next(self.method.parameters()).device
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.bf16):
            z = self.method.embed(field, x.to(device))
        return F.normalize(z.float(), dim=1).cpu()

    def embed_cells(self, field: str, cells: list[Any], folder: Path = Path()) -> np.ndarray:
        """Cells as the data holds them (a path, a text, an array) -> (n, D) on the sphere."""
        if field not in self.modalities:
            raise UserError(f"this run has no field '{field}'{did_you_mean(field, self.modalities)}")
        modality = self.modalities[field]
        packed = [modality.pack(modality.read(cell, folder)) for cell in cells]
        self.method.eval()
        return self.embed_views(field, modality.preprocess(modality.collate(packed))).numpy()

    def embed(
        self, data: Dataset, rows: np.ndarray | None = None, *, batch: int = CHUNK, progress: Progress | None = None
    ) -> EmbeddingTable:
        """The rows of a dataset as a Bank; a row lacks what its field lacks. `batch` changes speed and memory only."""
        rows = np.arange(len(data.ids)) if rows is None else rows
        self.method.eval()

        def features(name: str, packed: Tensor) -> Tensor:
            return self.embed_views(name, self.modalities[name].preprocess(packed))

        z = _blocks(self.modalities, data, rows, features, batch, progress)
        return bank_of(z, data, rows, self.method.shared)


def _kept(folder: Folder, experiment: Experiment) -> dict[str, Choice]:
    """The encoders, built from what the run keeps instead of from where they first came."""
    found = {}
    for tower, chosen in experiment.encoders.items():
        encoder: type[Encoder] = registry.load("encoders", chosen.name)
        here = encoder.kept(folder.path / "encoder" / tower)
        found[tower] = Choice(chosen.name, {**chosen.settings, **here})
    return found


def _word(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def raw_bank(modalities: Mapping[str, Modality], data: Dataset, rows: np.ndarray) -> EmbeddingTable:
    """The baseline without any learning: each field's raw features, on the sphere."""

    def features(name: str, packed: Tensor) -> Tensor:
        return F.normalize(modalities[name].raw(packed).float(), dim=1)

    return bank_of(_blocks(modalities, data, rows, features, CHUNK, None), data, rows, shared=False)


def _blocks(
    modalities: Mapping[str, Modality],
    data: Dataset,
    rows: np.ndarray,
    features: Callable[[str, Tensor], Tensor],
    batch: int,
    progress: Progress | None,
) -> dict[str, np.ndarray]:
    """field -> (N, D), NaN where the row has no such field."""
    blocks = {}
    for name, store in data.stores.items():
        modality = modalities[name]
        there = np.flatnonzero(store.has[rows])
        block: np.ndarray | None = None
        # Long rows first: rows of a block are then hardly padded, and memory that is too small shows at once.
        there = there[np.argsort(-store.lengths(rows[there]), kind="stable")]
        for start in range(0, len(there), batch):
            part = there[start : start + batch]
            z = features(name, modality.collate(store.rows(rows[part]))).numpy()
            block = np.full((len(rows), z.shape[1]), np.nan, np.float32) if block is None else block
            block[part] = z
            if progress:
                progress(f"embedding {name}", start + len(part), len(there))
        blocks[name] = np.full((len(rows), 1), np.nan, np.float32) if block is None else block
    return blocks


def bank_of(z: Mapping[str, np.ndarray], data: Dataset, rows: np.ndarray, shared: bool) -> EmbeddingTable:
    """Embeddings with what is known of their rows."""
    labels = None if data.labels is None else data.labels[rows]
    golds = None if data.golds is None else data.golds[rows]
    metadata = data.metadata.take(rows) if data.metadata.num_columns else data.metadata
    return EmbeddingTable(z, data.ids[rows], labels, metadata, shared, golds)


def modalities_of(experiment: Experiment) -> dict[str, Modality]:
    """The modality of every field, not yet fitted, with what its encoder asks of it.

    Fields of one tower and equal settings share one modality, so that one vocabulary, size and scale is fitted to both.
    """
    made: dict[str, Modality] = {}
    shared: list[tuple[str, Choice, Modality]] = []
    for field, view in experiment.views.items():
        tower = tower_of(experiment, field)
        twin = next((m for t, v, m in shared if (t, v) == (tower, view)), None)
        if twin is None:
            chosen = experiment.encoders[tower]
            factory.check("encoders", chosen.name, chosen.settings)
            encoder: type[Encoder] = registry.load("encoders", chosen.name)
            factory.check("modalities", view.name, view.settings)
            twin = factory.build("modalities", view.name, {**encoder.wants(chosen.settings), **view.settings})
            shared.append((tower, view, twin))
        made[field] = twin
    return made


def tower_of(experiment: Experiment, field: str) -> str:
    """A field's own tower where it has one, else that of its modality."""
    tower = field if field in experiment.encoders else experiment.views[field].name
    if tower not in experiment.encoders:
        raise UserError(f"the experiment has no encoder for '{field}'{did_you_mean(tower, experiment.encoders)}")
    return tower


def facts_of(data: Dataset) -> dict[str, Any]:
    """What a run keeps of its training rows: `samples` (their number), and `targets`: key name -> kind, column and
    facts (`classes`, `names`, `counts`, `mean`, `std` ...).
    """
    return {"samples": int(data.training.sum()), "targets": target.facts(data.targets)}


def method_of(
    experiment: Experiment, modalities: Mapping[str, Modality], facts: Mapping[str, Any] | None = None
) -> Method:
    """The method with its towers, weights drawn from the seed.

    Args:
        experiment: Names the method, its settings and the encoders.
        modalities: Field -> modality, fitted.
        facts: As `facts_of` gives them. A method that asks for `classes` or `samples` gets the number of classes (of
            the label, else of several labels or soft ones) and of training rows; `class_counts` are the rows of each.

    Raises:
        UserError: The method learns from a target that no column gives, or no memory holds it while it is trained.
    """
    parts = {"method": experiment.method, "encoders": experiment.encoders, "views": experiment.views}
    settings = {name: plain(part) for name, part in parts.items()}
    refuse_beyond(lambda: _built(experiment, modalities, facts), settings, capacity())
    return _built(experiment, modalities, facts)


def _built(experiment: Experiment, modalities: Mapping[str, Modality], facts: Mapping[str, Any] | None) -> Method:
    torch.manual_seed(random_streams.folded(experiment.seed))
    towers = {field: tower_of(experiment, field) for field in experiment.views}
    encoders: dict[str, Encoder] = {}
    for field, tower in towers.items():
        if tower not in encoders:
            chosen: Choice = experiment.encoders[tower]
            built_for = dict(modalities[field].facts())
            encoders[tower] = factory.build("encoders", chosen.name, chosen.settings, given=built_for)
    name, known = experiment.method.name, facts or {}
    made: type[Method] = registry.load("methods", name)
    _require(name, made.needs, known)
    built = Towers(encoders, towers)
    if experiment.plan.recompute == "on" and not built.recompute():
        used = ", ".join(sorted({experiment.encoders[tower].name for tower in encoders}))
        raise UserError(
            f"plan.recompute=on: no encoder of this run ({used}) can compute its blocks again; expected one that "
            "learns and holds no batch norms, such as transformer or tcn. Leave it out; plan.passes saves memory too."
        )
    given = {"towers": built, **_given(known)}
    method: Method = factory.build("methods", name, experiment.method.settings, given=given)
    _require(name, method.needs, known)  # of the relation that was chosen for it
    return method


def _require(name: str, needs: frozenset[str], facts: Mapping[str, Any]) -> None:
    """A message where no column gives a target that the method learns from."""
    lacking = sorted(needs - set(facts.get("targets", {})))
    if lacking:
        raise UserError(
            f"method '{name}' learns from a {lacking[0].partition(' ')[0]} of each row as it was asked for, and no "
            f"column gives one. Say which does: {target.asked_for(lacking[0])}."
        )


def _given(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a method's constructor may ask for."""
    known = facts.get("targets", {})
    classes = [known[kind]["classes"] for kind in ("label", "labels", "soft") if kind in known]
    given: dict[str, Any] = {"samples": facts["samples"]} if "samples" in facts else {}
    if "label" in known:
        given["class_counts"] = known["label"]["counts"]
    return {**given, "classes": classes[0]} if classes else given


def describe(method: Method) -> str:
    """For the first screen: `image: resnet 2.8 M -> 256`, a tower each."""
    lines = {}
    for field, tower in method.towers.tower_of.items():
        encoder = method.towers.encoder(field)
        count = sum(p.numel() for p in encoder.parameters())
        lines[tower] = f"{tower}: {type(encoder).__name__.lower()} {count / 1e6:.1f} M -> {encoder.width}"
    return " · ".join(lines.values())
