"""The picture of the roles in the docs is what the modalities give today."""

import numpy as np
from PIL import Image

from scripts.build_roles import PICTURE, build


def test_the_picture_shows_the_roles_and_is_up_to_date(tmp_path):
    build(tmp_path / "roles.png")
    made, kept = (np.asarray(Image.open(file).convert("RGB"), np.float64) for file in (tmp_path / "roles.png", PICTURE))
    assert made.shape == kept.shape
    assert np.abs(made - kept).mean() < 4  # other machines round and quantise otherwise
    columns = [made[24:156, 10 + 142 * n : 142 + 142 * n] for n in range(6)]
    unlike = [np.abs(one - columns[-1]).mean() for one in columns[:5]]
    assert min(unlike) > 4  # from the original
    assert np.abs(columns[0] - columns[1]).mean() > 4  # global from local
