"""Where a pretrained text model lies: its folder, or the folder that the Hugging Face hub's cache has for its name."""

from pathlib import Path

from kontrast.core.errors import UserError

# Never pickled weights, never code; ONNX and OpenVINO twins are not needed.
_TOKENIZER = ["*.json", "*.txt", "*.model"]
_WEIGHTS = ["*.safetensors"]
_TWINS = ["onnx/*", "openvino/*"]


def folder_of(model: str, *, weights: bool) -> Path:
    """The folder of a model by folder or hub name; downloads what is missing of its configuration and tokenizer, and of its weights if asked."""
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=_TOKENIZER + _WEIGHTS * weights, ignore_patterns=_TWINS))
    except (OSError, ValueError) as error:
        raise UserError(
            f"no text model '{model}': there is no such folder, and the Hugging Face hub (or its cache, if it cannot be reached) gave: "
            f"{str(error).splitlines()[0]} Give the folder of a model, or a name as on the hub, such as intfloat/e5-small-v2."
        ) from error
