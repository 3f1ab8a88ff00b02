"""Small banks for tests of judges, whose true answers are known."""

import numpy as np

from kontrast.core.embedding_table import EmbeddingTable


def unit(z):
    return (z / np.linalg.norm(z, axis=-1, keepdims=True)).astype(np.float32)


def bank(z, labels=None, shared=False, prefix="r"):
    """A bank from one array or from several named ones; rows of zeros are missing."""
    z = z if isinstance(z, dict) else {"image": z}
    blocks = {}
    for name, block in z.items():
        lost = ~block.any(axis=1)
        block = unit(np.where(lost[:, None], 1, block))
        block[lost] = np.nan
        blocks[name] = block
    n = len(next(iter(blocks.values())))
    labels = None if labels is None else np.array([str(one) for one in labels])
    return EmbeddingTable(blocks, np.array([f"{prefix}{i}" for i in range(n)]), labels, shared=shared)


def blobs(n, classes=4, width=8, noise=0.3, seed=0, prefix="r"):
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=n)
    centres = np.random.default_rng(99).normal(size=(classes, width))
    return bank(centres[y] + noise * rng.normal(size=(n, width)), [f"c{i}" for i in y], prefix=prefix)


def several(n, seed=0, prefix="r", shared=True, noise=0.5, missing=True):
    """Two noisy looks at one thing, some rows without the one or the other, some labels unknown."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    thing = np.random.default_rng(98).normal(size=(3, 6))[y] + rng.normal(size=(n, 6))
    z = {name: thing + noise * rng.normal(size=thing.shape) for name in ("google", "twitter")}
    if missing:
        z["google"][1::7], z["twitter"][2::5] = 0, 0
    labels = np.where(np.arange(n) % 11 == 3, "", y.astype(str))
    return bank(z, labels, shared=shared, prefix=prefix)


def values(found):
    return {name: evidence.value for name, evidence in found.items()}
