"""Memory banks that keep keys of their samples beside them."""

import pytest
import torch

from kontrast.layers.memory_bank import MemoryBank

pytestmark = pytest.mark.quick


def test_a_bank_keeps_the_keys_of_the_samples_it_has_seen():
    bank = MemoryBank(samples=5, width=3, keys=("content x",))
    assert bank.rows().keys["content x"].tolist() == [-1, -2, -3, -4, -5]
    bank.update(
        torch.tensor([3, 1, 3]), torch.eye(3), {"content x": torch.tensor([70, 50, 70]), "label": torch.ones(3)}
    )
    assert bank.rows().keys["content x"].tolist() == [-1, 50, -3, 70, -5]
    assert bank.rows(torch.tensor([3])).keys["content x"].tolist() == [70]
    again = MemoryBank(samples=5, width=3, keys=("content x",))
    again.load_state_dict(bank.state_dict())
    assert again.rows().keys["content x"].tolist() == [-1, 50, -3, 70, -5]


def test_a_bank_without_keys_is_saved_as_before():
    assert set(MemoryBank(samples=5, width=3).state_dict()) == {"rows_of", "log_mean"}
