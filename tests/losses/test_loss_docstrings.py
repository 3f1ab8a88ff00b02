"""Docstrings of losses, kernels, relations and their contracts: one form, and examples that run."""

import doctest
import importlib
import inspect
import pkgutil
import re

import pytest
import torch

from kontrast import losses
from kontrast.core import factory, registry
from kontrast.losses import functional

pytestmark = pytest.mark.quick

FOLDERS = ("contrastive", "pairwise", "alignment", "clustering", "preference")
LOSSES = registry.kinds("losses").values()
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(losses.__path__, "kontrast.losses.")
    if not module.ispkg and ".modules." not in module.name
)


def parts(text: str) -> dict[str, str]:
    """The sections of a docstring."""
    return dict(re.findall(r"^([A-Z]\w+):\n((?:    .*\n?|\n(?=    ))+)", text, re.MULTILINE))


def explains(made, form, settings=None):
    text = inspect.getdoc(made)
    first = text.split("\n\n")[0]
    assert "\n" not in first, "the first line is one sentence"
    assert first.endswith(".")
    assert len(first.split()) <= 15, first
    found = parts(text)
    names = [name for name in form if name in found]
    assert list(found) == names, f"{list(found)}; expected {form}, in this order"
    for setting in settings or [name for name, *_ in factory.settings_of(made)]:
        assert re.search(rf"^    \*?{setting}: ", found.get("Args", ""), re.MULTILINE), f"{setting} is not explained"
    assert ">>>" in found["Example"]
    return found


@pytest.mark.parametrize("kind", LOSSES, ids=lambda kind: kind.name)
def test_losses_say_what_when_shape_equation_and_reference(kind):
    found = explains(
        registry.load("losses", kind.name), ("Args", "Shape", "Raises", "Equation", "Reference", "Example")
    )
    assert {"Shape", "Equation", "Reference"} <= set(found)
    assert kind.module.split(".")[2] in FOLDERS


@pytest.mark.parametrize("kind", registry.kinds("kernels").values(), ids=lambda kind: kind.name)
def test_kernels_say_shape_equation_and_reference(kind):
    found = explains(
        registry.load("kernels", kind.name), ("Args", "Shape", "Raises", "Equation", "Reference", "Example")
    )
    assert {"Shape", "Equation", "Reference"} <= set(found)


@pytest.mark.parametrize("kind", registry.kinds("relations").values(), ids=lambda kind: kind.name)
def test_relations_say_what_they_weigh(kind):
    found = explains(registry.load("relations", kind.name), ("Args", "Raises", "Equation", "Reference", "Example"))
    assert {"Args", "Equation"} <= set(found)


@pytest.mark.parametrize("name", functional.__all__)
def test_functions_explain_every_parameter(name):
    made = getattr(functional, name)
    form = ("Args", "Returns", "Raises", "Equation", "Reference", "Example")
    found = explains(made, form, inspect.signature(made).parameters)
    assert set(form) == set(found)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    module = importlib.import_module(name)
    found = doctest.testmod(module, extraglobs={"torch": torch})
    assert found.attempted == sum(line.lstrip().startswith(">>>") for line in inspect.getsource(module).splitlines()), (
        "an example stands where doctest does not find it"
    )
    assert not found.failed
