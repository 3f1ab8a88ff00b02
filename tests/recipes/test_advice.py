"""Advice on one field without pairs: texts whose encoder is not named hear of pretrained ones, others nothing."""

import pytest

from kontrast.core.choice import Choice
from kontrast.core.experiment import Experiment
from kontrast.core.task_choice import one_task
from kontrast.data.schema.fields import Field
from kontrast.recipes.choosing import choose

ANY = one_task("")


def reason(kinds, **asked):
    fields = {name: Field(kind, "so said") for name, kind in kinds.items()}
    return choose(fields, Experiment(tasks=ANY, **asked), None)


def test_a_text_alone_is_advised_to_begin_from_a_pretrained_encoder():
    _, why = reason({"title": "text"})
    assert why.startswith("one text field, no pairs; ")
    assert "--encoder text=MODEL" in why


@pytest.mark.parametrize("tower", ["text", "title"])
def test_a_named_encoder_needs_no_advice(tower):
    _, why = reason({"title": "text"}, encoders={tower: Choice("tokens")})
    assert why == "one text field, no pairs"


@pytest.mark.parametrize("kinds", [{"title": "text", "body": "text"}, {"ecg": "series"}, {"photo": "image"}])
def test_other_data_hear_nothing(kinds):
    assert "MODEL" not in reason(kinds)[1]


def test_series_pool_five_statistics_unless_an_encoder_is_named():
    assert reason({"ecg": "series"})[0].encoders["series"] == Choice("tcn", {"pool": "statistics"})
    named = reason({"ecg": "series"}, encoders={"series": Choice("tcn")})[0]
    assert named.encoders["series"] == Choice("tcn")
