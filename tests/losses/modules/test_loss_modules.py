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
from torch.nn import functional as TF

import kontrast as kt
from kontrast.core import registry
from kontrast.core.errors import UserError
from kontrast.losses import functional as F
from kontrast.losses.loss_module import LossModule
from tests.support.command import call
from tests.support.loss_calls import CASES, N, built, grads, takes, views


@pytest.mark.quick
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


@pytest.mark.quick
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
