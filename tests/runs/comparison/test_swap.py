"""Swaps of an ablation as arms."""

import pytest

from kontrast.cli.app import value
from kontrast.core.errors import UserError
from kontrast.runs.comparison.swap import Arm, arms

pytestmark = pytest.mark.quick


def _arms(*swaps):
    return arms("simclr", swaps, value)


def test_each_value_of_a_swap_is_an_arm_beside_the_recipe():
    assert _arms("plan.batch=64,128", "tasks.contrast.loss=dcl") == [
        Arm("simclr", "simclr"),
        Arm("batch=64", "simclr", {"plan.batch": 64}),
        Arm("batch=128", "simclr", {"plan.batch": 128}),
        Arm("loss=dcl", "simclr", {"tasks.contrast.loss": "dcl"}),
    ]


def test_a_recipe_is_swapped_whole_and_several_settings_together():
    assert _arms("recipe=vicreg,simsiam", "recipe=simsiam tasks.contrast.stop_gradient=false")[1:] == [
        Arm("recipe=vicreg", "vicreg"),
        Arm("recipe=simsiam", "simsiam"),
        Arm("recipe=simsiam stop_gradient=false", "simsiam", {"tasks.contrast.stop_gradient": False}),
    ]


def test_commas_and_blanks_inside_json_do_not_part_values():
    (_, one, two) = _arms("a.sizes=[1, 2],[3]")
    assert (one.settings, two.settings) == ({"a.sizes": [1, 2]}, {"a.sizes": [3]})
    (_, one) = _arms('loss={"name": "dcl", "margin": 1}')
    assert one.settings == {"loss": {"name": "dcl", "margin": 1}}


def test_names_that_end_alike_are_written_whole():
    assert [arm.name for arm in _arms("a.width=1", "b.width=2")[1:]] == ["a.width=1", "b.width=2"]


def test_folders_have_plain_names():
    assert [arm.slug for arm in _arms('loss={"name": "dcl"}', "optimiser=my/lab:Own")[1:]] == [
        "loss-name-dcl",
        "optimiser-my-lab-Own",
    ]


@pytest.mark.parametrize(
    ("swap", "words"),
    [
        ("loss", "--swap loss: expected NAME=VALUE"),
        ("loss=", "--swap loss=: expected NAME=VALUE"),
        ("", "--swap is empty"),
        ("seed=4", "seed is the same for all arms"),
        ("plan.steps=4", "plan.steps is the same for all arms"),
        ("a=1,2 b=3", "changes several settings; expected one value for each"),
        ("recipe=simclr", "is the same as simclr"),
    ],
)
def test_other_swaps_are_refused(swap, words):
    with pytest.raises(UserError, match=words):
        _arms(swap)


def test_arms_that_would_share_a_folder_are_refused():
    with pytest.raises(UserError, match="two swaps would share the folder a-b-c"):
        _arms("a=b/c", "a=b:c")
