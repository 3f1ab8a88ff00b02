"""Columns of SMILES."""

import importlib.util
import re

from kontrast.core.errors import Unreadable
from kontrast.data.schema.column import Claim, Column, mostly
from kontrast.modalities.molecule.smiles import molecule

_NAMED = ("smiles", "mol", "molecule", "canonical_smiles", "compound")
_SMILES = re.compile(r"^[A-Za-z0-9@+\-\[\]()=#$:/\\.%*~]+$")
_CHEMICAL = re.compile(r"[\[\]()=#]|[a-z]\d|[A-Z]\d")  # a word of letters alone is no sign of chemistry
_TRIED = 50  # cells that RDKit reads


def recognise(column: Column) -> Claim | None:
    """Says why a column of strings holds SMILES."""
    if not column.strings or not mostly(lambda cell: bool(_SMILES.match(cell.strip())), column.strings):
        return None
    named = any(name in column.name for name in _NAMED)
    if not named and not mostly(lambda cell: bool(_CHEMICAL.search(cell)), column.strings):
        return None
    if importlib.util.find_spec("rdkit") is None:
        words = "SMILES, which RDKit reads: pip install 'kontrast[graph]'"
        return Claim(words, usable=False) if named else None
    return Claim("SMILES of molecules") if mostly(_readable, column.strings[:_TRIED]) else None


def _readable(cell: str) -> bool:
    try:
        molecule(cell)
    except Unreadable:
        return False
    return True
