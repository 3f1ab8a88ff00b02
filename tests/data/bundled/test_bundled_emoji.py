"""The bundled emoji file: its size, its columns, and that every drawing is there and decodes."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import kontrast

pytestmark = pytest.mark.quick

EMOJI = Path(kontrast.__file__).parent / "data" / "bundled" / "emoji.parquet"


@pytest.fixture(scope="module")
def emoji() -> pa.Table:
    return pq.read_table(EMOJI)


def test_the_file_is_small_and_says_where_it_comes_from(emoji: pa.Table) -> None:
    assert EMOJI.stat().st_size <= 8_000_000
    told = " ".join(value.decode() for value in emoji.schema.metadata.values())
    for source in ("Noto Emoji", "Twemoji", "emojibase-data", "Apache-2.0", "CC BY 4.0", "MIT", "Unicode CLDR"):
        assert source in told


def test_columns_and_types(emoji: pa.Table) -> None:
    texts = pa.list_(pa.string())
    types = {field.name: field.type for field in emoji.schema if field.name != "names"}
    pictures = {"google": pa.binary(), "twitter": pa.binary()}
    labels = {"id": pa.string(), "group": pa.string(), "subgroup": pa.string()}
    assert types == labels | pictures | {"text": texts, "tags": texts}
    assert all(emoji[name].null_count == 0 for name in emoji.column_names)


def test_about_1900_rows_in_order_of_their_unique_ids(emoji: pa.Table) -> None:
    ids = emoji["id"].to_pylist()
    assert 1_880 <= len(ids) <= 2_000
    assert ids == sorted(set(ids))
    assert {"1F600", "2764-FE0F", "0023-FE0F-20E3", "1F1E9-1F1EA"} <= set(ids)
    assert not any(
        tone in hexcode.split("-") for hexcode in ids for tone in ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")
    )


def test_every_drawing_decodes_to_64_by_64_and_the_two_differ(emoji: pa.Table) -> None:
    for hexcode, *pngs in zip(*(emoji[name].to_pylist() for name in ("id", "google", "twitter")), strict=True):
        pictures = [Image.open(io.BytesIO(png)) for png in pngs]
        assert {(picture.format, picture.size) for picture in pictures} == {("PNG", (64, 64))}, hexcode
        google, twitter = (picture.convert("RGBA") for picture in pictures)
        assert google.getbbox(), hexcode
        assert twitter.getbbox(), hexcode
        assert google.tobytes() != twitter.tobytes(), hexcode


def test_captions_start_with_the_unique_english_name(emoji: pa.Table) -> None:
    captions, tags = emoji["text"].to_pylist(), emoji["tags"].to_pylist()
    names = emoji["names"].combine_chunks().field("en").to_pylist()
    assert [texts[0] for texts in captions] == names
    assert len(set(names)) == len(names)
    assert all(
        texts[1] == f"{texts[0]}: {', '.join(words)}" and words for texts, words in zip(captions, tags, strict=True)
    )
    assert all(len({text.lower() for text in texts}) == len(texts) for texts in captions)


def test_every_language_names_every_emoji(emoji: pa.Table) -> None:
    names = emoji["names"].combine_chunks()
    languages = [field.name for field in names.type]
    assert len(languages) >= 20
    assert {"en", "de", "ja", "zh", "fr", "es"} <= set(languages)
    for language in languages:
        assert all(name and name.strip() and "\\" not in name for name in names.field(language).to_pylist()), language
    cat = emoji["id"].to_pylist().index("1F408")
    assert [names.field(language)[cat].as_py() for language in ("en", "de", "ja")] == ["cat", "Katze", "ネコ"]


def test_groups_and_subgroups(emoji: pa.Table) -> None:
    assert len(emoji["group"].unique()) == 9
    assert 90 <= len(emoji["subgroup"].unique()) <= 110
    assert all(emoji["group"].to_pylist())
    assert all(emoji["subgroup"].to_pylist())
