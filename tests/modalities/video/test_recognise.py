"""Videos are recognised by what their files hold; pictures that stand still are images as before."""

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from kontrast.core.errors import Unreadable, UserError
from kontrast.data.schema import fingerprint
from kontrast.data.schema.fields import infer
from kontrast.data.schema.path_guard import gate
from kontrast.data.sources.open_source import open_frame
from tests.support.videos import encoded, moving

pytestmark = pytest.mark.quick
N = 6


def kinds(data):
    return {name: field.kind for name, field in infer(open_frame(data, cache=None), {}, None).items()}


def still(kind):
    file = io.BytesIO()
    Image.fromarray(moving(0)[0]).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(("kind", "suffix"), [("GIF", "gif"), ("PNG", "png"), ("PNG", "apng"), ("WEBP", "webp")])
def test_animated_files_are_videos_and_still_ones_of_the_same_format_are_images(tmp_path, kind, suffix):
    made = {"video": [encoded(moving(row), kind) for row in range(N)], "image": [still(kind)] * N}
    for wanted, data in made.items():
        for row, one in enumerate(data):
            place = tmp_path / wanted / f"class{row % 2}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{row}.{suffix}").write_bytes(one)
        assert kinds(tmp_path / wanted) == {"image": wanted, "label": "label"}
    cells = {f"{wanted} in a table": [{"bytes": one, "path": None} for one in data] for wanted, data in made.items()}
    assert kinds({**made, **cells}) == {name: name.split()[0] for name in {**made, **cells}}


def test_stacks_and_lists_of_frames_are_videos():
    videos = [moving(row) for row in range(N)]
    ragged = [video[: 8 + row] for row, video in enumerate(videos)]
    frames = [[Image.fromarray(frame) for frame in video] for video in videos]
    columns = {
        "stack": np.stack(videos),
        "channels first": np.stack(videos).transpose(0, 1, 4, 2, 3),
        "grey": np.stack(videos)[..., 0],
        "floats": np.stack(videos).astype(np.float32) / 255,
        "ragged": ragged,
        "lists of PIL": frames,
        "lists of arrays": [list(video) for video in videos],
        "animated PIL": [Image.open(io.BytesIO(encoded(video))) for video in videos],
        "arrow": pa.array([video.tolist() for video in videos]),
        "records": pa.array([[{"bytes": encoded(video[:1], "PNG"), "path": None}] * 3 for video in videos]),
    }
    assert kinds(columns) == dict.fromkeys(columns, "video")


def test_pictures_and_arrays_of_other_kinds_stay_what_they_were():
    rng = np.random.default_rng(0)
    columns = {
        "image": rng.integers(0, 255, (N, 16, 16, 3), dtype=np.uint8),
        "ignore": rng.integers(0, 255, (N, 16, 16, 5), dtype=np.uint8),
        "ignore ": rng.random((N, 16, 16, 16)),
        "series": rng.random((N, 30, 2)),
        "text": [[f"word {row}", "another"] for row in range(N)],
    }
    assert kinds(columns) == {name: name.strip() for name in columns}


def folders(root):
    for row in range(N):
        place = root / ("calm", "wild")[row % 2] / f"clip{row}"
        place.mkdir(parents=True)
        for t, frame in enumerate(moving(row, frames=11)):
            Image.fromarray(frame).save(place / f"{t}.png")
    return root


def test_folders_of_frames_are_videos_where_they_are_called_so(tmp_path):
    root = folders(tmp_path / "clips")
    frame = open_frame(f"frames:{root}", cache=None)
    assert frame.cells("video", range(2)) == ["calm/clip0", "calm/clip2"]
    assert kinds(frame) == {"video": "video", "label": "label"}
    assert kinds(root)["image"] == "image"  # one picture per row, as before
    names = [f"{('calm', 'wild')[row % 2]}/clip{row}" for row in range(N)]
    (root / "table.csv").write_text("clip,words\n" + "".join(f"{name},words of {name}\n" for name in names))
    assert kinds(root / "table.csv")["clip"] == "video"
    lists = pa.table({"clip": [[f"{name}/{t}.png" for t in range(11)] for name in names]})
    pa.parquet.write_table(lists, root / "lists.parquet")
    assert kinds(root / "lists.parquet") == {"clip": "video"}
    with pytest.raises(UserError, match="is no folder"):
        open_frame("frames:nowhere", cache=None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="has no folder with pictures in it"):
        open_frame(f"frames:{tmp_path / 'empty'}", cache=None)


def test_frames_come_in_the_order_of_their_numbers_and_a_changed_one_is_noticed(tmp_path):
    from kontrast.modalities.video.video import Video

    frame = open_frame(f"frames:{folders(tmp_path / 'clips')}", cache=None)
    found = Video(size=16).read(*frame.cells("video", [0]), frame.folder)
    np.testing.assert_array_equal(found, moving(0, frames=11).transpose(0, 3, 1, 2))
    before = fingerprint.of_column(frame.columns["video"], frame.folder)
    Image.fromarray(moving(5)[0]).save(frame.folder / "calm/clip0/3.png", compress_level=0)
    assert fingerprint.of_column(frame.columns["video"], frame.folder) != before


def test_frames_outside_of_the_data_are_neither_looked_at_nor_read(tmp_path):
    outside = folders(tmp_path / "secret")
    (outside / "one.gif").write_bytes(encoded(moving(0)))
    data = tmp_path / "data"
    data.mkdir()
    (data / "link").mkdir()
    (data / "link" / "0.png").symlink_to(outside / "calm/clip0/0.png")
    (data / "table.csv").write_text("clip\n" + f"{outside}/one.gif\n" * 3)
    frame = open_frame(data / "table.csv", cache=None)
    assert kinds(frame) == {"clip": "image"}  # as any name of a picture; its file stays closed
    for cell in ("link", str(outside / "calm/clip0"), [str(outside / "calm/clip0/0.png")], ["link/0.png"]):
        with pytest.raises(Unreadable, match="lies outside of"):
            gate(frame)(cell)


def test_files_of_video_are_refused_in_one_sentence_that_says_how_to_convert_them(tmp_path):
    (tmp_path / "films").mkdir()
    for row in range(3):
        (tmp_path / "films" / f"{row}.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    with pytest.raises(UserError, match=r"holds files of video.*ffmpeg -i CLIP.mp4 .* CLIP.webp\.$"):
        open_frame(tmp_path / "films", cache=None)
