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


def test_an_sdf_file_is_a_row_per_molecule_with_its_properties(tmp_path):
    from rdkit import Chem

    with Chem.SDWriter(str(tmp_path / "drugs.sdf")) as written:
        for k, smiles in enumerate(Molecule.examples(6)):
            molecule = Chem.MolFromSmiles(smiles)
            molecule.SetProp("activity", str(0.5 * k))
            molecule.SetProp("name", f"drug {k}")
            written.write(molecule)
    text = (tmp_path / "drugs.sdf").read_text()
    broken = text.replace("M  END", "M  END\nX", 1).replace("V2000", "V9000", 1)
    (tmp_path / "drugs.sdf").write_text(broken)
    frame = open_frame(tmp_path / "drugs.sdf", cache=None)
    assert len(frame) == 6
    assert frame.columns["activity"].to_pylist()[1:] == [0.5, 1.0, 1.5, 2.0, 2.5]
    assert frame.columns["smiles"][0].as_py() == "record 0 of the file"
    with pytest.raises(Unreadable):
        Molecule().read("record 0 of the file", HERE)
    assert len(Molecule().read(frame.columns["smiles"][3].as_py(), HERE).graph) > 6
