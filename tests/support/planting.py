"""A pickle that leaves a mark in the working folder when it is loaded: for tests that plant it."""

import io
import pickle
from contextlib import contextmanager
from pathlib import Path

import torch

MARK = Path("pickle-was-loaded")


class Evil:
    """Leaves a mark in the working folder when it is unpickled."""

    def __reduce__(self):
        return Path.touch, (MARK,)


def pickled():
    return pickle.dumps(Evil())


def torch_saved():
    out = io.BytesIO()
    torch.save({"weights": Evil()}, out)
    return out.getvalue()


@contextmanager
def unmarked():
    """Fails where the mark is there at the end."""
    yield
    assert not MARK.exists(), "a pickle was loaded"
