"""The examples in docstrings run and give what they show; those of losses have a test of their own."""

import doctest
import importlib
from pathlib import Path

import pytest

import kontrast

pytestmark = pytest.mark.quick

PACKAGE = Path(kontrast.__file__).parent
EXAMPLES = [
    ".".join(("kontrast", *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf8") and "losses" not in path.relative_to(PACKAGE).parts
]


@pytest.mark.parametrize("module", EXAMPLES)
def test_the_examples_of_a_module_run(module):
    found = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert found.attempted
    assert not found.failed


def test_every_evaluator_has_an_example():
    evaluators = [name for name in EXAMPLES if name.startswith("kontrast.evaluation.")]
    from kontrast.core import registry

    for kind in registry.kinds("evaluators").values():
        assert kind.module in evaluators, kind.name
