"""Writers of wrapped timm and transformers models in their own libraries' folder formats."""

import copy
import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from kontrast.core.errors import needs
from kontrast.data.modality import Modality
from kontrast.encoders import hub_model
from kontrast.encoders.adapters.lora import Adapted
from kontrast.encoders.causal_lm import CausalLM
from kontrast.encoders.timm import Timm
from kontrast.encoders.transformer import Transformer
from kontrast.runs.folder.folder import save_tensors

END = "<|end|>"  # written of a small model's start and end, which its tokenizer does not know


def write_timm(encoder: Timm, modality: Modality, folder: Path) -> None:
    """Writes config.json and model.safetensors for `timm.create_model("local-dir:FOLDER", pretrained=True)`."""
    from timm.models import save_for_hf

    state = modality.state()
    shown = {"input_size": (state["channels"], state["size"], state["size"])}
    shown |= {"mean": tuple(state["mean"]), "std": tuple(state["std"])}
    net = copy.deepcopy(encoder.net).cpu().requires_grad_(False)
    save_for_hf(net, str(folder), safe_serialization=True, data_config=shown)


def write_transformer(encoder: Transformer, modality: Modality, folder: Path) -> None:
    """Writes config.json, model.safetensors (LoRA merged) and the tokenizer for `AutoModel` and `AutoTokenizer`."""
    net: Any = copy.deepcopy(encoder.model).cpu()
    config = json.loads(encoder.shape)
    if isinstance(net, Adapted):
        net = net.merged()
    save_tensors(net.state_dict(), folder / "model.safetensors", {"format": "pt"})
    config["architectures"] = [type(net).__name__]
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf8")
    _write_tokenizer(modality, folder, pad=encoder.pad)


def write_causal(encoder: CausalLM, modality: Modality, folder: Path) -> None:
    """Writes config.json, model.safetensors (LoRA merged) and the tokenizer for `AutoModelForCausalLM`."""
    with hub_model.quiet():
        encoder.whole().save_pretrained(str(folder))
    _write_tokenizer(modality, folder, end=encoder.end)


def _write_tokenizer(modality: Modality, folder: Path, *, pad: int | None = None, end: int | None = None) -> None:
    """Writes tokenizer.json with the names of special tokens; an end beyond the vocabulary becomes a token."""
    transformers = needs("transformers", "text")
    state = modality.state()
    coder = Tokenizer.from_str(json.dumps(state["tokenizer"]))
    if end is not None and coder.id_to_token(end) is None:
        coder.add_special_tokens([END])
    named = {"pad_token": pad, "eos_token": end}
    tokens = transformers.PreTrainedTokenizerFast(
        tokenizer_object=coder,
        model_max_length=state["length"],
        **{name: coder.id_to_token(token) for name, token in named.items() if token is not None},
        model_input_names=["input_ids", "attention_mask"],
    )
    tokens.save_pretrained(str(folder))
