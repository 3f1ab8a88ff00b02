"""Molecules: SMILES as graphs of atoms and bonds.

Axis letters: B rows.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from kontrast.core.errors import Unreadable
from kontrast.core.factory import Range
from kontrast.data.augmentation import AugmentationChoice
from kontrast.data.modality import Modality
from kontrast.data.remark import Remark, Rows
from kontrast.data.schema.column import Claim, Column
from kontrast.data.view import Role
from kontrast.modalities.graph.graph import Graph
from kontrast.modalities.graph.graphs import Graphs
from kontrast.modalities.graph.raw_graph import RawGraph
from kontrast.modalities.molecule import smiles
from kontrast.modalities.molecule.recognise import recognise

_PRINTED = "smiles"  # the name of the packed text


class Formula(NamedTuple):
    """A molecule that was read."""

    smiles: str
    graph: RawGraph
    bits: np.ndarray


class Molecule(Modality):
    """Molecules as graphs: atoms by element, charge, hydrogens, ring and chirality; bonds by kind.

    A cell is a SMILES. Needs the extra `graph` (RDKit). The raw features are Morgan fingerprints of radius 2.

    Args:
        change: What a view changes. "one": one of the changes of `graph`, drawn per row and view (GraphCL); "all" of
            them; or the one that is named.
        share: Share of the atoms, bonds or features that a change takes away.
        augmentation: A change that follows those above.

    Roles of views:
        As those of `graph`.

    Reference:
        You et al., "Graph Contrastive Learning with Augmentations", NeurIPS 2020, arXiv:2010.13902; Rogers, Hahn,
        "Extended-Connectivity Fingerprints", 2010.
    """

    encoder = "gin"
    axes = "BNF"
    precedence = 16
    typed: ClassVar[bool] = True

    def __init__(
        self,
        *,
        change: Literal["one", "all", "nodes", "edges", "features", "subgraph"] = "one",
        share: Annotated[float, Range(0, 0.9)] = 0.2,
        augmentation: AugmentationChoice | None = None,
    ) -> None:
        self.graph = Graph(change=change, share=share, augmentation=augmentation)

    @classmethod
    def recognise(cls, column: Column) -> Claim | None:
        """Strings that RDKit reads."""
        return recognise(column)

    def read(self, cell: Any, folder: Path) -> Formula:
        """Reads a SMILES.

        Raises:
            Unreadable: no string, or no molecule.
        """
        if not isinstance(cell, str):
            raise Unreadable(f"is {type(cell).__name__}; expected a SMILES such as 'CCO'")
        found = smiles.molecule(cell)
        return Formula(cell.strip(), smiles.graph(found), smiles.fingerprint(found))

    def fit(self, items: Sequence[Formula]) -> None:
        """Learns the elements, the kinds of bonds and the scales of numbers."""
        self.graph.fit([item.graph for item in items])

    def pack(self, item: Formula) -> dict[str, np.ndarray]:
        """The graph, the fingerprint and the SMILES."""
        text = np.frombuffer(item.smiles.encode(), np.uint8)
        return {**self.graph.pack(item.graph), "bits": item.bits, _PRINTED: text}

    def collate(self, packed: Sequence[Any]) -> Graphs:
        """Graphs side by side, with fingerprints."""
        found = self.graph.collate(packed)
        bits = np.unpackbits(np.stack([row["bits"] for row in packed]), axis=1).astype(np.float32)
        return found.with_rows(torch.from_numpy(bits))

    def preprocess(self, batch: Graphs) -> Graphs:
        """One-hot elements and kinds of bonds, and numbers."""
        return self.graph.preprocess(batch)

    def augment(
        self,
        batch: Graphs,
        key_B: Tensor,
        row_B: Tensor | None = None,
        role: Role = "global",
        step_B: Tensor | None = None,
    ) -> Graphs:
        """Views with fewer atoms, bonds or features, by role."""
        return self.graph.augment(batch, key_B, row_B, role, step_B)

    def augments(self, role: Role) -> bool:
        """Whether any change is on."""
        return self.graph.augments(role)

    def raw(self, batch: Graphs) -> Tensor:
        """Morgan fingerprints: (B, 2048)."""
        return batch.rows_BR

    def is_flat(self, packed: Mapping[str, np.ndarray]) -> bool:
        """Whether a molecule is a single atom."""
        return self.graph.is_flat(packed)

    def dimensions(self, lengths: np.ndarray) -> str:
        """Atoms per molecule."""
        return self.graph.dimensions(lengths).replace("nodes", "atoms").replace("labels", "elements")

    def remarks(self, rows: Rows) -> list[Remark]:
        """Molecules in several parts (salts), whose smaller part is most often no part of the drug."""
        parts = [k for k, row in enumerate(rows.packed) if b"." in row[_PRINTED].tobytes()]
        if not parts:
            return []
        words = (
            f"{rows.field}: {len(parts)} of {len(rows.packed)} molecules have several parts, such as salts; strip the "
            "smaller ones if they mean nothing."
        )
        return [Remark("molecules in parts", "note", words, {"rows": len(parts)}, parts)]

    @classmethod
    def examples(cls, n: int) -> list[Any]:
        """Chains and rings with an alcohol, an amine or an acid."""
        ends = ("O", "N", "C(=O)O")
        return [("C" * (1 + k // 6) + ("c1ccccc1" if k % 2 else "C1CCCC1")) + ends[k % 3] for k in range(n)]

    def show(self, packed: Mapping[str, np.ndarray]) -> str:
        """Draws the formula as SVG."""
        return smiles.drawn(packed[_PRINTED].tobytes().decode())

    def look(self, view: Graphs) -> str:
        """Draws the first graph of a view as SVG."""
        return self.graph.look(view)

    def facts(self) -> Mapping[str, Any]:
        """Features per atom and per bond."""
        return self.graph.facts()

    def state(self) -> dict[str, Any]:
        """Elements, kinds of bonds and scales."""
        return self.graph.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restores what `state` returned."""
        self.graph.restore(state)
