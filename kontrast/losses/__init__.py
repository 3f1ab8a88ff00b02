"""Losses as torch modules, `kt.losses.NTXent(temperature=0.2)(z1, z2)`, and as functions, `kt.losses.functional`.

A module is a file of `losses/modules/`, imported on first use. `kontrast list losses` lists them, `kontrast show
NTXent` shows one.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors and type checkers, which do not run `__getattr__`
    from kontrast.losses import functional as functional
    from kontrast.losses.modules.align_uniform import AlignUniform as AlignUniform
    from kontrast.losses.modules.angle import AnglE as AnglE
    from kontrast.losses.modules.arcface import ArcFace as ArcFace
    from kontrast.losses.modules.barlow_twins import BarlowTwins as BarlowTwins
    from kontrast.losses.modules.bcl import BCL as BCL
    from kontrast.losses.modules.bpr import BPR as BPR
    from kontrast.losses.modules.byol import BYOL as BYOL
    from kontrast.losses.modules.circle import Circle as Circle
    from kontrast.losses.modules.click import CLICK as CLICK
    from kontrast.losses.modules.clip import CLIP as CLIP
    from kontrast.losses.modules.contrastive import Contrastive as Contrastive
    from kontrast.losses.modules.cosent import CoSENT as CoSENT
    from kontrast.losses.modules.cosface import CosFace as CosFace
    from kontrast.losses.modules.cpl import CPL as CPL
    from kontrast.losses.modules.cross_batch_memory import CrossBatchMemory as CrossBatchMemory
    from kontrast.losses.modules.dcl import DCL as DCL
    from kontrast.losses.modules.dclw import DCLW as DCLW
    from kontrast.losses.modules.debiased import Debiased as Debiased
    from kontrast.losses.modules.dino import DINO as DINO
    from kontrast.losses.modules.dpo import DPO as DPO
    from kontrast.losses.modules.fscl import FSCL as FSCL
    from kontrast.losses.modules.genscl import GenSCL as GenSCL
    from kontrast.losses.modules.hard_negative import HardNegative as HardNegative
    from kontrast.losses.modules.herocon import HeroCon as HeroCon
    from kontrast.losses.modules.herocon_views import HeroConViews as HeroConViews
    from kontrast.losses.modules.infonce import InfoNCE as InfoNCE
    from kontrast.losses.modules.instance_discrimination import InstanceDiscrimination as InstanceDiscrimination
    from kontrast.losses.modules.jsd import JSD as JSD
    from kontrast.losses.modules.kcl import KCL as KCL
    from kontrast.losses.modules.matryoshka import Matryoshka as Matryoshka
    from kontrast.losses.modules.mil_nce import MILNCE as MILNCE
    from kontrast.losses.modules.moco import MoCo as MoCo
    from kontrast.losses.modules.multi_positive import MultiPositive as MultiPositive
    from kontrast.losses.modules.multi_similarity import MultiSimilarity as MultiSimilarity
    from kontrast.losses.modules.npair import NPair as NPair
    from kontrast.losses.modules.ntxent import NTXent as NTXent
    from kontrast.losses.modules.paco import PaCo as PaCo
    from kontrast.losses.modules.pair_margin import PairMargin as PairMargin
    from kontrast.losses.modules.proxy_anchor import ProxyAnchor as ProxyAnchor
    from kontrast.losses.modules.rank_n_contrast import RankNContrast as RankNContrast
    from kontrast.losses.modules.siglip import SigLIP as SigLIP
    from kontrast.losses.modules.simpo import SimPO as SimPO
    from kontrast.losses.modules.simsiam import SimSiam as SimSiam
    from kontrast.losses.modules.soft_nearest_neighbour import SoftNearestNeighbour as SoftNearestNeighbour
    from kontrast.losses.modules.sogclr import SogCLR as SogCLR
    from kontrast.losses.modules.spectral import Spectral as Spectral
    from kontrast.losses.modules.supcon import SupCon as SupCon
    from kontrast.losses.modules.supcon_inside import SupConInside as SupConInside
    from kontrast.losses.modules.swav import SwAV as SwAV
    from kontrast.losses.modules.triplet import Triplet as Triplet
    from kontrast.losses.modules.tsc import TSC as TSC
    from kontrast.losses.modules.vicreg import VICReg as VICReg
    from kontrast.losses.modules.wmse import WMSE as WMSE

_HOME = Path(__file__).parent


def __getattr__(name: str) -> object:
    """A loss by the name of its class, or a module of this folder."""
    files = {path.stem.replace("_", ""): path.stem for path in (_HOME / "modules").glob("[a-z]*.py")}
    if name[:1].isupper() and name.lower() in files:
        found = vars(importlib.import_module(f"kontrast.losses.modules.{files[name.lower()]}"))
        if name in found:
            return found[name]
    elif name.isidentifier() and ((_HOME / f"{name}.py").exists() or (_HOME / name / "__init__.py").exists()):
        return importlib.import_module(f"kontrast.losses.{name}")
    raise AttributeError(_unknown(name))


def __dir__() -> list[str]:
    """Names of the loss classes, and `functional`."""
    return [*_classes(), "functional"]


def _classes() -> list[str]:
    from kontrast.core import registry

    return sorted(kind.attribute for kind in registry.kinds("modules").values())


def _unknown(name: str) -> str:
    """Message for an unknown name; Python itself asks for private names, which get no suggestion."""
    words = f"module 'kontrast.losses' has no attribute '{name}'"
    if name.startswith("_"):
        return words
    from kontrast.core.errors import did_you_mean

    known = {one.lower(): one for one in _classes()}
    match = known.get(name.replace("_", "").lower())
    return f"{words}; did you mean '{match}'?" if match else words + did_you_mean(name, known.values())
