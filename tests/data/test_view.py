"""Views: named by what they are, not by what they hold."""

import pytest
import torch

from kontrast.data.view import View, ViewSpec

pytestmark = pytest.mark.quick


def test_a_view_is_equal_to_itself_alone_and_can_be_a_key():
    x = torch.zeros(2, 3)
    one, other = View("photo", x), View("photo", x)
    assert {one: 1, other: 2} == {one: 1, other: 2}
    assert len({one, other}) == 2
    assert one != other


def test_equal_specs_are_one_spec():
    assert len({ViewSpec("photo"), ViewSpec("photo", "global"), ViewSpec("photo", "local")}) == 2
