"""Models of the transformers library from a folder, with or without their weights; no code of theirs is run."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from kontrast.core import untrusted_json
from kontrast.core.errors import UserError, needs

# Exceptions that the libraries raise for damaged or foreign model files.
_REFUSED = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, ArithmeticError, SafetensorError)


def load(folder: Path, *, weights: bool, causal: bool = False) -> Any:
    """Builds a model in float32.

    Args:
        folder: Holds config.json and, for weights, model.safetensors.
        weights: Whether to read the weights; otherwise only the shape is built, without drawing any, which takes longer
            than reading them.
        causal: Whether it must predict the next token; else it gives hidden layers. Default False.

    Returns:
        The model; of an encoder with a decoder (T5, BART) the encoder, unless causal.

    Raises:
        UserError: No such model, or none that the library can read.
    """
    transformers = needs("transformers", "text")
    auto = transformers.AutoModelForCausalLM if causal else transformers.AutoModel
    loaded = _read(auto, folder, causal) if weights else _shaped(transformers.AutoConfig, auto, folder)
    # Alone the encoder shares no weights, which safetensors refuses.
    return loaded.get_encoder() if loaded.config.is_encoder_decoder and not causal else loaded


def read(path: Path) -> Mapping[str, Any]:
    """A JSON file as a mapping; empty if there is no such file."""
    return (
        untrusted_json.shaped(untrusted_json.tree(untrusted_json.text(path), str(path)), {}, str(path))
        if path.exists()
        else {}
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Silences progress bars, advice and warnings of the library; puts its settings back."""
    log = needs("transformers", "text").utils.logging
    before, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.set_verbosity(before)
        if bars:
            log.enable_progress_bar()


def _read(auto: Any, folder: Path, causal: bool) -> Any:
    try:
        with quiet():
            return auto.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
            )
    except _REFUSED as error:
        who, kind = ("causal_lm", "causal language model") if causal else ("transformer", "model")
        raise UserError(
            f"{who}: {folder} holds no {kind} that can be read; expected config.json and model.safetensors "
            f"of a model that the transformers library knows. Found: {(str(error).splitlines() or ['nothing'])[0]}"
        ) from error


def _shaped(configs: Any, auto: Any, folder: Path) -> Any:
    from transformers.initialization import no_init_weights

    try:
        with quiet(), no_init_weights():
            config = configs.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            made = auto.from_config(config, dtype=torch.float32)
            made.tie_weights()  # skipped along with drawing them
            return made
    except _REFUSED as error:
        raise UserError(
            f"transformer: {folder / 'config.json'} describes no model that the transformers library knows without "
            f"running code that comes with it. Found: {(str(error).splitlines() or [type(error).__name__])[0]}"
        ) from error
