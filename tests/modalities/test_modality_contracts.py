"""Every modality meets the checks of `kontrast check` the moment its folder exists."""

import pytest

from kontrast.checks.modality import check_modality
from kontrast.core import registry
from kontrast.core.errors import UserError
from kontrast.modalities.series.series import Series


@pytest.mark.parametrize("name", registry.kinds("modalities"))
def test_a_modality_holds_what_must_hold_of_any(name):
    findings = check_modality(name)
    assert len(findings) > 8
    assert [(f.name, f.detail) for f in findings if f.verdict != "ok"] == []


class Careless(Series):
    """Scales rows by the whole batch, and draws from no stream."""

    def preprocess(self, batch):
        return batch / batch.nan_to_num().abs().max()

    def augment(self, batch, key_B, row_B=None, role="global", step_B=None):
        import torch

        return self.preprocess(batch + torch.rand(batch.shape))


def test_a_careless_one_is_found_out():
    verdicts = {f.name: f for f in check_modality(f"{__name__}:Careless")}
    assert verdicts["rows alone"].verdict == "failed"
    assert "row 0 of a batch differs" in verdicts["rows alone"].detail
    assert verdicts["views"].verdict == "failed"
    assert "same random numbers" in verdicts["views"].detail
    assert verdicts["packed"].verdict == "ok"


def test_what_is_no_modality_is_refused():
    with pytest.raises(UserError, match="no modality 'imagery'"):
        check_modality("imagery")
    with pytest.raises(UserError, match="length"):
        check_modality("series", settings={"length": 0})
