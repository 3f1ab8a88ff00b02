"""Papers that only put relation, kernel and loss together anew, by their own formulas in float64 loops."""

import pytest
import torch
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings, Stack
from kontrast.losses import functional as L
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.contrastive.siglip import SigLIP
from kontrast.losses.contrastive.supcon_inside import SupConInside
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.bilinear import Bilinear
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.relations.key_weight import KeyWeight
from kontrast.losses.relations.neighbours import Neighbours
from kontrast.losses.relations.preferred import Preferred
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.soft import Soft

pytestmark = pytest.mark.quick

N, D, C, T = 9, 6, 3, 0.5
M = 2 * N
G = torch.Generator().manual_seed(0)


def randn(*shape):
    return torch.randn(*shape, generator=G, dtype=torch.float64)


RAW1, RAW2, CENTRES = randn(N, D), randn(N, D), randn(C, D)
RAW = torch.cat([RAW1, RAW2])
Z1, Z2, Z = (F.normalize(z, dim=1) for z in (RAW1, RAW2, RAW))
Y = torch.tensor([0, 1, 2, 0, 1, 2, 0, 0, 1]).repeat(2)


def lse(values):
    return torch.stack(list(values)).logsumexp(0)


def mean(values):
    return torch.stack(list(values)).mean()


def close(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)  # Cosine keeps its temperature in float32


def test_dgi_asks_a_summary_which_nodes_are_real():
    """The summary is the anchor, so the sum over nodes stands where the paper has their mean."""
    form, real = randn(D, D), torch.tensor([1.0] * N + [0.0] * N).double()
    summary, nodes = RAW1.mean(0).sigmoid(), torch.cat([RAW1, RAW2])
    logits = torch.stack([h @ form @ summary for h in nodes])
    wanted = mean(
        -(r * x.sigmoid().log() + (1 - r) * (1 - x.sigmoid()).log()) for r, x in zip(real, logits, strict=True)
    )
    kernel = Bilinear(width=D).double()
    kernel.form.data = form.T
    n = torch.arange(M)
    rows = Embeddings(nodes, {"id": n, "view": n, "real": real})
    one = Embeddings(summary[None], {"id": -1 - n[:1], "view": n[:1]})
    loss = SigLIP(bias=0.0, learnable=False)
    close(contrast(one, rows, KeyWeight("real"), loss=loss, kernel=kernel).value() / M, wanted)


def test_heco_finds_its_positives_on_a_list():
    lists = torch.tensor([[i, (i + 3) % N, -1 if i % 2 else (i + 5) % N] for i in range(N)])
    ids = torch.arange(N)
    one = Embeddings(RAW1, {"id": ids, "view": 0 * ids, "paths": lists})
    two = Embeddings(RAW2, {"id": ids, "view": 0 * ids + 1})
    s = Z1 @ Z2.T / 0.8
    wanted = mean(lse(s[i]) - lse(s[i, j] for j in lists[i].tolist() if j >= 0) for i in range(N))
    kernel = Cosine(temperature=0.8)
    close(contrast(one, two, Neighbours("paths"), loss=SupConInside(), kernel=kernel).value(), wanted)


def test_a_classifier_is_contrast_with_its_weights():
    rows = Embeddings(Z, {"id": torch.arange(M), "view": Y, "label": Y})
    of_class = torch.arange(C)
    classes = Embeddings(CENTRES, {"id": -1 - of_class, "view": of_class, "label": of_class})
    close(
        contrast(rows, classes, SameKey("label"), loss=InfoNCE(), kernel=Dot()).value(),
        F.cross_entropy(Z @ CENTRES.T, Y),
    )


def test_cpl_weighs_the_rejected_by_its_bias():
    up, down, lam, alpha = -randn(N).abs(), -randn(N).abs(), 0.5, 0.1
    ids = torch.arange(N)
    scores = torch.cat([up, lam * down])[:, None]
    answers = Embeddings(scores, {"id": -1 - ids.repeat(2), "view": torch.arange(M), "prompt": ids.repeat(2),
                            "chosen": torch.tensor([1.0, 0.0]).repeat_interleave(N)})  # fmt: skip
    prompts = Embeddings(torch.ones(N, 1).double() * alpha, {"id": ids, "view": -1 - ids, "prompt": ids})
    wanted = mean(-((alpha * up[i]).exp() / ((alpha * up[i]).exp() + (alpha * lam * down[i]).exp())).log() for i in ids)
    close(contrast(prompts, answers, Preferred(), loss=InfoNCE(), kernel=Dot()).value(), wanted)


def test_ts2vec_is_a_stack_of_small_problems():
    B, time = 4, 5
    u, w = randn(B, time, D), randn(B, time, D)

    def instance(t):
        z = torch.cat([u[:, t], w[:, t]])
        g = z @ z.T
        return mean(lse(g[i, k] for k in range(2 * B) if k != i) - g[i, (i + B) % (2 * B)] for i in range(2 * B))

    ids = torch.arange(B).repeat(2)[None]
    rows = Stack(torch.cat([u, w]).transpose(0, 1), {"id": ids, "view": torch.arange(2 * B)[None] // B})
    close(contrast(rows, rows, SameKey("id"), loss=InfoNCE(), kernel=Dot()).value(), mean(map(instance, range(time))))


def test_neutral_ad_asks_each_transformation_for_the_sample_among_the_others():
    z = randn(7, D)  # the sample, then six transformations of it
    zn = F.normalize(z, dim=1) @ F.normalize(z, dim=1).T / 0.1
    wanted = mean(lse(zn[k, j] for j in range(7) if j != k) - zn[k, 0] for k in range(1, 7))
    n = torch.arange(7)
    rows = Embeddings(z, {"id": n, "view": n, "sample": (n == 0).double(), "one": 0 * n})
    relation = SameKey("one") & KeyWeight("sample")
    close(contrast(rows[1:], rows, relation, loss=InfoNCE(), kernel=Cosine(temperature=0.1)).value(), wanted)


def test_swav_swaps_soft_targets_over_prototypes():
    codes = randn(N, 4).softmax(1)
    protos = F.normalize(randn(4, D), dim=1)
    s = Z1 @ protos.T / 0.1
    n, k = torch.arange(N), torch.arange(4)
    rows = Embeddings(RAW1, {"id": n, "view": n, "soft": codes})
    keys = Embeddings(protos, {"id": -1 - k, "view": k, "soft": torch.eye(4).double()})
    # The cosine with a one-hot is the code over its norm, which the share over the row takes out again.
    close(
        contrast(rows, keys, Soft("soft"), loss=InfoNCE(), kernel=Cosine(temperature=0.1)).value(),
        -(codes * s.log_softmax(1)).sum(1).mean(),
    )


def test_csi_counts_a_shifted_copy_as_a_negative():
    shift = torch.tensor([0] * N + [1] * N)
    z1, z2 = RAW, torch.cat([randn(N, D), randn(N, D)])
    ids = torch.arange(N).repeat(2) + 100 * shift  # a shifted copy is another sample
    found = L.supcon(torch.cat([z1, z2]), ids.repeat(2), temperature=T)
    close(found, L.ntxent(z1, z2, temperature=T))
