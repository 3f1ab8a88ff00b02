"""The average of the weights is its equation, and leaves out what is not learned."""

import pytest
import torch
from torch import nn

from kontrast.training.weight_average import WeightAverage

pytestmark = pytest.mark.quick


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.norm = nn.Linear(3, 4), nn.BatchNorm1d(4)
        self.copy = nn.Linear(3, 4).requires_grad_(False)  # as a momentum copy
        self.bank = nn.Module()
        self.bank.register_buffer("queue", torch.randn(5, 4))


def _moved(module, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(torch.randn(tensor.shape, generator=generator))
            else:
                tensor.add_(1)


def test_the_average_is_its_equation():
    module = Small()
    average = WeightAverage(module, 0.5)
    slow = module.layer.weight.detach().double().clone()
    for n in range(20):
        _moved(module, n)
        average.update(module, n)
        kept = min(0.5, (1 + n) / (10 + n))
        slow = kept * slow + (1 - kept) * module.layer.weight.detach().double()
    torch.testing.assert_close(average.tensors["layer.weight"].double(), slow, rtol=1e-5, atol=1e-6)


def test_a_short_run_forgets_its_start():
    module = Small()
    average = WeightAverage(module, 0.9999)
    start = module.layer.weight.detach().clone()
    with torch.no_grad():
        module.layer.weight.add_(1.0)
    for n in range(30):
        average.update(module, n)
    assert (average.tensors["layer.weight"] - start).mean() > 0.999


def test_statistics_are_averaged_and_queues_copies_and_counts_are_current():
    module = Small()
    average = WeightAverage(module, 0.9)
    _moved(module, 1)
    average.update(module, 0)
    made = Small()
    made.load_state_dict(average.over(module.state_dict()))
    learned = {"layer.weight", "layer.bias", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"}
    assert set(average.tensors) == learned
    for name, tensor in module.state_dict().items():
        assert torch.equal(made.state_dict()[name], average.tensors.get(name, tensor)), name
    assert not torch.equal(made.norm.running_mean, module.norm.running_mean)


def test_a_restored_average_goes_on_bit_for_bit():
    module, again = Small(), Small()
    one = WeightAverage(module, 0.99)
    _moved(module, 1)
    one.update(module, 0)
    two = WeightAverage(again, 0.99)
    two.restore({name: tensor.clone() for name, tensor in one.tensors.items()})
    _moved(module, 2)
    one.update(module, 1)
    two.update(module, 1)
    assert all(torch.equal(tensor, two.tensors[name]) for name, tensor in one.tensors.items())
