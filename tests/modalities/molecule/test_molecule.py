"""Molecules: atoms and bonds of a SMILES, fingerprints, what is recognised and refused."""

from pathlib import Path

import numpy as np
import pytest

from kontrast.core.errors import Unreadable
from kontrast.data.schema.fields import infer
from kontrast.data.sources.open_source import open_frame

pytest.importorskip("rdkit")

from kontrast.modalities.molecule.molecule import Molecule

HERE = Path()


def test_atoms_and_bonds_of_aspirin():
    found = Molecule().read("CC(=O)Oc1ccccc1C(=O)O", HERE)
    assert len(found.graph) == 13
    assert len(found.graph.edges_E2) == 13
    assert sorted(found.graph.labels) == ["C"] * 9 + ["O"] * 4
    assert sorted(set(found.graph.tie_labels)) == ["AROMATIC", "DOUBLE", "SINGLE"]
    assert found.bits.shape == (256,)


def test_mirror_images_differ():
    one, other = (Molecule().read(s, HERE).graph for s in ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"))
    assert not np.array_equal(one.x_NF, other.x_NF)


@pytest.mark.parametrize("cell", ["", "C(C", "hello world", "C" * 20_000, 7])
def test_what_is_no_molecule_is_quarantined_and_never_an_empty_graph(cell, capfd):
    with pytest.raises(Unreadable):
        Molecule().read(cell, HERE)
    assert capfd.readouterr() == ("", "")  # RDKit says nothing on the terminal


def test_smiles_are_recognised_by_name_or_content_and_words_are_not():
    smiles = Molecule.examples(20)
    words = [f"word{'s' * (k % 3)}" for k in range(20)]
    codes = [f"A{k}" for k in range(20)]
    fields = infer(open_frame({"smiles": smiles, "x": smiles, "w": words, "c": codes}, cache=None), {}, None)
    assert (fields["smiles"].kind, fields["x"].kind) == ("molecule", "molecule")
    assert "molecule" not in (fields["w"].kind, fields["c"].kind)
