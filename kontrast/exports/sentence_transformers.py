"""sentence-transformers: a text encoder as a folder of that library's own modules, without custom code."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kontrast.core.errors import UserError
from kontrast.encoders.encoder import Encoder
from kontrast.encoders.features import Features
from kontrast.encoders.tokens import Tokens
from kontrast.encoders.transformer import Transformer
from kontrast.exports.card import card
from kontrast.exports.export import Export, Subject
from kontrast.exports.pretrained import write_transformer
from kontrast.runs.build import tower_of
from kontrast.runs.folder import run_json
from kontrast.runs.folder.folder import Folder, save_tensors
from kontrast.runs.model import Model

_ROOT = "sentence_transformers.models."
_LOUD = 100.0  # scales token vectors so that LayerNorm's epsilon is negligible; z stays the same


class SentenceTransformers(Export):
    """Folder that `SentenceTransformer(folder)` reads; embeddings equal the run's own up to rounding.

    The encoder `transformer` becomes Transformer and Pooling; `tokens`, a mean of token vectors, becomes
    StaticEmbedding and LayerNorm; a linear projection becomes Dense; Normalize comes last. Other encoders and
    projections with a hidden layer are refused, because they would need custom code in the folder.

    Args:
        field: Text field to export. None: the only one; required if there are several.
    """

    def __init__(self, *, field: str | None = None) -> None:
        self.field = field

    def write(self, subject: Subject, folder: Path) -> Mapping[str, Any]:
        """Writes modules.json, a folder per module, and the model card as README.md."""
        model = subject.model
        texts = [f for f in subject.fields(self.field) if model.experiment.views[f].name == "text"]
        if len(texts) != 1:
            found = f"{', '.join(texts)}: choose with field=NAME" if texts else f"only {', '.join(model.fields)}"
            raise UserError(f"sentence-transformers: expected one field of text, found {found}.")
        (field,) = texts
        encoder = model.learner.encoders.encoder(field)
        modules = _Modules(folder)
        _features(encoder, model, field, modules)
        if (linear := _projection(model, field, encoder.width)) is not None:
            out, width = linear.weight.shape
            config = {"in_features": width, "out_features": out, "bias": True}
            config["activation_function"] = "torch.nn.modules.linear.Identity"
            tensors = {"linear.weight": linear.weight.detach(), "linear.bias": linear.bias.detach()}
            modules.add("Dense", config, tensors)
        modules.add("Normalize", {}, {})
        modules.end()
        (folder / "README.md").write_text(_card(subject, field), encoding="utf8")
        return {"field": field, "modules": ", ".join(modules.names), "load": 'SentenceTransformer("FOLDER")'}


def _card(subject: Subject, field: str) -> str:
    """Model card with the lines that load the folder in sentence-transformers."""
    run = Folder(subject.run.path)
    data = run_json.data(run) if (run.path / "data.json").is_file() else None
    scores = run_json.scores(run) if (run.path / "scores.json").is_file() else None
    loading = [
        "from sentence_transformers import SentenceTransformer",
        "",
        'model = SentenceTransformer("THIS-FOLDER")',
        f'embeddings = model.encode(["a text of the field {field}", "another"])',
        "similarities = model.similarity(embeddings, embeddings)",
    ]
    return card(run.path.name, subject.model.experiment, data, scores, loading, library="sentence-transformers")


class _Modules:
    """Writes the modules of a folder, and modules.json, which lists them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.listed, self.names = folder, [], []

    def add(
        self, name: str, config: Mapping[str, Any] | None, tensors: Mapping[str, Tensor], root: bool = False
    ) -> Path:
        """Adds a module with config.json and weights; returns its folder, which may be the root."""
        number = len(self.names)
        place = "" if root else f"{number}_{name}"
        here = self.folder / place
        here.mkdir(exist_ok=True)
        if config is not None:
            _json(here / "config.json", config)
        if tensors:
            save_tensors(dict(tensors), here / "model.safetensors", {"format": "pt"})
        self.listed.append({"idx": number, "name": str(number), "path": place, "type": _ROOT + name})
        self.names.append(name)
        return here

    def end(self) -> None:
        """Writes modules.json and config_sentence_transformers.json."""
        _json(self.folder / "modules.json", self.listed)
        said = {"model_type": "SentenceTransformer", "similarity_fn_name": "cosine", "prompts": {}}
        _json(self.folder / "config_sentence_transformers.json", said)


def _features(encoder: Encoder, model: Model, field: str, modules: _Modules) -> None:
    """Adds the modules that compute an encoder's features."""
    modality = model.modalities[field]
    state = modality.state()
    if isinstance(encoder, Transformer):
        here = modules.add("Transformer", None, {}, root=True)
        write_transformer(encoder, modality, here)
        _json(here / "sentence_bert_config.json", {"max_seq_length": state["length"], "do_lower_case": False})
        modes = {f"pooling_mode_{mode}": encoder.pooling == name for mode, name in _MODES.items()}
        modules.add("Pooling", {"word_embedding_dimension": encoder.width, **modes}, {})
        return
    if isinstance(encoder, Tokens):
        with torch.no_grad():
            here = modules.add("StaticEmbedding", None, {"embedding.weight": _LOUD * encoder.spelled()})
        _json(here / "tokenizer.json", state["tokenizer"])
        norm = {f"norm.{name}": value for name, value in encoder.norm.state_dict().items()}
        modules.add("LayerNorm", {"dimension": encoder.width}, norm)
        return
    chosen = model.experiment.encoders[tower_of(model.experiment, field)].name
    raise UserError(
        f"sentence-transformers: that library has no module for the encoder '{chosen}', and code in the folder is "
        "nothing to be trusted with. Expected 'transformer' or 'tokens'; --to onnx works with any."
    )


class _Given(nn.Module):
    """Stands for an encoder whose features are given."""

    gives_dense = False

    def forward(self, x: Tensor) -> Features:
        return Features(x)


_MODES = {"cls_token": "cls", "mean_tokens": "mean"}


def _projection(model: Model, field: str, width: int) -> nn.Linear | None:
    """The served task's projection of features as a linear layer; None if it is the identity.

    The layer is read off the images of zero and of the unit vectors, then checked on random features.

    Raises:
        UserError: The projection is not linear.
    """
    learner = copy.deepcopy(model.learner).eval()
    learner.encoders.networks[tower_of(model.experiment, field)] = _Given()
    with torch.no_grad():
        start = learner.embed(field, torch.zeros(1, width))
        weight = learner.embed(field, torch.eye(width)) - start
        some = torch.randn(16, width, generator=torch.Generator().manual_seed(0))
        found, want = some @ weight + start, learner.embed(field, some)
        if not torch.allclose(found, want, rtol=1e-4, atol=1e-4 * float(want.abs().max())):
            raise UserError(
                "sentence-transformers: this run's projection has a hidden layer, which that library's modules cannot "
                "hold. Train with --set tasks.contrast.hidden=0, or take --to onnx."
            )
        if weight.shape[0] == weight.shape[1] and torch.allclose(weight, torch.eye(width)) and not start.any():
            return None
        linear = nn.Linear(width, weight.shape[1])
        linear.weight.copy_(weight.T)
        linear.bias.copy_(start[0])
    return linear


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf8")
