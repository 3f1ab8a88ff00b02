"""Losses on plain tensors, for your own training loop: embeddings and labels in, one scalar out.

Each is a few lines over `contrast`: tiled, so memory grows with rows and not with their square; in float32 or better,
whatever comes in; rows without a positive are left out. If torch.distributed runs, candidates are gathered from all
processes with gradient, and the scalar is this process's, scaled so that DDP's average of gradients is the gradient of
the mean over all anchors of all processes, uneven batches included. No loss divides its temperature out or multiplies
it back in.
"""

from kontrast.losses.functional.assignments import (
    dino,
    swav,
)
from kontrast.losses.functional.by_label import (
    fscl,
    gensupcon,
    herocon,
    multi_positive,
    rnc,
    soft_nearest_neighbour,
    supcon,
    supcon_inside,
)
from kontrast.losses.functional.by_pair import (
    align_uniform,
    barlow,
    byol,
    jsd,
    siglip,
    spectral,
    vicreg,
    wmse,
)
from kontrast.losses.functional.by_query import (
    infonce,
    pair_margin,
    simsiam,
)
from kontrast.losses.functional.by_sample import (
    instance_discrimination,
    sogclr,
)
from kontrast.losses.functional.by_view import (
    clip,
    dcl,
    dclw,
    debiased,
    hard_negative,
    moco,
    npair,
    ntxent,
)
from kontrast.losses.functional.long_tail import (
    bcl,
    kcl,
    paco,
    tsc,
)
from kontrast.losses.functional.metric import (
    angle,
    arcface,
    circle,
    cosent,
    cosface,
    multi_similarity,
    proxy_anchor,
    triplet,
)
from kontrast.losses.functional.multi_view import (
    herocon_views,
    mil_nce,
)
from kontrast.losses.functional.preference import (
    bpr,
    click,
    cpl,
    dpo,
    simpo,
)

__all__ = [
    "align_uniform",
    "angle",
    "arcface",
    "barlow",
    "bcl",
    "bpr",
    "byol",
    "circle",
    "click",
    "clip",
    "cosent",
    "cosface",
    "cpl",
    "dcl",
    "dclw",
    "debiased",
    "dino",
    "dpo",
    "fscl",
    "gensupcon",
    "hard_negative",
    "herocon",
    "herocon_views",
    "infonce",
    "instance_discrimination",
    "jsd",
    "kcl",
    "mil_nce",
    "moco",
    "multi_positive",
    "multi_similarity",
    "npair",
    "ntxent",
    "paco",
    "pair_margin",
    "proxy_anchor",
    "rnc",
    "siglip",
    "simpo",
    "simsiam",
    "soft_nearest_neighbour",
    "sogclr",
    "spectral",
    "supcon",
    "supcon_inside",
    "swav",
    "triplet",
    "tsc",
    "vicreg",
    "wmse",
]
