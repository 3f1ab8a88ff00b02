"""SASRec: no state knows a later item, and the last place is like the one before."""

import pytest
import torch

from kontrast.core.errors import UserError
from kontrast.encoders.sasrec import SASRec

pytestmark = pytest.mark.quick


@torch.no_grad()
def test_a_state_knows_no_later_item_and_the_last_one_is_served():
    torch.manual_seed(0)
    encoder = SASRec(vocabulary=30, length=8, width=16).eval()
    x = torch.randint(2, 30, (3, 8))
    features = encoder(x)
    other = x.clone()
    other[:, 5:] = torch.randint(2, 30, (3, 3))
    assert torch.allclose(encoder(other).dense[:, :5], features.dense[:, :5], atol=1e-6)
    assert not torch.allclose(encoder(other).pooled, features.pooled, atol=1e-3)
    assert torch.equal(features.dense[:, -1, :16], features.pooled)
    assert torch.equal(features.dense[..., 16:], encoder.items.weight[x])
    short = encoder(x.masked_fill(torch.arange(8) >= 4, -1))
    assert torch.allclose(short.pooled, features.dense[:, 3, :16], atol=1e-6)
    assert not encoder(torch.full((1, 2), -1)).pooled.any()
    encoder.recompute()
    assert torch.allclose(encoder(x).pooled, features.pooled, atol=1e-6)


def test_heads_divide_the_width():
    with pytest.raises(UserError, match="width=10, heads=4; expected a width that the heads divide"):
        SASRec(vocabulary=9, width=10, heads=4)
