"""Compressed embeddings keep their neighbours, as near as their form allows, and read back from a file."""

import numpy as np
import pyarrow as pa
import pytest

from kontrast.core.embedding_table import EmbeddingTable
from kontrast.core.errors import UserError
from kontrast.exports.compressed import Compressed, compress, losses
from tests.support.cosines import least_cosine

pytestmark = pytest.mark.quick


def bank_of(n=300, width=32, missing=(3, 7)):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n, width)) * np.linspace(2, 0.1, width)
    z = (z / np.linalg.norm(z, axis=1, keepdims=True)).astype(np.float32)
    other = z[:, ::-1].copy()
    other[list(missing)] = np.nan
    ids, labels = np.array([f"r{i}" for i in range(n)]), np.array(["a", "b"] * (n // 2))
    return EmbeddingTable({"one": z, "the other": other}, ids, labels, pa.table({"year": np.arange(n)}), shared=True)


@pytest.mark.parametrize(
    ("form", "width", "least", "size"),
    [("float32", None, 1, 128), ("float16", None, 0.999999, 64), ("int8", None, 0.9995, 32), ("binary", None, 0.5, 4)],
)
def test_codes_come_back_from_a_file_as_near_as_their_form_allows(tmp_path, form, width, least, size):
    bank = bank_of()
    small = compress(bank, form, width)
    small.save(tmp_path / "small.parquet")
    again = Compressed.load(tmp_path / "small.parquet")
    for name, z in again.bank().z.items():
        there = bank.has(name)
        np.testing.assert_array_equal(again.has[name], there)
        assert np.isnan(z[~there]).all()
        assert least_cosine(z[there], bank.z[name][there]) >= least - 1e-6
        assert again.codes[name][0].nbytes == size
    assert (again.ids == bank.ids).all()
    assert (again.labels == bank.labels).all()
    assert again.metadata.equals(bank.metadata)
    assert again.shared


def test_int8_has_a_centre_and_a_scale_a_dimension():
    bank = bank_of()
    small = compress(bank, "int8")
    there = bank.has("the other")
    z, code = bank.z["the other"][there], small.codes["the other"][there].astype(float)
    scale, centre = small.scales["the other"], small.centres["the other"]
    np.testing.assert_allclose(scale, np.ptp(z, axis=0) / 254, rtol=1e-5)
    assert np.abs(code * scale + centre - z).max() <= scale.max() / 2 + 1e-6
    assert np.abs(code).max(0).tolist() == [127] * 32


def test_binary_ranks_by_hamming_distance():
    bank = bank_of()
    small = compress(bank, "binary", 20)
    asked, rows = small.similarities("one", bank.z["one"][:5])
    bits = np.unpackbits(small.codes["one"], axis=1)[:, :20]
    kept = compress(bank, "float32", 20).codes["one"]
    np.testing.assert_array_equal(bits, kept > kept.mean(0))
    hamming = (bits[:5, None] != bits[None]).sum(2)
    np.testing.assert_array_equal(asked @ rows.T, 20 - 2 * hamming)


def test_embeddings_in_a_narrow_cone_keep_their_neighbours():
    z = bank_of(missing=()).z["one"] * 0.1 + 1  # cosines from .98 up
    bank = EmbeddingTable({"z": z / np.linalg.norm(z, axis=1, keepdims=True)}, np.arange(len(z)).astype(str))
    int8, binary = losses(bank, [("int8", None), ("binary", None)])
    assert int8["recall@10"] > 0.95
    assert binary["recall@10"] > 0.25


def test_the_first_dimensions_are_of_length_one_again():
    bank = bank_of()
    z = compress(bank, "float32", 8).bank().z["one"]
    kept = bank.z["one"][:, :8]
    np.testing.assert_allclose(z, kept / np.linalg.norm(kept, axis=1, keepdims=True), atol=1e-6)


def test_the_table_of_losses_is_a_slow_count():
    bank = bank_of()
    table = losses(bank, [("float32", None), ("float16", None), ("int8", None), ("float32", 8), ("binary", None)])
    one = {(r["form"], r["width"]): r for r in table if r["field"] == "one"}
    assert one["float32", 32]["recall@10"] == 1
    assert one["float32", 32]["smaller"] == 1
    assert one["int8", 32]["smaller"] == 4
    assert one["binary", 32]["smaller"] == 32
    assert (
        one["float16", 32]["recall@10"] > 0.99 > one["float32", 8]["recall@10"] > one["binary", 32]["recall@10"] > 0.1
    )
    z, cut = bank.z["one"].astype(float), compress(bank, "float32", 8).bank().z["one"].astype(float)
    shares = []
    for i in range(len(z)):
        true, found = z @ z[i], cut @ cut[i]
        true[i] = found[i] = -np.inf
        shares.append(len({*np.argsort(-true)[:10]} & {*np.argsort(-found)[:10]}) / 10)
    assert one["float32", 8]["recall@10"] == pytest.approx(np.mean(shares), abs=1e-9)


def test_compression_says_what_it_cannot_do(tmp_path):
    with pytest.raises(UserError, match="form='int4'; expected one of float32, float16, int8, binary"):
        compress(bank_of(), "int4")
    with pytest.raises(UserError, match="width=33; expected 1 to 32"):
        compress(bank_of(), "int8", 33)
    with pytest.raises(UserError, match="has 8 rows; recall@10 needs more"):
        losses(bank_of(8), [("int8", None)])
    bank_of().save(tmp_path / "bank.parquet")
    with pytest.raises(UserError, match="no compressed embeddings"):
        Compressed.load(tmp_path / "bank.parquet")
