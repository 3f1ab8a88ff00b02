"""The low-rank addition: its slopes, its names, and what it becomes when it is merged."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from kontrast.core.errors import UserError
from kontrast.encoders.adapters.lora import SCALE, Adapted, Lora

pytestmark = pytest.mark.quick


class Net(nn.Module):
    """Two layers that are adapted, and one that is left out."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.pooler = nn.Linear(6, 8), nn.Linear(8, 5, bias=False), nn.Linear(5, 5)

    def forward(self, x):
        return self.two(self.one(x).tanh())


def stirred(module):
    """The same, as if it had learned."""
    with torch.no_grad():
        for name, p in module.named_parameters():
            if "lora_B" in name:
                p.normal_(std=0.3)
    return module


def test_slopes_are_those_of_the_matrices_themselves():
    x, a, b = (torch.randn(*s, dtype=torch.float64, requires_grad=True) for s in ((2, 4, 6), (3, 6), (5, 3)))
    layer = Lora(nn.Linear(6, 5).double(), rank=3)

    def applied(x, a, b):
        matrices = {"lora_A.default.weight": a, "lora_B.default.weight": b}
        return torch.func.functional_call(layer, matrices, (x,))

    assert torch.autograd.gradcheck(applied, (x, a, b))
    w, bias = layer.base_layer.weight, layer.base_layer.bias
    torch.testing.assert_close(applied(x, a, b), F.linear(x, w + SCALE * b @ a, bias))


def test_it_begins_as_the_layer_and_computes_alike_with_and_without_slopes_in_bf16_and_merged():
    torch.manual_seed(0)
    net, x = Net(), torch.randn(7, 6)
    plain = net(x).detach()
    adapted = Adapted(copy.deepcopy(net), 2, without="pooler")
    torch.testing.assert_close(adapted(x=x), plain)
    stirred(adapted)
    z = adapted(x=x)
    assert not torch.allclose(z, plain, atol=0.05)
    with torch.no_grad():
        torch.testing.assert_close(adapted(x=x), z)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = adapted(x=x)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), z, atol=0.1, rtol=0.05)
    half.float().square().sum().backward()
    learned = {name for name, p in adapted.named_parameters() if p.requires_grad}
    assert learned == {f"base_model.model.{at}.lora_{m}.default.weight" for at in ("one", "two") for m in "AB"}
    assert all(p.grad is not None and p.grad.dtype == p.dtype for p in adapted.parameters() if p.requires_grad)
    merged = adapted.merged()
    assert dict(merged.named_parameters()).keys() == dict(net.named_parameters()).keys()
    torch.testing.assert_close(merged(x), z)
    with pytest.raises(UserError, match="rank=0"):
        Lora(nn.Linear(2, 2), 0)


def test_what_peft_wrote_is_read_and_computes_the_same():
    peft = pytest.importorskip("peft")
    torch.manual_seed(0)
    net, x = Net(), torch.randn(7, 6)
    config = peft.LoraConfig(r=2, lora_alpha=4, target_modules=["one", "two"])
    theirs = stirred(peft.get_peft_model(copy.deepcopy(net), config))
    ours = Adapted(net, 2, without="pooler")
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(x=x), theirs(x))
    for module in (ours, theirs):
        (module(x=x) if module is ours else module(x)).square().sum().backward()
    slopes = [{n: p.grad for n, p in module.named_parameters() if p.requires_grad} for module in (ours, theirs)]
    assert slopes[0].keys() == slopes[1].keys()
    for name, slope in slopes[0].items():
        torch.testing.assert_close(slope, slopes[1][name], msg=name)
