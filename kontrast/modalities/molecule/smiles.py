"""SMILES become graphs of atoms and bonds, and fingerprints, by RDKit."""

import html
import re
from typing import Any

import numpy as np

from kontrast.core.errors import Unreadable, needs
from kontrast.modalities.graph.raw_graph import RawGraph, raw_graph

BITS, RADIUS = 2048, 2  # of Morgan fingerprints
_LARGEST = 10_000  # characters of a SMILES
_SHAPE = re.compile(r"<(?:path|text|ellipse)[^>]*/?>(?:[^<]*</text>)?")
_STYLE = re.compile(r"style='([^']*)'")
_KEPT = re.compile(r"(?<![\w-])(fill|stroke|stroke-width):([^;]*)")
_CLASS = re.compile(r" class='[^']*'")


def molecule(smiles: str) -> Any:
    """The RDKit molecule.

    Raises:
        Unreadable: no molecule; UserError: RDKit is not installed.
    """
    chem = needs("rdkit.Chem", "graph")
    block = needs("rdkit.rdBase", "graph").BlockLogs()  # RDKit writes its complaints to the terminal
    try:
        found = chem.MolFromSmiles(smiles.strip()) if len(smiles) <= _LARGEST else None
    finally:
        del block
    if found is None:
        raise Unreadable(f"is no SMILES that RDKit reads: '{smiles[:60]}'")
    if not found.GetNumAtoms():
        raise Unreadable("is a molecule without atoms")
    return found


def graph(found: Any) -> RawGraph:
    """Atoms by element with degree, charge, hydrogens, aromaticity, ring and chirality; bonds by kind and stereo."""
    atoms = [
        (
            atom.GetDegree(),
            atom.GetFormalCharge(),
            atom.GetTotalNumHs(),
            atom.GetIsAromatic(),
            atom.IsInRing(),
            str(atom.GetHybridization()) == "SP",
            str(atom.GetHybridization()) == "SP2",
            str(atom.GetChiralTag()).endswith("_CW"),
            str(atom.GetChiralTag()).endswith("_CCW"),
        )
        for atom in found.GetAtoms()
    ]
    bonds = list(found.GetBonds())
    return raw_graph(
        len(atoms),
        [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in bonds],
        labels=[atom.GetSymbol() for atom in found.GetAtoms()],
        features=np.array(atoms, np.float64),
        tie_labels=[str(bond.GetBondType()) for bond in bonds],
        tie_features=np.array([(bond.GetIsConjugated(), bond.IsInRing()) for bond in bonds], np.float64).reshape(-1, 2),
    )


def fingerprint(found: Any) -> np.ndarray:
    """(256,) uint8, the 2,048 bits of the Morgan fingerprint of radius 2 (ECFP4)."""
    made = needs("rdkit.Chem.rdFingerprintGenerator", "graph").GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    return np.packbits(made.GetFingerprintAsNumPy(found))


def drawn(smiles: str, size: int = 140) -> str:
    """An SVG of the formula, without inline styles, which pages of reports do not allow."""
    from rdkit.Chem.Draw import rdMolDraw2D

    canvas = rdMolDraw2D.MolDraw2DSVG(size, size)
    canvas.drawOptions().clearBackground = False
    canvas.DrawMolecule(molecule(smiles))
    canvas.FinishDrawing()
    shapes = "".join(_SHAPE.findall(canvas.GetDrawingText().replace("\n", " ")))
    shapes = _CLASS.sub(
        "", _STYLE.sub(lambda found: " ".join(f'{k}="{v}"' for k, v in _KEPT.findall(found[1])), shapes)
    )
    head = f'<svg role="img" aria-label="{html.escape(smiles[:200])}" width="{size}" height="{size}"'
    return f'{head} viewBox="0 0 {size} {size}">{shapes}</svg>'
