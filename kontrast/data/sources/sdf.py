"""Molecules and their properties in an .sdf file."""

from pathlib import Path
from typing import Any

from kontrast.core.errors import UserError, needs
from kontrast.data.sources.python_values import frame_of
from kontrast.data.sources.source_reader import SourceReader
from kontrast.data.tables.frame import Frame


class Sdf(SourceReader):
    """An .sdf file: a row per molecule, with its SMILES and its properties. Needs the extra `graph` (RDKit).

    Columns: `smiles`, and one per property, numbers where all its values are. A molecule that RDKit cannot read keeps
    its row, which is quarantined.
    """

    order = 45
    reads = ".sdf of molecules"

    def claims(self, data: object) -> bool:
        """Claims .sdf files."""
        return isinstance(data, Path) and data.suffix.lower() == ".sdf" and data.is_file()

    def open(self, data: object, cache: Path | None) -> Frame:
        """Reads all molecules into memory."""
        assert isinstance(data, Path)
        chem = needs("rdkit.Chem", "graph")
        block = needs("rdkit.rdBase", "graph").BlockLogs()  # RDKit writes its complaints to the terminal
        try:
            found = list(chem.SDMolSupplier(str(data)))
        except OSError as error:
            raise UserError(f"{data}: {error}; expected molecules in the SDF format.") from error
        finally:
            del block
        if not found:
            raise UserError(f"{data} holds no molecule; expected records that end with $$$$.")
        properties = dict.fromkeys(name for one in found if one is not None for name in one.GetPropNames())
        smiles = [f"record {k} of the file" if m is None else chem.MolToSmiles(m) for k, m in enumerate(found)]
        columns: dict[str, Any] = {"smiles": smiles}
        columns |= {name: _numbers([_property(one, name) for one in found]) for name in properties if name != "smiles"}
        return frame_of(columns, data.name, data.parent)


def _property(one: Any, name: str) -> str | None:
    return one.GetProp(name).strip() or None if one is not None and one.HasProp(name) else None


def _numbers(cells: list[str | None]) -> list[Any]:
    """Numbers if all cells are, else the strings."""
    try:
        return [None if cell is None else float(cell) for cell in cells]
    except ValueError:
        return cells
