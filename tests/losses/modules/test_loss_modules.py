"""Every loss of `kt.losses`: found by tab, the same as its function, copied, saved, summed, reduced, compiled."""

import copy
import doctest
import importlib
import inspect
import re
import warnings

import pytest
import torch
from safetensors.torch import load, save
from torch import nn
from torch.nn import functional as TF
from torch.nn.parallel import DistributedDataParallel

import kontrast as kt
from kontrast.core import registry
from kontrast.core.embeddings import Embeddings
from kontrast.core.errors import UserError
from kontrast.core.ranks import on_ranks
from kontrast.losses import functional as F
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.loss_module import LossModule
from kontrast.losses.pairwise.triplet import Triplet
from kontrast.losses.relations.same_key import SameKey
from kontrast.losses.relations.semi_hard import SemiHard
from tests.support.command import call

N, D = 12, 6
LABELS = torch.arange(N) % 4
IDS = torch.arange(N)


def views(dtype=torch.float32, n=N, seed=0):
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(n, D, generator=g, dtype=torch.float64).to(dtype).requires_grad_() for _ in range(2)]


def soft():
    return 0.8 * torch.eye(4)[LABELS] + 0.05


def multi():
    return torch.tensor([[1, 0, 1], [1, 1, 0], [0, 1, 0], [0, 0, 1]])[LABELS]


def scores(z):
    return z.sum(1)


def wrapped():
    return kt.losses.NTXent()


# The settings, the call of the module and the call of its function with its defaults, of two views.
CASES = {
    "AlignUniform": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.align_uniform(a, b)),
    "AnglE": ({}, lambda m, a, b: m(a, b, IDS * 7 % 5), lambda m, a, b: F.angle(a, b, IDS * 7 % 5)),
    "ArcFace": (
        {"num_classes": 5, "dim": D},
        lambda m, a, b: m(a, LABELS),
        lambda m, a, b: F.arcface(a, LABELS, m.proxies),
    ),
    "BCL": ({"num_classes": 4, "dim": D}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.bcl(a, LABELS, m.centres)),
    "BPR": ({}, lambda m, a, b: m(scores(a), scores(b)), lambda m, a, b: F.bpr(scores(a), scores(b))),
    "BYOL": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.byol(a, b)),
    "BarlowTwins": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.barlow(a, b)),
    "CLICK": ({}, lambda m, a, b: m(scores(a), scores(b)), lambda m, a, b: F.click(scores(a), scores(b))),
    "CLIP": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.clip(a, b)),
    "CPL": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.cpl(a, b)),
    "Circle": ({}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.circle(a, LABELS)),
    "CoSENT": ({}, lambda m, a, b: m(a, b, IDS * 7 % 5), lambda m, a, b: F.cosent(a, b, IDS * 7 % 5)),
    "Contrastive": (
        {"relation": SameKey("label")},
        lambda m, a, b: m(a, {"label": LABELS}),
        lambda m, a, b: F.supcon(a, LABELS),
    ),
    "CosFace": (
        {"num_classes": 5, "dim": D},
        lambda m, a, b: m(a, LABELS),
        lambda m, a, b: F.cosface(a, LABELS, m.proxies),
    ),
    "CrossBatchMemory": ({"dim": D}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.pair_margin(a, LABELS)),
    "DCL": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.dcl(a, b)),
    "DCLW": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.dclw(a, b)),
    "DINO": ({"dim": D}, lambda m, a, b: m([a, b], [a, b]), lambda m, a, b: F.dino([a, b], [a.detach(), b.detach()])),
    "DPO": (
        {},
        lambda m, a, b: m(a[:, 0], b[:, 0], a[:, 1], b[:, 1]),
        lambda m, a, b: F.dpo(a[:, 0], b[:, 0], a[:, 1], b[:, 1]),
    ),
    "Debiased": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.debiased(a, b)),
    "FSCL": ({}, lambda m, a, b: m(a, LABELS, IDS // 6), lambda m, a, b: F.fscl(a, LABELS, IDS // 6)),
    "GenSCL": ({}, lambda m, a, b: m(a, soft()), lambda m, a, b: F.gensupcon(a, soft())),
    "HardNegative": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.hard_negative(a, b)),
    "HeroCon": ({}, lambda m, a, b: m(a, multi()), lambda m, a, b: F.herocon(a, multi())),
    "HeroConViews": (
        {"dim": D},
        lambda m, a, b: m(a, b),
        lambda m, a, b: F.herocon_views(a, b, m.transform(a), m.transform(b)),
    ),
    "InfoNCE": ({}, lambda m, a, b: m(a, b, a.flip(0)), lambda m, a, b: F.infonce(a, b, a.flip(0))),
    "InstanceDiscrimination": (
        {"rows": 20, "dim": D},
        lambda m, a, b: m(a, IDS),
        lambda m, a, b: F.instance_discrimination(a, IDS, m.memory),
    ),
    "JSD": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.jsd(a, b)),
    "KCL": ({}, lambda m, a, b: m(a, LABELS, IDS), lambda m, a, b: F.kcl(a, LABELS, IDS)),
    "MILNCE": ({}, lambda m, a, b: m(a, torch.stack([b, a], 1)), lambda m, a, b: F.mil_nce(a, torch.stack([b, a], 1))),
    "Matryoshka": (
        {"loss": wrapped, "dims": (D, 2)},
        lambda m, a, b: m(a, b),
        lambda m, a, b: F.ntxent(a, b) + F.ntxent(a[:, :2], b[:, :2]),
    ),
    "MoCo": ({"dim": D, "queue": 20}, lambda m, a, b: m(a, b), lambda m, a, b: F.moco(a, b, m.queue)),
    "MultiPositive": ({}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.multi_positive(a, LABELS)),
    "MultiSimilarity": ({}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.multi_similarity(a, LABELS)),
    "NPair": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.npair(a, b)),
    "NTXent": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.ntxent(a, b)),
    "PaCo": ({"num_classes": 4, "dim": D}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.paco(a, LABELS, m.centres)),
    "PairMargin": ({}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.pair_margin(a, LABELS)),
    "ProxyAnchor": (
        {"num_classes": 5, "dim": D},
        lambda m, a, b: m(a, LABELS),
        lambda m, a, b: F.proxy_anchor(a, LABELS, m.proxies),
    ),
    "RankNContrast": ({}, lambda m, a, b: m(a, IDS * 7 % 5), lambda m, a, b: F.rnc(a, IDS * 7 % 5)),
    "SigLIP": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.siglip(a, b, scale=1 / m.temperature(), bias=m.bias)),
    "SimPO": (
        {},
        lambda m, a, b: m(scores(a), scores(b), IDS + 1, IDS + 2),
        lambda m, a, b: F.simpo(scores(a), scores(b), IDS + 1, IDS + 2),
    ),
    "SimSiam": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.simsiam(a, b)),
    "SoftNearestNeighbour": ({}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.soft_nearest_neighbour(a, LABELS)),
    "SogCLR": (
        {"rows": 20},
        lambda m, a, b: m(a, b, IDS),
        lambda m, a, b: F.sogclr(a, b, IDS, copy.deepcopy(m.estimates)),
    ),
    "Spectral": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.spectral(a, b)),
    "SupCon": ({}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.supcon(a, LABELS)),
    "SupConInside": ({}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.supcon_inside(a, LABELS)),
    "SwAV": (
        {"dim": D, "prototypes": 5},
        lambda m, a, b: m(a, b),
        lambda m, a, b: F.swav([m.prototypes(a), m.prototypes(b)]),
    ),
    "TSC": (
        {"num_classes": 4, "dim": D},
        lambda m, a, b: m(a, LABELS, IDS),
        lambda m, a, b: F.tsc(a, LABELS, IDS, m.points),
    ),
    "Triplet": ({}, lambda m, a, b: m(a, LABELS), lambda m, a, b: F.triplet(a, LABELS)),
    "VICReg": ({}, lambda m, a, b: m(a, b), lambda m, a, b: F.vicreg(a, b)),
    "WMSE": ({"shrink": 0.1}, lambda m, a, b: m(a, b), lambda m, a, b: F.wmse(a, b, shrink=0.1)),
}  # fmt: skip


def built(name, **more):
    torch.manual_seed(0)
    settings = {k: v() if inspect.isfunction(v) else v for k, v in CASES[name][0].items()}
    return getattr(kt.losses, name)(**settings, **more)


def takes(name, setting):
    return setting in inspect.signature(getattr(kt.losses, name)).parameters


def grads(value, module, *inputs):
    wanted = [*inputs, *(p for p in module.parameters() if p.requires_grad)]
    return torch.autograd.grad(value, wanted, allow_unused=True, materialize_grads=True)


def test_all_are_found_by_tab_and_every_function_has_its_module():
    names = {kind.attribute for kind in registry.kinds("modules").values()}
    assert names == set(CASES) == set(dir(kt.losses)) - {"functional"}
    assert "losses" in dir(kt)
    source = "".join(inspect.getsource(getattr(kt.losses, name)) for name in CASES)
    called = set(re.findall(r"\bF\.(\w+)\(", source))
    assert called == set(F.__all__)
    assert all(callable(getattr(F, name)) for name in F.__all__)


def test_the_command_line_lists_them_with_signature_equation_and_paper(capsys):
    assert call("list", "losses") == 0
    said = capsys.readouterr().out
    assert "ArcFace(num_classes, dim, margin=0.5, scale=64.0, reduction='mean', gather=True)(z, labels)" in said
    assert all(re.search(rf"^  {name} ", said, re.MULTILINE) for name in CASES)
    assert said.count("arXiv:") > 40
    for name in ("NTXent", "nt-xent", "ntxent"):
        assert call("show", name) == 0
        said = capsys.readouterr().out
        assert "NTXent(temperature=0.1, learnable=False, reduction='mean', gather=True)(*views)" in said
        assert "Equation:" in said
        assert "arXiv:2002.05709" in said


def test_editors_and_type_checkers_are_told_of_all():
    source = inspect.getsource(kt.losses)
    told = set(re.findall(r"^    from kontrast\.losses\S* import (\w+) as \w+$", source, re.MULTILINE))
    assert told == set(dir(kt.losses))


def test_a_name_that_is_wrong_is_answered_with_the_right_one():
    with pytest.raises(AttributeError, match="did you mean 'NTXent'"):
        kt.losses.NtXent
    with pytest.raises(AttributeError, match="did you mean 'SupCon'"):
        kt.losses.SupConn
    with pytest.raises(UserError, match="reduction='avg'"):
        kt.losses.NTXent(reduction="avg")


@pytest.mark.parametrize("name", CASES)
def test_it_says_what_it_is_in_the_form_of_all(name):
    made = getattr(kt.losses, name)
    assert issubclass(made, LossModule)
    text = inspect.getdoc(made)
    order = [text.index(f"\n{part}:\n") for part in ("Args", "Shape", "Equation", "Reference", "Example")]
    assert order == sorted(order)
    for setting in inspect.signature(made).parameters:
        assert re.search(rf"^    {setting}: ", text, re.MULTILINE), f"{name}: {setting} is not explained"
    module = importlib.import_module(made.__module__)
    found = doctest.testmod(module, extraglobs={"torch": torch})
    assert found.attempted
    assert not found.failed


@pytest.mark.parametrize("name", CASES)
def test_it_is_its_function_in_value_and_gradient(name):
    _, module, function = CASES[name]
    a, b = views()
    m = built(name).eval()
    one, two = module(m, a, b), function(m, a, b)
    assert one.ndim == 0
    torch.testing.assert_close(one, two, msg=name)
    torch.testing.assert_close(grads(one, m, a, b), grads(two, m, a, b))


@pytest.mark.parametrize("name", CASES)
def test_it_copies_saves_loads_and_sums(name):
    _, module, _ = CASES[name]
    a, b = views()
    m = built(name)
    module(m, a, b)  # in training mode: what is remembered has moved
    twin, fresh = copy.deepcopy(m), built(name)
    torch.manual_seed(5)
    for p in fresh.parameters():
        p.data.add_(1)
    fresh.load_state_dict(load(save(m.state_dict())))
    values = [module(each.eval(), a, b) for each in (m, twin, fresh)]
    torch.testing.assert_close(values[1:], values[:1] * 2, rtol=0, atol=0)
    both = module(m, a, b) + 0.5 * kt.losses.NTXent()(a, b)
    both.backward()
    alone = grads(module(m, a, b), m, a)[0] + 0.5 * torch.autograd.grad(F.ntxent(a, b), a)[0]
    torch.testing.assert_close(a.grad, alone, rtol=1e-4, atol=1e-6)
    assert repr(m).startswith(name)


@pytest.mark.parametrize("name", CASES)
def test_it_runs_under_autocast_and_in_half_precision(name):
    _, module, _ = CASES[name]
    a, b = views()
    m = built(name).eval()
    plain = module(m, a, b)
    with torch.autocast("cpu", torch.bfloat16):
        cast = module(m, a, b)
    assert cast.dtype == torch.float32
    torch.testing.assert_close(cast, plain, rtol=0.02, atol=0.02)
    left, right = (z.detach().bfloat16().requires_grad_() for z in (a, b))
    if name != "HeroConViews":  # its layer is float32: a network outside of autocast would refuse, too
        assert all(g.isfinite().all() for g in grads(module(m, left, right), m, left, right))


@pytest.mark.parametrize("name", [name for name in CASES if takes(name, "reduction")])
def test_none_sums_to_sum_and_the_mean_is_it_over_a_count(name):
    _, module, _ = CASES[name]
    a, b = views(torch.float64)
    mean, total = (module(built(name, reduction=how).double().eval(), a, b) for how in ("mean", "sum"))
    m = built(name, reduction="sum").double().eval()
    count = (total / mean).item()
    assert count == pytest.approx(round(count)) or name in ("FSCL",)
    assert count > 1
    if name == "MILNCE":
        return
    each = module(built(name, reduction="none").double().eval(), a, b)
    assert each.ndim == 1
    assert len(each) in (N, 2 * N)
    torch.testing.assert_close(each.sum(), total, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(
        grads(each.sum(), m, a, b)[:2], grads(module(m, a, b), m, a, b)[:2], rtol=1e-5, atol=1e-7
    )
    weights = torch.randn(len(each), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    halves = [grads(module(built(name, reduction="none").double().eval(), a, b) @ w, m, a)[0]
              for w in (weights, weights.clamp_min(0), weights.clamp_max(0))]  # fmt: skip
    torch.testing.assert_close(halves[0], halves[1] + halves[2], rtol=1e-6, atol=1e-9)


def test_the_loss_of_each_anchor_and_its_gradient_are_pytorchs_own():
    a, b = views(torch.float64)
    z = TF.normalize(torch.cat([a, b]), dim=1)
    logits = (z @ z.T / 0.2).masked_fill(torch.eye(2 * N, dtype=torch.bool), -torch.inf)
    slow = TF.cross_entropy(logits, (torch.arange(2 * N) + N) % (2 * N), reduction="none")
    each = kt.losses.NTXent(temperature=0.2, reduction="none")(a, b)
    torch.testing.assert_close(each, slow)
    weights = torch.randn(2 * N, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(*(torch.autograd.grad((x * weights).sum(), [a, b]) for x in (each, slow)))


def test_anchors_that_do_not_count_are_zero():
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    each = kt.losses.SupCon(reduction="none")(z, torch.tensor([0, 0, 1, 2]))
    assert (each[2:] == 0).all()
    assert (each[:2] > 0).all()


@pytest.mark.parametrize("name", CASES)
def test_it_runs_under_torch_compile_with_a_break(name):
    _, module, _ = CASES[name]
    a, b = views()
    m = built(name).eval()

    def step(one, two):
        return module(m, 1.5 * one, two + 0.1) * 2

    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(step, backend="eager")(a, b)
    plain = step(a, b)
    torch.testing.assert_close(compiled, plain)
    torch.testing.assert_close(grads(compiled, m, a, b), grads(plain, m, a, b))


LEARNED = [name for name in CASES if takes(name, "learnable")]


@pytest.mark.parametrize("name", LEARNED)
def test_a_learned_temperature_is_a_parameter_with_its_gradient(name):
    _, module, _ = CASES[name]
    a, b = views(torch.float64)
    m = built(name, learnable=True).double().eval()
    assert m.temperature.log_scale in set(m.parameters())
    value = module(m, a, b)
    (found,) = torch.autograd.grad(value, m.temperature.log_scale)
    step = 1e-5
    with torch.no_grad():
        ends = []
        for sign in (1, -1):
            m.temperature.log_scale.add_(sign * step)
            ends.append(module(m, a, b).item())
            m.temperature.log_scale.sub_(sign * step)
    wanted = (ends[0] - ends[1]) / (2 * step)
    assert found.item() == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    assert abs(wanted) > 1e-6


def test_the_scale_and_bias_of_siglip_and_clip_are_among_the_parameters_and_learn():
    image, text = views()
    assert len(list(kt.losses.CLIP(temperature=0.07, learnable=True).parameters())) == 1
    loss = kt.losses.SigLIP()
    assert len(list(loss.parameters())) == 2
    optimiser = torch.optim.SGD(loss.parameters(), lr=0.1)
    before = loss(image, text).item()
    for _ in range(5):
        optimiser.zero_grad()
        loss(image, text).backward()
        optimiser.step()
    assert loss(image, text).item() < before
    with pytest.raises(UserError, match=r"temperature=0\.001, learned"):
        kt.losses.CLIP(temperature=0.001, learnable=True)


def test_what_is_remembered_moves_in_training_alone():
    a, b = views()
    for name in ("MoCo", "InstanceDiscrimination", "DINO", "CrossBatchMemory"):
        m = built(name)
        before = {k: v.clone().nan_to_num() for k, v in m.state_dict().items()}
        CASES[name][1](m.eval(), a, b)
        assert all(torch.equal(v.nan_to_num(), before[k]) for k, v in m.state_dict().items()), name
        CASES[name][1](m.train(), a, b)
        assert not all(torch.equal(v.nan_to_num(), before[k]) for k, v in m.state_dict().items()), name


def test_the_queue_of_moco_holds_the_newest_keys_in_a_ring():
    loss = kt.losses.MoCo(dim=2, queue=5)
    angles = torch.arange(8.0)
    keys = torch.stack([angles.cos(), angles.sin()], 1)
    loss(keys[:4], keys[:4])
    loss(keys[4:], keys[4:])
    torch.testing.assert_close(loss.queue, keys[[5, 6, 7, 3, 4]])
    loss(keys, keys)  # more than it is long
    assert {tuple(row) for row in loss.queue.tolist()} == {tuple(row) for row in keys[3:].tolist()}


def test_a_cross_batch_memory_is_one_large_batch_of_which_the_last_part_are_the_anchors():
    a, b = views(torch.float64)
    loss = kt.losses.CrossBatchMemory(dim=D, queue=N, loss=Triplet(margin=0.3), kernel=Cosine(temperature=0.5).double())
    loss = loss.double()
    loss(a, LABELS)
    found = loss(b, LABELS)
    z, y = torch.cat([b, a.detach()]), LABELS.repeat(2)
    whole = kt.losses.Contrastive(
        loss=Triplet(margin=0.3), kernel=Cosine(temperature=0.5).double(), relation=SameKey("label")
    )
    ids = torch.arange(2 * N)
    rows = Embeddings(z, {"id": ids, "view": 0 * ids, "label": y})
    wanted = whole(rows[:N], candidates=rows)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(torch.autograd.grad(found, b), torch.autograd.grad(wanted, b))
    mined = kt.losses.CrossBatchMemory(dim=D, loss="infonce", relation=SemiHard(SameKey("label")))
    assert mined(a.float(), LABELS).isfinite()


def test_matryoshka_cuts_embeddings_and_nothing_else():
    a, _ = views()
    nested = kt.losses.Matryoshka(kt.losses.SupCon(), dims=(D, 3), weights=(1.0, 0.25))
    wanted = F.supcon(a, LABELS) + 0.25 * F.supcon(a[:, :3], LABELS)
    torch.testing.assert_close(nested(a, LABELS), wanted)
    each = kt.losses.Matryoshka(kt.losses.SupCon(reduction="none"), dims=(D, 3))(a, LABELS)
    assert each.shape == (N,)
    with pytest.raises(UserError, match="expected at least the largest"):
        kt.losses.Matryoshka(kt.losses.SupCon(), dims=(64,))(a, LABELS)
    with pytest.raises(UserError, match="compares no embeddings"):
        kt.losses.Matryoshka(kt.losses.BPR(), dims=(4,))


@pytest.mark.parametrize("mining", ["all", "semihard", "hard", "easy", "distance"])
def test_every_mining_rule_of_triplets_trains(mining):
    a, _ = views()
    loss = kt.losses.Triplet(margin=0.2, mining=mining)
    values = [loss(a, LABELS) for _ in range(3)]
    assert all(torch.autograd.grad(v, a)[0].abs().sum() > 0 for v in values)
    assert (len({v.item() for v in values}) > 1) == (mining == "distance")  # other lots each call
    loss.eval()
    assert loss(a, LABELS) == loss(a, LABELS)


def test_the_lines_of_the_guide_work_in_their_spelling():
    z, z1, z2, image, text, prediction, target, query, key = (torch.randn(32, 64) for _ in range(9))
    labels, ids, soft_labels = torch.arange(32) % 10, torch.arange(32), torch.rand(32, 10)
    student, teacher = torch.randn(32, 256), torch.randn(32, 256)
    kt.losses.NTXent(temperature=0.2)(z1, z2)
    kt.losses.SupCon(temperature=0.1)(z, labels)
    kt.losses.CLIP(temperature=0.07, learnable=True)(image, text)
    kt.losses.SigLIP()(image, text)
    kt.losses.Triplet(margin=0.2, mining="semihard")(z, labels)
    kt.losses.ArcFace(num_classes=10, dim=64)(z, labels)
    kt.losses.BarlowTwins()(z1, z2)
    kt.losses.VICReg()(z1, z2)
    kt.losses.BYOL()(prediction, target)
    kt.losses.MoCo(dim=64, queue=4096)(query, key)
    kt.losses.InstanceDiscrimination(rows=1000, dim=64)(z, ids)
    kt.losses.GenSCL()(z, soft_labels)
    kt.losses.DINO(dim=256)(student, teacher)
    kt.losses.SwAV()(torch.rand(32, 16), torch.rand(32, 16))
    kt.losses.functional.ntxent(z1, z2, temperature=0.2)
    embeddings = kt.Embeddings(z, {"id": ids, "view": 0 * ids, "label": labels})
    kt.losses.Contrastive(loss="triplet", kernel=Cosine(temperature=0.5), relation=SameKey("label"))(embeddings)


SHARED = ("NTXent", "CLIP", "SigLIP", "SupCon", "Triplet", "ArcFace", "ProxyAnchor", "BarlowTwins", "MoCo", "InfoNCE",
          "CrossBatchMemory", "DINO", "BYOL", "MultiPositive")  # fmt: skip


class Trained(nn.Module):
    """An encoder and a loss in one module, as DistributedDataParallel wants them."""

    def __init__(self, name, gather=True):
        super().__init__()
        learnable = {"learnable": True} if takes(name, "learnable") else {}
        self.net, self.name = nn.Linear(D, D).double(), name
        self.loss = built(name, gather=gather, **learnable).double()

    def forward(self, a, b, part):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(globals(), "LABELS", LABELS[part])
            patch.setitem(globals(), "IDS", IDS[part])
            return CASES[self.name][1](self.loss, self.net(a), self.net(b))


def trained(ranks, names, cuts, gather=True):
    """The gradient of every parameter after each of two calls, and what is remembered."""
    part = slice(*cuts[ranks.rank : ranks.rank + 2]) if ranks.world > 1 else slice(0, N)
    a, b = (z.detach()[part] for z in views(torch.float64))
    found = {}
    for name in names:
        torch.manual_seed(1)
        model = Trained(name, gather)
        wrapped = DistributedDataParallel(model) if ranks.world > 1 else model
        values = []
        for _ in range(2):
            wrapped.zero_grad()
            value = wrapped(a, b, part)
            value.backward()
            values.append(value.detach())
        grads = {k: p.grad for k, p in model.named_parameters() if p.grad is not None}
        found[name] = values, grads, dict(model.named_buffers())
    return found


class One:
    world, rank = 1, 0


def by_oneself(ranks):
    part = slice(6 * ranks.rank, 6 * ranks.rank + 6)
    a, b = (z.detach()[part] for z in views())
    return [kt.losses.NTXent(gather=gather)(a, b) for gather in (True, False)]


def everything(ranks):
    """All that two processes do, in one start of them."""
    return trained(ranks, SHARED, (0, 5, N)), by_oneself(ranks)


@pytest.fixture(scope="module")
def two():
    return on_ranks(everything, 2)


@pytest.mark.timeout(200)
@pytest.mark.dist
def test_two_processes_of_unequal_batches_under_ddp_learn_what_one_learns(two):
    one, many = trained(One, SHARED, ()), [trained_ for trained_, _ in two]
    for name in SHARED:
        values, grads, buffers = one[name]
        for turn in range(2):
            mean = sum(rank[name][0][turn] for rank in many) / 2
            torch.testing.assert_close(mean, values[turn], rtol=1e-6, atol=1e-8, msg=name)
        for rank in many:
            torch.testing.assert_close(rank[name][1], grads, rtol=1e-5, atol=1e-8, msg=name)
            torch.testing.assert_close(rank[name][2], buffers, rtol=1e-6, atol=1e-8, msg=name)


@pytest.mark.dist
def test_without_gathering_each_process_compares_its_own_rows(two):
    found = [alone for _, alone in two]
    a, b = views()
    for rank, (together, alone) in enumerate(found):
        part = slice(6 * rank, 6 * rank + 6)
        torch.testing.assert_close(alone, F.ntxent(a[part], b[part]).detach())
        assert together != alone
    torch.testing.assert_close(sum(t for t, _ in found) / 2, F.ntxent(a, b).detach())
