"""Clips of videos: which frames they show, how they are augmented, and what a video is read from."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kontrast.core import random_streams
from kontrast.core.errors import Unreadable
from kontrast.core.random_streams import Streams
from kontrast.data.remark import Rows
from kontrast.data.store import Store
from kontrast.modalities.video.clips import cut
from kontrast.modalities.video.video import Video
from tests.support.videos import encoded, moving

pytestmark = pytest.mark.quick
HERE = Path()


def counting(frames, side=8):
    """A video whose frame t has the value t everywhere."""
    return np.broadcast_to(np.arange(frames, dtype=np.uint8)[:, None, None, None], (frames, 3, side, side)).copy()


def fitted(videos, **settings):
    video = Video(**{"size": 16, **settings})
    items = [video.read(one, HERE) for one in videos]
    video.fit(items)
    return video, [video.pack(item) for item in items]


class Held(Store):
    """Packed rows in memory."""

    def __init__(self, packed):
        self.packed, self.has = packed, np.ones(len(packed), bool)

    def rows(self, index):
        return [self.packed[i] for i in index]

    def lengths(self, index):
        return np.array([len(self.packed[i]) for i in index])


def test_a_clip_shows_frames_that_a_slow_loop_names():
    rng = np.random.default_rng(0)
    rows = [counting(length) for length in (1, 3, 8, 9, 40)]
    start, share = rng.random((5, 6)), rng.uniform(0.5, 1, (5, 6))
    found = cut(rows, start, share, count=4, stride=2)
    for b, row in enumerate(rows):
        for k in range(6):
            span = min(8, int(np.ceil(len(row) * share[b, k])))
            begin = int(start[b, k] * (len(row) - span + 1))
            wanted = [row[begin + int((t + 0.5) * span / 4)][0, 0, 0] for t in range(4)]
            assert found[b, k, :, 0, 0, 0].tolist() == wanted
    assert found.shape == (5, 6, 4, 3, 8, 8)


def test_training_draws_clips_that_move_and_embedding_spaces_them_evenly():
    video, packed = fitted([moving(row, frames=40) for row in range(6)], frames=4, stride=2, windows=3, flip=False)
    store, index = Held([counting(40) for _ in packed]), np.arange(6)
    key = random_streams.key(0, 0, torch.arange(6), 0)
    drawn = video.batch(store, index, Streams(key, key, key))[..., 0, 0, 0].numpy()
    again = video.batch(store, index[2:4], Streams(key, key, key)[2:4])[..., 0, 0, 0].numpy()
    np.testing.assert_array_equal(again, drawn[2:4])
    assert len({tuple(clip) for clip in drawn[:, 1:].reshape(-1, 4)}) > 12  # 24 random clips of 33
    assert (np.diff(drawn) == 2).all()
    still = video.batch(store, index, None)[0, ..., 0, 0, 0].numpy()
    assert still.tolist() == [[17, 19, 21, 23], [1, 3, 5, 7], [17, 19, 21, 23], [33, 35, 37, 39]]
    windows = video.windows(video.collate(packed))
    assert [tuple(window.shape) for window in windows] == [(6, 4, 3, 16, 16)] * 3
    torch.testing.assert_close(windows[1], video.preprocess(video.collate(packed)))


@pytest.mark.parametrize("role", ["global", "strong", "weak", "context"])
def test_all_frames_of_a_clip_are_augmented_alike_as_images_are(role):
    picture = moving(1)[0]
    video, packed = fitted([np.stack([picture] * 9) for _ in range(8)], frames=5)
    batch, keys = video.collate(packed), random_streams.key(0, 0, torch.arange(8), 0)
    seen = video.augment(batch, keys, role=role)
    assert (seen == seen[:, :1]).all()
    torch.testing.assert_close(seen[:, 0], video.image.augment(batch[:, 0, 0], keys, role=role))
    assert not torch.equal(seen[0], seen[1])


def test_a_local_view_is_a_small_crop_of_half_of_the_frames():
    video, packed = fitted([moving(row, frames=20, side=48) for row in range(4)], frames=8, size=48)
    seen = video.augment(video.collate(packed), random_streams.key(0, 0, torch.arange(4), 0), role="local")
    assert seen.shape == (4, 4, 3, 24, 24)


def test_without_augmentation_a_view_is_the_middle_clip():
    video, packed = fitted([moving(row, frames=40) for row in range(4)], strength="none")
    batch = video.collate(packed)
    torch.testing.assert_close(video.augment(batch, torch.arange(4)), video.preprocess(batch))
    assert not video.augments("global")


def test_stride_and_windows_follow_from_the_lengths():
    for length, stride, windows in ((1, 1, 1), (8, 1, 1), (16, 1, 2), (40, 2, 3), (500, 4, 4)):
        video, _ = fitted([moving(row, frames=length) for row in range(3)])
        assert (video.stride, video.count) == (stride, windows), length
        assert f"clips of 8 frames{', ' + str(stride) + ' apart' if stride > 1 else ''}" in video.note()


def frames_on_disk(folder, video):
    for t, frame in enumerate(video):
        Image.fromarray(frame).save(folder / f"frame{t}.png")
    return str(folder)


def test_every_form_of_a_video_gives_the_same_frames(tmp_path):
    wanted = moving(4, frames=12)
    (tmp_path / "clip.webp").write_bytes(encoded(wanted, "WEBP"))
    forms = {
        "stack": wanted,
        "channels first": wanted.transpose(0, 3, 1, 2),
        "floats": (wanted / 255).astype(np.float32),
        "apng": encoded(wanted, "PNG"),
        "gif": encoded(wanted),
        "file": "clip.webp",
        "cell of datasets": {"bytes": encoded(wanted, "PNG"), "path": None},
        "folder": frames_on_disk(tmp_path, wanted),
        "list of PIL": [Image.fromarray(frame) for frame in wanted],
        "list of arrays": list(wanted),
        "list of bytes": [encoded(wanted[t : t + 1], "PNG") for t in range(12)],
        "animated PIL": Image.open(io.BytesIO(encoded(wanted, "PNG"))),
    }
    for name, form in forms.items():
        if name == "folder":
            (tmp_path / "clip.webp").unlink()  # or it would be a frame
        found = Video(size=16).read(form, tmp_path)
        assert found.shape == (12, 3, 16, 16), name
        np.testing.assert_allclose(found, wanted.transpose(0, 3, 1, 2), atol=6 if name == "gif" else 0, err_msg=name)


def test_grey_stacks_stills_and_long_videos_are_read():
    grey = moving(1)[..., 0]
    assert Video().read(grey, HERE).shape == (12, 1, 16, 16)
    assert Video().read(moving(1)[0], HERE).shape == (1, 3, 16, 16)
    found = Video(most=4).read(np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None], (40, 9, 9)), HERE)
    assert found[:, 0, 0, 0].tolist() == [0, 13, 26, 39]
    assert Video(size=16).read([np.zeros((300, 600, 3), np.uint8)] * 2, HERE).shape == (2, 3, 128, 256)
    mixed = [np.zeros((9, 9, 3), np.uint8), np.ones((18, 18), np.uint8)]
    assert Video().read(mixed, HERE).shape == (2, 3, 9, 9)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("clip.mp4", "ffmpeg -i CLIP.mp4 -vf fps=8,scale=-2:128 CLIP.webp"),
        (b"\0\0\0\x18ftypmp42" + bytes(40), "files of video, which kontrast does not read yet; convert each file"),
        (b"", "an empty file"),
        (b"GIF89a" + bytes(9), "no animated picture|damaged"),
        (encoded(moving(0))[:300], "damaged|no frame"),
        ("none.gif", "no such file"),
        (np.zeros((2, 2, 2, 2, 2)), "expected T x H x W x C"),
        (np.full((9, 8, 8, 3), -1.0), "expected 0..1 or 0..255"),
        ([], "no frames"),
        ([1, [2, 3]], "no array of frames"),
        (["a.png"], "no such file"),
        (object(), "expected"),
        (np.zeros((9, 8, 8, 5), np.uint8), "5 channels: expected 1, 3 or 4"),
    ],
)
def test_a_bad_video_is_refused_with_the_reason(cell, words, tmp_path):
    with pytest.raises(Unreadable, match=words):
        Video().read(cell, tmp_path)


def test_a_video_that_announces_too_many_pixels_is_refused(monkeypatch):
    monkeypatch.setattr("kontrast.modalities.video.frames.MOST_PIXELS", 2000)
    with pytest.raises(Unreadable, match="12 frames of 16 x 16: more than 2,000 pixels"):
        Video().read(encoded(moving(0)), HERE)


def test_raw_features_tell_what_moves_which_way():
    video, packed = fitted([moving(0, frames=8), moving(0, frames=8)[::-1], moving(0, frames=8)[:1].repeat(8, 0)])
    forward, back, still = video.raw(video.collate(packed)).view(3, 3, -1)
    torch.testing.assert_close(forward[:2], back[:2])
    torch.testing.assert_close(forward[2], -back[2])
    assert still[1:].abs().max() == 0


def remarked(videos, **settings):
    video, packed = fitted(videos, **settings)
    lengths = np.array([len(row) for row in packed])
    return {one.name: one for one in video.remarks(Rows("clip", HERE, videos, packed, lengths))}


def test_single_frames_still_and_short_videos_are_remarked_on():
    videos = [moving(0), moving(2)[:1].repeat(9, 0), moving(1)[:1], moving(1, frames=5), moving(3)]
    found = remarked(videos)
    assert found["lengths"].words == "clip: videos of 9 frames at the median, 1 to 12; a clip spans 8"
    assert found["single frames"].level == "warning"
    assert list(found["single frames"].rows) == [2]
    assert "--field clip=image" in found["single frames"].words
    assert list(found["still videos"].rows) == [1]
    assert "all their frames are equal" in found["still videos"].words
    assert (list(found["short videos"].rows), found["short videos"].level) == ([3], "note")
    assert "views.clip.frames=5" in found["short videos"].words
    assert list(remarked([moving(0), moving(1)])) == ["lengths"]


def test_a_preview_is_an_animation_of_at_most_eight_frames():
    import base64
    import re

    video, packed = fitted([moving(0, frames=40)])
    for html in (video.show(packed[0]), video.look(video.preprocess(video.collate(packed))[0])):
        data = re.fullmatch(r'<img alt="video of \d+ frames" src="data:image/webp;base64,(.+)">', html)
        image = Image.open(io.BytesIO(base64.b64decode(data[1])))
        assert (image.n_frames, image.size) == (8, (16, 16))
