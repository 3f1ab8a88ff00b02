"""Small real data, and the optional folder of published sets that may lie beside the project."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.places import ROOT
from tests.support.series import waves

_UNTRACKED = pytest.StashKey()


def pytest_sessionstart(session):
    session.config.stash[_UNTRACKED] = _untracked()


def pytest_sessionfinish(session, exitstatus):
    """Tests leave nothing in the tree: what is new there fails the run."""
    if hasattr(session.config, "workerinput"):  # pytest-xdist: the first process looks, after all others
        return
    left = sorted(_untracked() - session.config.stash[_UNTRACKED])
    if left:
        sys.stderr.write(f"\nleft in the tree: {', '.join(left)}\n")
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_ignore_collect(collection_path, config):
    """Skips files without a quick test when only quick tests are asked for: importing all files takes half a minute."""
    if collection_path.suffix == ".py" and config.option.markexpr.split()[:1] == ["quick"]:
        return True if "pytest.mark.quick" not in collection_path.read_text(encoding="utf8") else None
    return None


def _untracked():
    """Files of the tree that git neither knows nor ignores; none where there is no git."""
    words = ["git", "ls-files", "--others", "--exclude-standard"]
    with contextlib.suppress(OSError):
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
        return set(done.stdout.splitlines())
    return set()


@pytest.fixture(scope="session")
def published():
    """The folder of published data sets; tests that need it are skipped where there is none."""
    folder = Path(os.environ.get("KONTRAST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no folder of published data sets: set KONTRAST_DATA")
    return folder


@pytest.fixture
def folder(tmp_path):
    """A run folder that holds its settings and nothing else yet."""
    from kontrast.core.experiment import Experiment, Plan
    from kontrast.runs.folder.folder import Folder

    made = Folder(tmp_path / "waves-1")
    made.path.mkdir()
    made.write("experiment.json", Experiment(plan=Plan(batch=256), seed=7).to_json())
    return made


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A folder of 400 handwritten digits (scikit-learn's) as PNG files in class subfolders."""
    from PIL import Image
    from sklearn.datasets import load_digits

    folder = tmp_path_factory.mktemp("digits")
    data = load_digits()
    for n in range(400):
        place = folder / str(data.target[n])
        place.mkdir(exist_ok=True)
        pixels = (data.images[n] * 255 / 16).astype(np.uint8)
        Image.fromarray(pixels).resize((16, 16)).save(place / f"{n:04d}.png")
    return folder


@pytest.fixture(scope="session")
def series(tmp_path_factory):
    """WAVES_TRAIN.ts and WAVES_TEST.ts, unequal in length and with gaps, and the same as WAVES_*.tsv."""
    folder = tmp_path_factory.mktemp("series")
    for part, n, seed in (("TRAIN", 120, 0), ("TEST", 60, 1)):
        x, kinds = waves(n, seed)
        lengths = np.random.default_rng(seed + 7).integers(48, 65, n)
        ts = ["@problemName WAVES", "@timeStamps false", "@missing true", "@univariate true", "@equalLength false"]
        ts += ["@classLabel true 0 1 2", "@data"]
        tsv = []
        for row, kind, m in zip(x, kinds, lengths, strict=True):
            cells = [f"{v:.4f}" for v in row[:m]]
            ts.append(",".join([*cells[:10], "?", *cells[11:]]) + f":{kind}")
            tsv.append("\t".join([str(kind), *cells[:10], "NaN", *cells[11:], *["NaN"] * (64 - m)]))
        (folder / f"WAVES_{part}.ts").write_text("\n".join(ts) + "\n")
        (folder / f"WAVES_{part}.tsv").write_text("\n".join(tsv) + "\n")
    return folder
