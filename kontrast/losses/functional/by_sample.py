"""Losses on plain tensors that remember every sample by its number."""

import math
from collections.abc import Sized
from typing import Any

import torch
from torch import Tensor

from kontrast.core.embeddings import Embeddings, LossTerm, exact
from kontrast.core.errors import UserError
from kontrast.core.normalize import sphere
from kontrast.layers.estimates import Estimates
from kontrast.layers.memory_bank import MemoryBank
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.contrastive.nce import NCE
from kontrast.losses.engine import input_checks
from kontrast.losses.engine.adapters import Tempered, gathered, reduce_terms, rows, views
from kontrast.losses.engine.contrast import contrast, per_row
from kontrast.losses.engine.reduction import collapse
from kontrast.losses.kernel import Kernel
from kontrast.losses.relation import Relation
from kontrast.losses.relations.key_weight import KeyWeight
from kontrast.losses.relations.same_key import SameKey


def instance_discrimination(
    z: Tensor,
    ids: Any,
    memory: MemoryBank,
    *,
    temperature: float | Tensor = 0.07,
    noise: Any = None,
    proximal: float = 0.0,
) -> Tensor:
    """Instance discrimination: every sample its own class, held in a memory.

    Take it for small data sets with one view per sample; with two views `ntxent` learns more. After the step:
    `memory.update(ids, z)`.

    Args:
        z: (N, D) embeddings, normalised here.
        ids: (N,) numbers of the samples, from 0.
        memory: `kontrast.layers.bank.Memory` with a slot per sample.
        temperature: Above 0; 0.07 as in the paper. A tensor of one number gets its gradient.
        noise: (m,) numbers of samples drawn at random (4,096 in the paper), for noise-contrastive estimation; None
            (default) for the softmax over the whole memory.
        proximal: Weight of |z - slot|^2, at least 0; 30 in the paper, 0 by default.

    Returns:
        A scalar, the mean over rows.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = log sum_n e^(S_in) - S_ii, n the slots; with `noise` -log h_ii - sum_n log(1 - h_in), h = P / (P + m /
        samples), P = e^S over its constant sum.

    Reference:
        Wu et al. 2018, arXiv:1805.01978.

    Example:
        >>> memory = MemoryBank(samples=3, width=3)
        >>> _ = memory.rows_of.copy_(torch.eye(3))
        >>> loss = instance_discrimination(torch.eye(3), torch.arange(3), memory, temperature=1.0)
        >>> round(loss.item(), 4)  # log(e + 2) - 1
        0.5514
    """
    input_checks.embeddings(z)
    if not isinstance(memory, MemoryBank):
        raise UserError(f"memory is a {type(memory).__name__}; expected a kontrast.layers.memory_bank.Memory.")
    input_checks.centres(memory.rows_of, z, "memory", per="sample")
    ids, proximal = (
        input_checks.slots(ids, z, "ids", len(memory)),
        float(input_checks.number(proximal, "proximal", least=0)),
    )
    noise = None if noise is None else _drawn(noise, z, memory)
    ours, kernel = rows(z, {"id": ids}), Tempered(temperature)
    return reduce_terms(**instance_terms(ours, memory, SameKey("id"), kernel=kernel, noise=noise, proximal=proximal))


def instance_terms(
    ours: Embeddings,
    memory: MemoryBank,
    relation: Relation,
    *,
    kernel: Kernel,
    noise: Tensor | None = None,
    proximal: float = 0.0,
) -> dict[str, LossTerm]:
    """Terms of instance discrimination, each a sum with its count.

    Args:
        ours: N rows of this rank, whose `id` is their number in the memory.
        memory: A slot per sample.
        relation: The slot of each row, by `id`, and the slots that are no candidates of it.
        kernel: Similarity of a row and a slot.
        noise: (m,) numbers of samples drawn at random; None: all slots are candidates.
        proximal: Weight of |z - slot|^2, at least 0.

    Returns:
        `loss`, and `leap` if `proximal` is above 0.
    """
    ids = ours.keys["id"]
    own = memory.rows(ids)
    if noise is None:
        terms = {"loss": contrast(ours, memory.rows(), relation, loss=InfoNCE(), kernel=kernel)}
    else:
        _measure(ours, memory, kernel)
        drawn = memory.rows(noise)
        zero, one = torch.zeros_like(ids), torch.ones_like(noise)
        candidates = Embeddings.stack(
            Embeddings(own.z, {**own.keys, "own": zero + 1, "noise": zero}),
            Embeddings(drawn.z, {**drawn.keys, "own": one - 1, "noise": one}),
        )
        marked = relation & KeyWeight("own") & KeyWeight("noise", what="candidates")
        loss = NCE(shift=math.log(len(noise)) + float(memory.log_mean))
        terms = {"loss": contrast(ours, candidates, marked, loss=loss, kernel=kernel)}
    if proximal:
        leap = (sphere(ours.z) - own.z).square().sum(1)
        terms["leap"] = proximal * LossTerm(collapse(leap), exact(collapse(torch.ones_like(leap))))
    return terms


def sogclr(z1: Tensor, z2: Tensor, ids: Any, estimates: Estimates, *, temperature: float | Tensor = 0.1) -> Tensor:
    """SogCLR: decoupled contrast with running means over each sample's history as denominators.

    Take it for small batches; with large ones `ntxent` is as good and needs no memory. With a rate of 1 the gradient is
    that of `dcl`. The paper multiplies by the temperature; here nothing is.

    Args:
        z1: (N, D) embeddings of one view, normalised here.
        z2: (N, D) embeddings of the other view; row k is the same sample as row k of `z1`.
        ids: (N,) numbers of the samples, from 0.
        estimates: `kontrast.layers.estimates.Estimates` with an entry per sample; updated by this call.
        temperature: Above 0; 0.1 as in the paper. A tensor of one number gets its gradient.

    Returns:
        A scalar, the mean over rows.

    Raises:
        UserError: Shapes that do not fit, or a setting outside its bounds.

    Equation:
        L_i = -S_i + log u_i, its gradient that of -S_i + g_i / u_i; g_i the mean e^S over negatives of this batch, u_i
        = (1 - rate) u + rate g_i, u the sample's estimate, which becomes the mean over its views.

    Reference:
        Yuan et al. 2022, arXiv:2202.12387.

    Example:
        >>> z = torch.eye(3)
        >>> round(sogclr(z, z, torch.arange(3), Estimates(samples=3), temperature=1.0).item(), 4)  # log(mean of 1) - 1
        -1.0
    """
    ours = views(z1, z2)
    if not isinstance(estimates, Estimates):
        raise UserError(f"estimates is a {type(estimates).__name__}; expected a kontrast.layers.estimates.Estimates.")
    ids = input_checks.slots(ids, z1, "ids", len(estimates.log_u))
    everyone, kernel, relation = gathered(ours), Tempered(temperature), SameKey("id", apart=True)
    cos = (sphere(z1) * sphere(z2)).sum(-1).repeat(2) / kernel.temperature
    losses = per_row(ours, everyone, relation, loss=InfoNCE(), kernel=kernel)
    if len(everyone) < 4:
        return reduce_terms(loss=contrast(ours, everyone, relation, loss=InfoNCE(), kernel=kernel))  # refuses, in words
    log_g = losses + cos.detach() - math.log(len(everyone) - 2)
    log_u = estimates.update(ids.repeat(2), log_g).to(log_g)
    far = (log_g - log_u).exp()
    pushed = contrast(ours, everyone, relation, loss=InfoNCE(), kernel=kernel, weight=far)
    # far (mass - S) + (far - 1) S is far * mass - S, the gradient wanted; the value is put right beside it.
    slope = pushed.total + ((far - 1) * cos).sum()
    total = slope - slope.detach() + (log_u - cos.detach()).sum()
    return reduce_terms(loss=LossTerm(total, exact(total.new_tensor(len(ours)))))


def _drawn(noise: Any, z: Tensor, memory: MemoryBank) -> Tensor:
    """Numbers (m,) of the samples drawn as noise, at least one."""
    m = noise.numel() if isinstance(noise, Tensor) else len(noise) if isinstance(noise, Sized) else 0
    if not m:
        raise UserError("noise holds no samples; expected the numbers of one or more, drawn at random.")
    return input_checks.slots(noise, z.new_empty(m, 1), "noise", len(memory))


@torch.no_grad()
def _measure(ours: Embeddings, memory: MemoryBank, kernel: Kernel) -> None:
    """Fixes log mean e^S over the memory by the first batch, as the paper does with Z."""
    if memory.measured:
        return
    lost = per_row(ours, memory.rows(), SameKey("id"), loss=InfoNCE(), kernel=kernel)
    own = (sphere(ours.z) * memory.rows(ours.keys["id"]).z).sum(-1) * kernel.unit()
    mass = gathered(Embeddings((lost + own)[:, None], ours.keys)).z
    memory.log_mean.copy_(mass.logsumexp(0).squeeze() - math.log(len(mass) * len(memory)))
