"""Folder of a pretrained text model, local or in the cache of the hub."""

from pathlib import Path

from kontrast.core.errors import UserError

# Never pickled weights, never code; ONNX and OpenVINO copies are not needed.
_TOKENIZER = ["*.json", "*.txt", "*.model"]
_WEIGHTS = ["*.safetensors"]
_TWINS = ["onnx/*", "openvino/*"]


def folder_of(model: str, *, weights: bool) -> Path:
    """Finds or downloads a pretrained text model.

    Args:
        model: A local folder, or a name on the hub.
        weights: Whether to download weights besides configuration and tokenizer.

    Returns:
        The folder of the model.

    Raises:
        UserError: no such folder, and the hub and its cache do not have the name.
    """
    if Path(model).is_dir():
        return Path(model)
    if Path(model).is_absolute() or model.startswith((".", "~")):
        raise UserError(
            f"no text model '{model}': there is no such folder. Give a model's folder, or its name on the hub."
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=_TOKENIZER + _WEIGHTS * weights, ignore_patterns=_TWINS))
    except (OSError, ValueError) as error:
        raise UserError(
            f"no text model '{model}': there is no such folder, and the Hugging Face hub (or its cache) answered: "
            f"{str(error).splitlines()[0].rstrip('.')}. Give a model's folder, or a name as on the hub, such as "
            "intfloat/e5-small-v2."
        ) from error
