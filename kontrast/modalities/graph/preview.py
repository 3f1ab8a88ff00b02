"""Small drawings of graphs."""

import html

import numpy as np

_SIZE, _EDGE = 120, 8
_MOST = 150  # nodes that are drawn
_ROUNDS = 60
_COLOURS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2", "#be185d", "#4d7c0f", "#475569")


def drawing(nodes: int, edges_E2: np.ndarray, codes_N: np.ndarray, labels: list[str]) -> str:
    """An SVG of a graph, nodes coloured by label.

    Args:
        nodes: Their number; of larger graphs the first 150 are drawn.
        edges_E2: (E, 2) ints.
        codes_N: (N,) ints, numbers of labels; -1 for none.
        labels: The labels.
    """
    shown = min(nodes, _MOST)
    edges = edges_E2[(edges_E2 < shown).all(1)] if len(edges_E2) else edges_E2.reshape(0, 2)
    at = _laid_out(shown, edges)
    at = _EDGE + (at - at.min(0)) / np.maximum(np.ptp(at, 0).max(), 1e-9) * (_SIZE - 2 * _EDGE)
    lines = "".join(f"M{at[a, 0]:.0f} {at[a, 1]:.0f}L{at[b, 0]:.0f} {at[b, 1]:.0f}" for a, b in edges)
    radius = 4 if shown < 12 else 3 if shown < 30 else 2
    dots = "".join(
        f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{radius}" fill="{_COLOURS[int(c) % len(_COLOURS)]}">'
        f"<title>{html.escape(labels[int(c)] if 0 <= c < len(labels) else 'node')}</title></circle>"
        for (x, y), c in zip(at, codes_N[:shown], strict=True)
    )
    words = f"{nodes:,} nodes, {len(edges_E2):,} edges"
    return (
        f'<svg role="img" aria-label="{words}" width="{_SIZE}" height="{_SIZE}" viewBox="0 0 {_SIZE} {_SIZE}">'
        f'<path d="{lines}" stroke="#64748b" fill="none"></path>{dots}</svg>'
    )


def _laid_out(nodes: int, edges: np.ndarray) -> np.ndarray:
    """(nodes, 2) places: neighbours attract, all others repel (Fruchterman and Reingold 1991)."""
    angle = np.arange(nodes) * 2 * np.pi / max(nodes, 1)
    at = np.stack((np.cos(angle), np.sin(angle)), 1) + np.random.default_rng(0).normal(0, 0.05, (nodes, 2))
    best = nodes**-0.5
    for step in range(_ROUNDS):
        apart = at[:, None] - at[None]
        far = np.sqrt((apart**2).sum(-1)) + 1e-6
        force = (apart * (best**2 / far**2)[..., None]).sum(1)
        if len(edges):
            pull = at[edges[:, 0]] - at[edges[:, 1]]
            pull = pull * (np.linalg.norm(pull, axis=1, keepdims=True) / best)
            np.add.at(force, edges[:, 0], -pull)
            np.add.at(force, edges[:, 1], pull)
        length = np.linalg.norm(force, axis=1, keepdims=True) + 1e-9
        at = at + force / length * np.minimum(length, 0.2 * (1 - step / _ROUNDS))
    return at
