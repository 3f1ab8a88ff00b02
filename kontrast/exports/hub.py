"""Hub: a model folder with a card, for the Hugging Face hub or any disk; uploads only on request."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kontrast.core.errors import UserError, needs
from kontrast.core.experiment import Choice, Experiment
from kontrast.encoders.causal_lm import CausalLM
from kontrast.encoders.timm import Timm
from kontrast.encoders.transformer import Transformer
from kontrast.exports.card import card
from kontrast.exports.export import Export, Subject
from kontrast.exports.pretrained import write_causal, write_timm, write_transformer
from kontrast.runs.build import tower_of
from kontrast.runs.folder import run_json
from kontrast.runs.folder.folder import Folder


class Hub(Export):
    """Model folder that `kontrast.load` reads, with a model card.

    It holds README.md (the card), experiment.json, encoder/ with safetensors, data.json and scores.json, and leaves
    out the run's rows, paths and command line. A model from timm or transformers, causal language models included, is
    also written in that library's own format: at the top if it is the only one, else in a folder of its name.

    Args:
        push: Repository on the hub, such as "me/my-model", that the finished folder is uploaded to, with the token of
            `hf auth login` or HF_TOKEN. None: no upload.
        private: Whether the repository is private when it is created. Default: True.
    """

    def __init__(self, *, push: str | None = None, private: bool = True) -> None:
        self.push, self.private = push, private

    def write(self, subject: Subject, folder: Path) -> Mapping[str, Any]:
        """Writes the folder; `sent` uploads it."""
        run, model = subject.run.folder, subject.model
        copy = Folder(folder)
        experiment = _without_paths(model.experiment)
        copy.write("experiment.json", experiment.to_json())
        model.save(copy)
        data = _read(run.path / "data.json")
        if data is not None:
            data = {**data, "name": Path(str(data["name"])).name, "quarantined": []}
            copy.write_json("data.json", data)
        scores = run_json.scores(run) if (run.path / "scores.json").is_file() else None
        if scores is not None:
            copy.write_json("scores.json", scores)
        loading = ["import kontrast", "", 'run = kontrast.load("THIS-FOLDER")', "bank = run.embed(data)"]
        libraries = _libraries(subject, folder)
        if libraries:
            loading += ["", "# the encoders alone, by their own libraries", *libraries.values()]
        name = (self.push or run.path.name).split("/")[-1]
        (folder / "README.md").write_text(card(name, experiment, data, scores, loading), encoding="utf8")
        return {"load": 'kontrast.load("FOLDER")', **libraries}

    def sent(self, folder: Path) -> Mapping[str, Any]:
        """Uploads the folder to the hub if `push` names a repository."""
        if self.push is None:
            return {}
        hub = needs("huggingface_hub", "export")
        try:
            api = hub.HfApi()
            api.create_repo(self.push, private=self.private, exist_ok=True)
            url = api.upload_folder(repo_id=self.push, folder_path=str(folder), commit_message="From kontrast")
        except (OSError, ValueError) as error:  # errors of huggingface_hub derive from these
            raise UserError(
                f"hub: {self.push} could not be sent ({str(error).splitlines()[0][:200]}); the folder is whole: "
                f"{folder}. Expected a name such as me/my-model and a token that may write: hf auth login."
            ) from error
        return {"pushed": str(url)}


def _libraries(subject: Subject, folder: Path) -> dict[str, str]:
    """Writes timm and transformers encoders in their own format; returns how to load each."""
    model, calls = subject.model, {}
    towers = {tower_of(model.experiment, field): field for field in model.fields}
    theirs = {
        tower: field
        for tower, field in towers.items()
        if isinstance(model.learner.encoders.encoder(field), Timm | Transformer | CausalLM)
    }
    for tower, field in theirs.items():
        here = folder if len(theirs) == 1 else folder / tower
        here.mkdir(exist_ok=True)
        encoder, modality = model.learner.encoders.encoder(field), model.modalities[field]
        if isinstance(encoder, Timm):
            write_timm(encoder, modality, here)
            call = 'timm.create_model("local-dir:{}", pretrained=True)'
        elif isinstance(encoder, Transformer):
            write_transformer(encoder, modality, here)
            call = 'transformers.AutoModel.from_pretrained("{}")'
        else:
            assert isinstance(encoder, CausalLM)
            write_causal(encoder, modality, here)
            call = 'transformers.AutoModelForCausalLM.from_pretrained("{}")'
        calls[tower] = call.format("THIS-FOLDER" if len(theirs) == 1 else f"THIS-FOLDER/{tower}")
    return calls


def _without_paths(experiment: Experiment) -> Experiment:
    """Strips local paths from the experiment; keeps file names."""

    def bare(choices: Mapping[str, Choice]) -> dict[str, Choice]:
        return {
            key: Choice(c.name, {n: Path(v).name if _path(v) else v for n, v in c.settings.items()})
            for key, c in choices.items()
        }

    source = replace(experiment.source, data=Path(experiment.source.data).name or "memory")
    return replace(experiment, source=source, encoders=bare(experiment.encoders), views=bare(experiment.views))


def _path(value: Any) -> bool:
    return isinstance(value, str) and (Path(value).is_absolute() or value.startswith(("~", "..", "./")))


def _read(file: Path) -> dict[str, Any] | None:
    return json.loads(file.read_text(encoding="utf8")) if file.is_file() else None
