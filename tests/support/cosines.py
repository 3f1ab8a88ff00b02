"""How near two tables of vectors are, row by row."""

import numpy as np


def least_cosine(a, b):
    a, b = np.asarray(a, float), np.asarray(b, float)
    return ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min()
