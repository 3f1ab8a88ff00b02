"""Clips of videos: which frames of each video a clip shows.

Axis letters: B rows, K clips, T frames of a clip, L frames of a video, C channels, S the side of a frame.
"""

from collections.abc import Sequence

import numpy as np


def cut(
    rows: Sequence[np.ndarray], start_BK: np.ndarray, share_BK: np.ndarray, *, count: int, stride: int
) -> np.ndarray:
    """Clips of videos.

    A clip spans `count` frames, `stride` apart, or the whole video if that is shorter; frames of a short video are then
    closer to each other, or repeated.

    Args:
        rows: (L, C, S, S) each.
        start_BK: Where each clip begins, from 0 (the first frame) to below 1 (it ends with the last one).
        share_BK: Share of a video that a clip may take, above 0.
        count: T.
        stride: Frames from one frame of a clip to the next.

    Returns:
        (B, K, T, C, S, S).
    """
    clips = np.empty((*start_BK.shape, count, *rows[0].shape[1:]), rows[0].dtype)
    middles = (np.arange(count) + 0.5) / count
    for clip_K, row, start_K, share_K in zip(clips, rows, start_BK, share_BK, strict=True):
        span_K = np.minimum(count * stride, np.ceil(len(row) * share_K).clip(1))
        begin_K = np.floor(start_K * (len(row) - span_K + 1))
        clip_K[:] = row[(begin_K[:, None] + np.floor(span_K[:, None] * middles)).astype(np.int64)]
    return clips
