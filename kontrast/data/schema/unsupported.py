"""Recognises data that kontrast does not read yet: video, graphs, point clouds, molecules, ARFF."""

import itertools
from collections import Counter
from pathlib import Path

import numpy as np

from kontrast.data.schema import file_tree

_SUFFIXES = {
    "audio": ".wav .mp3 .flac .ogg .oga .opus .m4a .aac .aiff .aif .wma",
    "video": ".mp4 .avi .mov .mkv .webm .mpg .mpeg .m4v",
    "graphs": ".graphml .gml .gexf .edgelist .edges .adjlist .net",
    "point clouds or meshes": ".ply .pcd .las .laz .off .obj .stl .pts .xyz .glb .gltf",
    "molecules": ".sdf .mol .mol2 .pdb .cif",
    "volumes": ".nii .dcm .mha .mhd .nrrd",
    "ARFF or TSF tables": ".arff .tsf",
    "documents": ".pdf .doc .docx .odt .rtf .epub",
}
_INSTEAD = {
    "audio": "wav, flac, ogg and mp3 files are read, one per row: in a folder, or named by a column",
    "video": "convert each file to an animated picture, which is: ffmpeg -i CLIP.mp4 -vf fps=8,scale=-2:128 CLIP.webp",
    "graphs": "records of edges, graphml and gml files, TU folders, and edge_index with graph_id in an .npz are read",
    "point clouds or meshes": "off, ply, obj, stl, glb, pts, xyz and las files are read, one per row",
    "molecules": "their SMILES in a column of a table, and .sdf files, are read",
    "volumes": "pictures of their slices are read",
    "ARFF or TSF tables": "the archives of series offer the same sets as .ts, and any table is read as CSV",
    "documents": "their words in .txt files or in a table are read",
}
_CALLED = {"video": "files of video"}
_IN_OTHER_FORMS = ("audio", "point clouds or meshes", "graphs", "molecules")  # of which some are read
_AUDIO = (b"fLaC", b"OggS", b"ID3", b"FORM", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")
_FILES = 500  # files read per folder


def of_name(name: str) -> str | None:
    """Kind of a file by its suffix; None for all others."""
    suffix = Path(name[-20:].removesuffix(".gz")).suffix.lower()
    return next((kind for kind, known in _SUFFIXES.items() if suffix and suffix in known.split()), None)


def of_bytes(data: bytes) -> str | None:
    """Audio or video by its first bytes; None for all others."""
    if data.startswith(_AUDIO) or (data[:4] == b"RIFF" and data[8:12] == b"WAVE"):
        return "audio"
    return "video" if data[4:8] == b"ftyp" and data[4:12] != b"ftypavif" else None


def of_path(path: Path) -> str | None:
    """Kind of a file, or of most files in a folder."""
    if not path.is_dir():
        return of_name(path.name)
    files = Counter(of_name(name) for name in itertools.islice(file_tree.walk(path, None), _FILES))
    kind, count = files.most_common(1)[0] if files else (None, 0)
    return kind if 2 * count > files.total() else None


def of_arrays(arrays: dict[str, np.ndarray]) -> str | None:
    """Kind of an archive that has no row per sample; None for others.

    Such are the edges of a graph, or files joined to a single array of bytes.
    """
    for name, array in arrays.items():
        if name.lower() in ("edge_index", "edges", "adj", "adjacency") and array.ndim == 2 and len(array) != 1:
            return "graphs"
        if array.dtype == np.uint8 and array.ndim == 1 and (kind := of_bytes(array[:16].tobytes())):
            return kind
    return None


def words(kind: str) -> str:
    """Says that a kind is not read yet, and what is read instead."""
    called = f"{kind} in this form" if kind in _IN_OTHER_FORMS else _CALLED.get(kind, kind)
    return f"{called}, which kontrast does not read yet; {_INSTEAD[kind]}"
