"""Every loss and every kernel in the folder meets the same suite the moment its file exists: that of `check_loss`."""

import pytest
import torch

from kontrast.checks.check import CONTRACTS, contract_of
from kontrast.checks.results import near, run_check
from kontrast.core import factory, registry
from kontrast.core.embeddings import Embeddings
from kontrast.losses.contrastive_loss import ContrastiveLoss
from kontrast.losses.engine.contrast import contrast
from kontrast.losses.kernels.cosine import Cosine
from kontrast.losses.relations.same_key import SameKey

ROOMS = registry.rooms()
LOSSES = [name for name in ROOMS["losses"] if contract_of(name) is ContrastiveLoss]
PROPERTIES = [(name, title) for name in ROOMS["losses"] for title in CONTRACTS[contract_of(name)]]
# Its weights pace the gradient and carry none themselves, by the paper's own definition.
STOPS_A_GRADIENT = ("circle", "slope is the value's")


@pytest.mark.quick
def test_there_are_losses_of_every_contract():
    assert {contract_of(name) for name in ROOMS["losses"]} == set(CONTRACTS)
    assert {"infonce", "debiased", "cosface"} <= set(LOSSES)


@pytest.mark.parametrize(("name", "title"), PROPERTIES)
def test_a_loss_has_the_properties_of_its_contract(name, title):
    found = run_check(title, CONTRACTS[contract_of(name)][title], lambda: factory.build("losses", name, {}))
    assert found.verdict == ("warning" if (name, title) == STOPS_A_GRADIENT else "ok"), found.detail


@pytest.mark.parametrize("name", LOSSES)
def test_nobody_to_attract_is_an_error_in_words_unless_the_loss_counts_rows_without_positives(name):
    ids = torch.arange(5)
    rows = Embeddings(torch.randn(5, 3), {"id": ids, "view": 0 * ids})
    mean = contrast(rows, rows, SameKey("id"), loss=factory.build("losses", name, {}), kernel=Cosine())
    if mean.count:
        assert mean.count == 5
        assert torch.isfinite(mean.value())
        return
    with pytest.raises(ValueError, match="no anchor has a positive"):
        mean.value()


@pytest.mark.quick
@pytest.mark.parametrize("name", ROOMS["kernels"])
def test_a_kernel_is_an_inner_product_of_two_prepared_sides(name):
    """Each pair's similarity depends on that pair alone, and the gradient reaches both sides and what is learned."""
    width = 2 if name == "log_ratio" else 6
    kernel = factory.build("kernels", name, {}, given={"width": width}).double()
    g = torch.Generator().manual_seed(0)
    a, c = (torch.randn(n, width, generator=g, dtype=torch.float64, requires_grad=True) for n in (4, 5))
    left, right = kernel(a, c)
    assert left.shape[-1] == right.shape[-1]
    S = kernel.compare(left, right)
    for j in range(5):
        one = kernel(a[1:2], c[j : j + 1])
        near("one pair", [S[1:2, j : j + 1]], [kernel.compare(*one)])
    grads = torch.autograd.grad(S.square().sum(), [c, *(p for p in kernel.parameters() if p.requires_grad)])
    assert all(grad.abs().sum() > 0 for grad in grads)
    stack = kernel(a.expand(3, -1, -1), c.expand(3, -1, -1))
    near("a stack", [kernel.compare(*stack)], [S.expand(3, -1, -1)])
