"""Preference recipes ask texts for dialogues, and other fields for nothing that they do not have."""

import pytest

from kontrast.core.experiment import Experiment
from kontrast.core.registry import load
from kontrast.data.schema.fields import Field
from kontrast.modalities.text import TURN
from kontrast.recipes.choosing import choose

RECIPES = ("bradley_terry", "bpr", "dpo", "simpo", "cpl", "click")


def chosen(recipe: str, kind: str) -> Experiment:
    names = ("chosen", "rejected", *(("anchor",) if recipe == "bpr" else ()))
    return choose({name: Field(kind, "so said") for name in names}, load("recipes", recipe)(), recipe)[0]


@pytest.mark.parametrize("recipe", RECIPES)
def test_texts_are_read_as_dialogues(recipe):
    experiment = chosen(recipe, "text")
    assert {view.settings["turn"] for view in experiment.views.values()} == {TURN}
    language = recipe in ("dpo", "simpo", "cpl", "click")
    assert experiment.encoders["text"].name == ("causal_lm" if language else "tokens")


@pytest.mark.parametrize("kind", ["image", "series"])
def test_rewards_of_other_fields_ask_for_no_turn(kind):
    assert all("turn" not in view.settings for view in chosen("bradley_terry", kind).views.values())
