"""Preference recipes ask texts for dialogues, and other fields for nothing that they do not have."""

import pytest

from kontrast.core.experiment import Experiment
from kontrast.core.registry import load
from kontrast.core.task_choice import one_task
from kontrast.data.schema.fields import Field
from kontrast.modalities.text.marks import TURN
from kontrast.recipes.choosing import choose

pytestmark = pytest.mark.quick

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


@pytest.mark.parametrize(
    ("more", "task"), [((), "bradley_terry"), (("prompt",), "bradley_terry"), (("anchor",), "bpr")]
)
def test_columns_that_say_what_was_preferred_choose_a_preference_task(more, task):
    views = {name: Field("text", "so said") for name in ("chosen", "rejected", *more)}
    experiment, why = choose(views, Experiment(tasks=one_task("")), None)
    (choice,) = experiment.tasks.values()
    assert choice.task.name == task
    assert "preferred" in why
    other, _ = choose({"chosen": views["chosen"], "body": views["rejected"]}, Experiment(tasks=one_task("")), None)
    assert next(iter(other.tasks.values())).task.name == "clip"
