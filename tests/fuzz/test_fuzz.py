"""Any bytes give a value or a refusal in words; the long way, guided by coverage, is `python -m tests.fuzz`."""

import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.change import changed
from tests.fuzz.readers import READERS, fed, ready

pytestmark = pytest.mark.slow

CORPUS = Path(__file__).parent / "corpus"
EXAMPLES = 60  # a reader; those of a whole run are slower and get a part
SLOW = {"weights": 10, "encoder": 25, "report": 40, "tar": 30, "texts": 30}


@pytest.mark.parametrize("name", READERS)
def test_damaged_bytes_are_read_or_refused(name, tmp_path):
    kept = sorted((CORPUS / name).glob("*")) if (CORPUS / name).is_dir() else []
    with warnings.catch_warnings(), ready(name, tmp_path) as (seeds, feed):
        warnings.simplefilter("ignore")  # as the command line does: of damaged pictures, for one
        for seed in seeds:
            assert fed(feed, seed), f"a valid file is refused: {seed[:80]!r}"
        for file in kept:
            fed(feed, file.read_bytes())

        @settings(
            max_examples=SLOW.get(name, EXAMPLES),
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(st.sampled_from(seeds), st.randoms(use_true_random=True))
        def damaged(seed, random):
            fed(feed, changed(seed, random))

        damaged()


def test_the_corpus_is_of_readers_that_there_are_and_small():
    files = [file for file in CORPUS.rglob("*") if file.is_file()]
    assert {file.parent.name for file in files} <= set(READERS)
    assert sum(file.stat().st_size for file in files) < 100_000


def test_a_finding_is_one(tmp_path):
    def broken(data):
        raise KeyError(data)

    with pytest.raises(KeyError):
        fed(broken, b"x")

    def greedy(data):
        return bytearray(10**11)

    with pytest.raises(MemoryError):
        fed(greedy, b"x")
