"""SMILES become graphs of atoms and bonds, and fingerprints, by RDKit."""

from typing import Any

import numpy as np

from kontrast.core.errors import Unreadable, needs
from kontrast.modalities.graph.raw_graph import RawGraph, raw_graph

BITS, RADIUS = 2048, 2  # of Morgan fingerprints
_LARGEST = 10_000  # characters of a SMILES


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
    """An SVG of the formula."""
    from rdkit.Chem.Draw import rdMolDraw2D

    canvas = rdMolDraw2D.MolDraw2DSVG(size, size)
    canvas.DrawMolecule(molecule(smiles))
    canvas.FinishDrawing()
    words = canvas.GetDrawingText()
    return words[words.index("<svg") :].replace("\n", " ").strip()
