"""Losses on plain tensors, for people who keep their own loop: embeddings and labels in, one scalar to call backward
on.

Each is a few lines over `contrast`: tiled, so memory grows with rows and not with their square; in float32 or better,
whatever comes in; rows without a positive left out. Where torch.distributed is initialised, candidates are gathered
from all ranks with gradient, and the scalar is this rank's, scaled so that DDP's average of gradients is the gradient
of the mean over all anchors of all ranks, uneven batches included. None divides its temperature out or multiplies it
back in.
"""

from kontrast.losses.by_label import (
    bcl,
    fscl,
    gensupcon,
    herocon,
    kcl,
    multi_positive,
    paco,
    rnc,
    soft_nearest_neighbour,
    supcon,
    supcon_inside,
    tsc,
)
from kontrast.losses.by_sample import instance_discrimination, sogclr
from kontrast.losses.by_view import (
    clip,
    dcl,
    dclw,
    debiased,
    hard_negative,
    herocon_views,
    mil_nce,
    moco,
    npair,
    ntxent,
)

__all__ = [
    "bcl",
    "clip",
    "dcl",
    "dclw",
    "debiased",
    "fscl",
    "gensupcon",
    "hard_negative",
    "herocon",
    "herocon_views",
    "instance_discrimination",
    "kcl",
    "mil_nce",
    "moco",
    "multi_positive",
    "npair",
    "ntxent",
    "paco",
    "rnc",
    "soft_nearest_neighbour",
    "sogclr",
    "supcon",
    "supcon_inside",
    "tsc",
]
