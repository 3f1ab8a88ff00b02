"""Files, functions and classes that ARCHITECTURE.md names exist."""

import re

import pytest

from tests.support.places import ROOT

pytestmark = pytest.mark.quick

TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf8")
STEPS = re.findall(r"^\| \d+ \|.*\| `([\w/]+\.py)` \| `(\w+)` \|$", TEXT, re.MULTILINE)
CONTRACTS = re.findall(r"^\| `(\w+)` \| `([\w/]+\.py)` \|", TEXT, re.MULTILINE)


def test_the_page_has_the_way_of_a_batch_and_the_contracts():
    assert len(STEPS) == len(re.findall(r"^\| \d+ \|", TEXT, re.MULTILINE)) > 10
    assert len(CONTRACTS) > 10


@pytest.mark.parametrize(("file", "function"), STEPS)
def test_a_step_of_the_way_is_in_its_file(file, function):
    source = (ROOT / "kontrast" / file).read_text(encoding="utf8")
    assert re.search(rf"^ *def {function}\(", source, re.MULTILINE), (file, function)


@pytest.mark.parametrize(("contract", "file"), CONTRACTS)
def test_a_contract_is_in_its_file_and_has_a_room(contract, file):
    source = (ROOT / "kontrast" / file).read_text(encoding="utf8")
    assert re.search(rf"^class {contract}\(.*ABC.*\):.*?^    ROOM = ", source, re.MULTILINE | re.DOTALL), (
        contract,
        file,
    )


def test_every_path_on_the_page_exists_and_every_room_is_on_it():
    for path in re.findall(r"`((?:[\w-]+/)+[\w.-]*|api\.py)`", TEXT):
        assert (ROOT / "kontrast" / path).exists() or (ROOT / path).exists(), path
    rooms = {place.name for place in (ROOT / "kontrast").iterdir() if (place / "__init__.py").exists()}
    assert rooms <= set(re.findall(r"`(\w+)/`", TEXT))
