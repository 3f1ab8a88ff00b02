"""Names of earlier versions that still work for one release, with a notice."""

import warnings


class OldName(FutureWarning):
    """Something was called by a name of an earlier version."""


# room -> old name -> its name now; both as files are named
KINDS = {
    "losses": {"rnc": "rank_n_contrast", "barlow": "barlow_twins", "regress": "similarity_regression"},
    "relations": {
        "across": "different_group",
        "close": "target_similarity",
        "column": "label_column",
        "near": "temporal_window",
        "same": "same_key",
        "several": "shared_labels",
        "twins": "exclude_duplicates",
        "weighed": "key_weight",
        "within": "within_group",
        "counting": "candidates_only",
        "pulling": "positives_only",
    },
}


def kind(room: str, name: str) -> str | None:
    """The name that a kind bears now, with a notice; None if it never bore this one."""
    new = KINDS.get(room, {}).get(name.lower().replace("-", "_"))
    if new is not None:
        notice(f"{name} ({room})", new)
    return new


def notice(old: str, new: str) -> None:
    """Tells that a name is an old one."""
    warnings.warn(f"{old} is called {new} now; the old name works for one release.", OldName, stacklevel=3)
