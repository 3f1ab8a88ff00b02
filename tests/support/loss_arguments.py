"""Arguments of every loss function by their role: what it takes, and how to call it."""

import inspect

import torch
from torch.nn import functional as F

from kontrast.layers.estimates import Estimates
from kontrast.layers.memory_bank import MemoryBank
from kontrast.losses import functional

N, D, C = 8, 4, 3
Y = torch.tensor([0, 0, 1, 1, 2, 2, 0, 1])
LOSSES = {name: getattr(functional, name) for name in functional.__all__}


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# What each argument is, by its name; a new name has to be given a role here.
ROLES = {
    **dict.fromkeys(
        ("z", "z1", "z2", "query", "key", "q", "k", "f", "g", "p", "t", "v1", "v2", "g1", "g2"), "embeddings"
    ),
    **dict.fromkeys(("labels", "groups", "ids"), "labels"),
    **dict.fromkeys(("temperature", "teacher_temperature", "centre_temperature"), "above 0"),
    **dict.fromkeys(("sigma", "scale", "beta", "power", "pull", "push", "alpha", "epsilon", "strength"), "above 0"),
    **dict.fromkeys(("l2", "hardness", "off", "invariance", "variance", "covariance", "weight"), "not negative"),
    **dict.fromkeys(("proximal", "margin", "near"), "not negative"),
    **dict.fromkeys(("prior", "shrink", "discount"), "share"),
    **dict.fromkeys(("bias", "centre", "slack", "false_negatives", "guide_margin"), "number"),
    **dict.fromkeys(("both", "mean", "even", "soft", "in_batch"), "flag"),
    **dict.fromkeys(("points", "centres", "proxies", "queue"), "centres"),
    **dict.fromkeys(("k", "seed", "assigned", "iterations", "size"), "whole"),
    **dict.fromkeys(("chosen", "rejected", "chosen_reference", "rejected_reference", "wanted", "unwanted"), "answers"),
    **dict.fromkeys(("chosen_length", "rejected_length"), "lengths"),
    **dict.fromkeys(("targets", "scores"), "amounts"),
    **dict.fromkeys(("student", "teacher"), "outputs"),
    "triplets": "name",
    "memory": "object",
    "estimates": "object",
    "bags": "bags",
    "negatives": "negatives",
    "guide": "guide",
    "noise": "slots",
    "features": "embeddings",
}
# The same name for something else.
ELSE = {
    ("moco", "k"): "embeddings",
    ("kcl", "k"): "whole",
    ("tsc", "k"): "whole",
    ("align_uniform", "t"): "above 0",
    ("gensupcon", "soft"): "table",
    ("gensupcon", "teacher"): "table",
    ("herocon", "labels"): "table",
    ("paco", "alpha"): "not negative",
    ("paco", "prior"): "prior",
    ("bpr", "margin"): "number",
    ("simpo", "margin"): "number",
    ("cpl", "bias"): "not negative",
    ("swav", "scores"): "outputs",
    ("npair", "f"): "embeddings",
    ("npair", "g"): "embeddings",
}


def role(name, argument):
    found = ELSE.get((name, argument), ROLES.get(argument))
    return "embeddings" if found == "whole" and argument == "k" and name == "moco" else found


def good(name):
    """Arguments that a loss takes; views as `z` of `ntxent` are positional."""
    memory = MemoryBank(samples=20, width=D).double()
    memory.log_mean.fill_(0.3)
    given = {
        "embeddings": lambda a: randn(N, D, seed=len(a) + ord(a[-1])).requires_grad_(),
        "labels": lambda a: torch.arange(N) if a == "ids" else Y if a == "labels" else torch.arange(N) % 2,
        "table": lambda a: F.one_hot(Y, C) if name == "herocon" else 0.8 * F.one_hot(Y, C) + 0.1,
        "centres": lambda a: randn(C, D, seed=3),
        "answers": lambda a: randn(N, seed=len(a)),
        "lengths": lambda a: torch.arange(N) + 1,
        "amounts": lambda a: randn(N, seed=5),
        "outputs": lambda a: [randn(N, D, seed=6), randn(N, D, seed=7)],
        "bags": lambda a: randn(N, 2, D, seed=8),
        "slots": lambda a: torch.arange(9, 15),
        "prior": lambda a: torch.tensor([0.5, 0.3, 0.2]),
        "object": lambda a: memory if a == "memory" else Estimates(samples=20, rate=1.0).double(),
    }
    out = {}
    for argument, parameter in inspect.signature(LOSSES[name]).parameters.items():
        what = role(name, argument)
        assert what, f"{name} has an argument '{argument}' without a role"
        needed = parameter.default is parameter.empty or what in ("table", "slots", "prior", "centres")
        if needed and parameter.kind is not parameter.VAR_POSITIONAL:
            out[argument] = given[what](argument)
    if name == "hard_negative":
        out["prior"] = 0.02
    return out


def call(name, **given):
    if name == "ntxent":
        views = [given.pop("z1", None), given.pop("z2", None)]
        views = [randn(N, D, seed=s).requires_grad_() if v is None else v for s, v in enumerate(views)]
        return functional.ntxent(*views, **given)
    return LOSSES[name](**{**good(name), **given})
