"""Kernels are the inner products they claim to be; temperatures are fixed, learned, one a class, or scheduled."""

import pytest
import torch
from torch.nn import functional as F

from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.layers.temperatures import Temperatures
from kontrast.losses.contrastive.infonce import InfoNCE
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.angle import Angle
from kontrast.losses.kernels.bilinear import Bilinear
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.kernels.distance import Distance
from kontrast.losses.kernels.dot import Dot
from kontrast.losses.kernels.log_ratio import LogRatio
from kontrast.losses.relations.key_weight import KeyWeight
from kontrast.losses.relations.preferred import Preferred
from kontrast.losses.relations.same_key import SameKey

pytestmark = pytest.mark.quick


def rows_of(n=12, views=2, width=6, classes=4, seed=0):
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(n * views, width, generator=g, dtype=torch.float64, requires_grad=True)
    view = torch.arange(views).repeat_interleave(n)
    label = torch.randint(0, classes, (n,), generator=g).repeat(views)
    return Embeddings(z, {"id": torch.arange(n).repeat(views), "view": view, "label": label})


def test_kernels_are_the_inner_products_they_claim_to_be():
    g = torch.Generator().manual_seed(0)
    a, c = torch.randn(3, 4, generator=g), torch.randn(5, 4, generator=g)

    def S(kernel, a=a, c=c):
        left, right = kernel(a, c)
        return left @ right.mT

    torch.testing.assert_close(S(Distance(temperature=0.5)), -(torch.cdist(a, c) ** 2) / 0.5)
    far = S(Distance(), a + 1e3, c + 1e3)  # |a|^2 is 1e6 here: float32 alone would leave an error of .1
    torch.testing.assert_close(far, -(torch.cdist(a, c) ** 2), rtol=1e-3, atol=2e-3)
    form = Bilinear(width=4, other=6, temperature=2.0)
    torch.nn.init.normal_(form.form)
    other = torch.randn(5, 6, generator=g)
    torch.testing.assert_close(S(form, c=other), torch.einsum("nd,de,me->nm", a, form.form, other) / 2)
    assert Bilinear(width=4).form.requires_grad
    z, w = (torch.complex(*F.normalize(x, dim=1).chunk(2, 1)) for x in (a, c))
    turned = z @ w.conj().T / 0.5
    torch.testing.assert_close(S(Angle(temperature=0.5)), turned.real + turned.imag)
    with pytest.raises(UserError, match="width 3; expected an even width"):
        Angle()(a[:, :3], c[:, :3])
    torch.testing.assert_close(S(LogRatio(beta=0.2), c=c[:, :2]), (0.2 * (c[:, 0] - c[:, 1])).expand(3, 5))
    torch.testing.assert_close(S(LogRatio(beta=2.0), c=c[:, :1]), (2 * c[:, 0]).expand(3, 5))
    with pytest.raises(UserError, match="found rows of 4"):
        LogRatio()(a, c)


def test_what_a_bilinear_kernel_learns_gets_its_gradient_through_the_tiles():
    rows = rows_of(n=4, width=3)
    kernel = Bilinear(width=3).double()

    def value(form):
        left = rows.z.detach() @ form
        both = [Embeddings(left, rows.keys), Embeddings(rows.z.detach(), rows.keys)]
        return contrast(*both, SameKey("id"), loss=InfoNCE(), kernel=Dot(), tile=20).value()

    assert torch.autograd.gradcheck(value, (kernel.form,))
    fixed = Embeddings(rows.z.detach(), rows.keys)
    mine = contrast(fixed, fixed, SameKey("id"), loss=InfoNCE(), kernel=kernel, tile=20).value()
    torch.testing.assert_close(mine, value(kernel.form))
    torch.testing.assert_close(
        torch.autograd.grad(mine, kernel.form), torch.autograd.grad(value(kernel.form), kernel.form)
    )


def test_preference_is_bradley_terry_over_the_answers_of_a_prompt():
    g = torch.Generator().manual_seed(0)
    logp = torch.randn(8, 2, generator=g, dtype=torch.float64)
    ids = torch.arange(8)
    answers = Embeddings(logp, {"id": ids, "view": ids, "prompt": ids // 2, "chosen": (ids + 1) % 2})
    prompts = Embeddings(
        torch.zeros(4, 1, dtype=torch.float64), {"id": -1 - ids[:4], "view": -1 - ids[:4], "prompt": ids[:4]}
    )
    found = contrast(prompts, answers, Preferred(), loss=InfoNCE(), kernel=LogRatio(beta=0.3)).value()
    reward = 0.3 * (logp[:, 0] - logp[:, 1])
    torch.testing.assert_close(found, -F.logsigmoid(reward[0::2] - reward[1::2]).mean())


def test_a_prior_among_the_candidates_is_logit_adjustment():
    g = torch.Generator().manual_seed(0)
    z, centres = (torch.randn(n, 3, generator=g, dtype=torch.float64) for n in (6, 4))
    prior, labels, ids = (
        torch.tensor([0.5, 0.3, 0.15, 0.05]).double(),
        torch.tensor([0, 0, 1, 2, 3, 3]),
        torch.arange(6),
    )
    rows = Embeddings(z, {"id": ids, "view": ids, "label": labels})
    classes = Embeddings(centres, {"id": -1 - ids[:4], "view": ids[:4], "label": ids[:4], "prior": prior})
    relation = SameKey("label") & KeyWeight("prior", what="candidates")
    found = contrast(rows, classes, relation, loss=InfoNCE(), kernel=Dot()).value()
    wanted = F.cross_entropy(z @ centres.T + prior.log(), labels) + prior[labels].log().mean()
    torch.testing.assert_close(found, wanted)


def test_a_temperature_a_class_scales_the_anchors():
    rows = rows_of()
    layer = Temperatures(classes=4, learnable=True).double()
    with pytest.raises(UserError, match="'label' from 0 to 9 for 4 temperatures; expected 0 to 3, or -1"):
        layer(*[Embeddings(torch.ones(2, 3), {"label": torch.tensor([0, 9])})] * 2)
    layer.log_scale.data = torch.rand(4, dtype=torch.float64) + 1
    found = contrast(*layer(rows, rows), SameKey("id"), loss=InfoNCE(), kernel=Dot())
    each = []
    for c, log_scale in enumerate(layer.log_scale.detach()):
        kernel = Cosine().double()
        kernel.log_scale.data = log_scale
        part = rows[rows.keys["label"] == c]
        each.append(contrast(part, rows, SameKey("id"), loss=InfoNCE(), kernel=kernel))
    torch.testing.assert_close(found.total, sum(m.total for m in each))
    assert torch.autograd.grad(found.value(), layer.log_scale)[0].abs().min() > 0


@pytest.mark.parametrize("made", [Cosine, lambda **kept: Temperatures(classes=4, **kept)])
def test_a_learned_scale_is_held_at_its_bound_and_can_come_back_from_it(made):
    kernel, rows = made(temperature=0.05, learnable=True, largest=20.0), rows_of()
    kernel.log_scale.data += 3  # a step too far

    def scaled():
        sides = kernel(rows, rows) if isinstance(kernel, Temperatures) else kernel(rows.z, rows.z)
        return getattr(sides[0], "z", sides[0])

    torch.testing.assert_close(scaled().norm(dim=1), torch.full((len(rows),), 20.0).double())
    step = torch.optim.SGD(kernel.parameters(), lr=0.01)
    scaled().norm(dim=1).mean().backward()
    step.step()
    assert (scaled().norm(dim=1) < 20).all()
    with pytest.raises(ValueError, match=r"temperature=0\.01, learned; expected"):
        made(temperature=0.01, learnable=True, largest=20.0)
    assert made(temperature=0.001).log_scale.exp().max() == pytest.approx(1000)  # one that is set is as it is set


def test_a_temperature_can_be_scheduled():
    kernel = Cosine(temperature=0.1, learnable=True)
    kernel.set_temperature(0.5)
    assert kernel.log_scale.exp().item() == pytest.approx(2)
    with pytest.raises(ValueError, match="above 0"):
        kernel.set_temperature(0)
