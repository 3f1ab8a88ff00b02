"""One reader in one process, by atheris: `python -m tests.fuzz.guided READER SECONDS OUT`; `__main__.py` starts it."""

import faulthandler
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["kontrast"]):
    from .change import changed
    from .readers import EXPECTED, fed, ready


def main(name: str, seconds: str, out: Path) -> None:
    """Until the time is over."""
    faulthandler.enable()
    corpus, found = out / "corpus", out / "found"
    corpus.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as place,
        atheris.instrument_imports(include=["kontrast"]),  # what a reader imports on its way counts, too
        ready(name, Path(place)) as (seeds, feed),
    ):
        for number, seed in enumerate(seeds):
            (corpus / f"seed-{number}").write_bytes(seed)
            with suppress(*EXPECTED):
                feed(seed)  # unbounded: a library that is loaded now reserves more memory than an example may take

        def once(data: bytes) -> None:
            try:
                fed(feed, data)
            except Exception as error:
                _keep(found, data, error)

        def other(data: bytes, most: int, seed: int) -> bytes:
            """Half of the time by us, who know what is inside."""
            random = Random(seed)
            return (changed(data, random) if random.random() < 0.5 else atheris.Mutate(data, most))[:most]

        options = ("-rss_limit_mb=6000", "-timeout=60", "-max_len=8192", "-print_final_stats=1", "-verbosity=1")
        prefix = f"-artifact_prefix={found}/"
        words = [sys.argv[0], str(corpus), *options, prefix, f"-max_total_time={seconds}"]
        atheris.Setup(words, once, custom_mutator=other)
        atheris.Fuzz()


def _keep(found: Path, data: bytes, error: Exception) -> None:
    """One input a kind of error and place."""
    places = traceback.extract_tb(error.__traceback__)
    house = [p for p in places if "kontrast" in Path(p.filename).parts and "fuzz" not in Path(p.filename).parts]
    at = house[-1] if house else places[-1]
    stem = found / f"{type(error).__name__}-{Path(at.filename).stem}-{at.lineno}"
    if not stem.exists():
        stem.write_bytes(data)
        stem.with_name(f"{stem.name}.txt").write_text("".join(traceback.format_exception(error)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
