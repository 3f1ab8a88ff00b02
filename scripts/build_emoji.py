"""Builds the bundled emoji data set (two vendors' drawings, captions, names in many languages) from npm packages."""

import io
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

OUTPUT = Path(__file__).resolve().parents[1] / "kontrast" / "data" / "bundled" / "emoji.parquet"
LARGEST = 8_000_000
SIDE = 64

# Pinned exactly: the same packages, Pillow and pyarrow give the same bytes. emoji.json is the same in both datasources.
GOOGLE, TWITTER, NAMES = "emoji-datasource-google", "emoji-datasource-twitter", "emojibase-data"
PACKAGES = {GOOGLE: "16.0.0", TWITTER: "16.0.0", NAMES: "17.0.0"}
WANTED = re.compile(r"package/(emoji\.json|img/(google|twitter)/64/.+\.png|[a-z-]+/data\.json)")

# A drawing gets the smallest of these palettes whose error, over black as over white, is within the decibels: about
# 1.6 of 255 levels, which the eye does not see. The few drawings that 256 colours cannot bring there stay as they are.
PALETTES = (16, 32, 48, 64, 96, 128, 160, 192, 224, 256)
DECIBELS = 44.0

METADATA = {
    "title": "Emoji as two vendors draw them, with English captions and their names in many languages",
    "google": f"Noto Emoji v2.048, Google, Apache-2.0, from npm {GOOGLE} {PACKAGES[GOOGLE]}",
    "twitter": f"Twemoji v16.0.1, Twitter, Inc and others, CC BY 4.0, from npm {TWITTER} {PACKAGES[TWITTER]}",
    "names, tags": f"Miles Johnson, MIT, from npm {NAMES} {PACKAGES[NAMES]}; Unicode CLDR, Unicode-3.0",
    "id, group, subgroup": f"Cal Henderson, MIT, from npm {GOOGLE} {PACKAGES[GOOGLE]}",
    "changes": "most pictures re-encoded with a reduced palette; no skin tones; captions joined from names and tags",
}

Array = np.ndarray


def fetch(package: str, folder: Path) -> dict[str, bytes]:
    """Downloads the pinned npm package; returns its wanted files by path."""
    pinned = f"{package}@{PACKAGES[package]}"
    command = ["npm", "pack", pinned, "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    tarball = folder / f"{package}-{PACKAGES[package]}.tgz"
    if done.returncode or not tarball.exists():
        found = done.stderr.strip() or "nothing"
        raise SystemExit(f"build_emoji: npm pack {pinned} gave {found}, expected {tarball.name}: can npm reach it?")
    files = {}
    with tarfile.open(tarball) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content and WANTED.fullmatch(member.name):
                files[member.name] = content.read()
    return files


def same_emoji(hexcode: str) -> str:
    """Drops the variation selector, which the two sources write in different places."""
    return hexcode.replace("-FE0F", "")


def by_emoji(data: bytes) -> dict[str, dict]:
    """Reads the entries of one language, by emoji."""
    return {same_emoji(entry["hexcode"]): entry for entry in json.loads(data)}


def clean(name: str) -> str:
    """Decodes escapes: Danish and Swedish have a literal backslash-x{23} instead of a #."""
    return re.sub(r"\\x\{([0-9A-Fa-f]+)\}", lambda found: chr(int(found[1], 16)), name)


def captions(name: str, tags: list[str], entry: dict) -> list[str]:
    """Lists the name, the name with its tags, the Unicode name and the chat names, without repeats."""
    chat = [re.sub("[-_]", " ", short) for short in entry["short_names"] if len(short) > 2]
    unique: dict[str, str] = {}
    for caption in [name, f"{name}: {', '.join(tags)}", entry["name"].lower(), *chat]:
        unique.setdefault(caption.lower(), caption)
    return list(unique.values())


def premultiplied(pixels: Array) -> Array:
    """Multiplies colours by opacity, so that invisible colours do not count as distant."""
    alpha = pixels[:, 3:]
    return np.concatenate([(pixels[:, :3] * alpha + 127) // 255, alpha], axis=1)


def nearest(colours: Array, palette: Array) -> Array:
    """Index of the nearest palette colour, per colour."""
    # In whole numbers, so that every machine picks the same; the colour's own square makes no difference to the choice.
    return ((palette**2).sum(axis=1) - 2 * colours @ palette.T).argmin(axis=1)


def fit_palette(colours: Array, counts: Array, size: int, rounds: int = 12) -> Array:
    """Palette of at most `size` colours by k-means, which adds the worst represented colours in each round."""
    if len(colours) <= size:
        return colours
    palette = colours[np.argsort(-counts, kind="stable")[: size // 4]]
    for step in range(rounds):
        label = nearest(colours, palette)
        weight = np.bincount(label, counts, len(palette))
        total = np.stack([np.bincount(label, counts * column, len(palette)) for column in colours.T], axis=1)
        palette = np.unique(np.rint(total[weight > 0] / weight[weight > 0, None]).astype(int), axis=0)
        if step < rounds - 2:  # the last two rounds add none
            error = counts * ((colours - palette[nearest(colours, palette)]) ** 2).sum(axis=1)
            room = min(size - len(palette), size // 8)
            palette = np.unique(np.concatenate([palette, colours[np.argsort(-error, kind="stable")[:room]]]), axis=0)
    return palette


def decibels(colours: Array, counts: Array, shown: Array) -> float:
    """Peak signal-to-noise ratio over black or white, whichever is worse."""
    change = colours - shown
    errors = [change[:, :3] - background * change[:, 3:] for background in (0, 1)]
    worst = max(float((error**2).mean(axis=1) @ counts) / counts.sum() for error in errors)
    return float(10 * np.log10(255**2 / max(worst, 1e-9)))


def small_png(png: bytes, name: str) -> bytes:
    """Encodes a drawing as a palette PNG with transparency, in about half the bytes."""
    picture = Image.open(io.BytesIO(png)).convert("RGBA")
    if picture.size != (SIDE, SIDE):
        raise SystemExit(f"build_emoji: {name} is {picture.size}, expected {SIDE} by {SIDE}: did the package change?")
    pixels = premultiplied(np.asarray(picture, dtype=int).reshape(-1, 4))
    colours, index, counts = np.unique(pixels, axis=0, return_inverse=True, return_counts=True)
    palette = colours
    for size in PALETTES:
        palette = fit_palette(colours, counts, size)
        if decibels(colours, counts, palette[nearest(colours, palette)]) >= DECIBELS:
            break
    else:
        return png
    # Opaque colours last: PNG then stores an opacity only for those before them.
    palette = palette[np.lexsort((palette.sum(axis=1), palette[:, 3] == 255))]
    alpha = palette[:, 3:]
    rgb = np.rint(palette[:, :3] * 255 / np.maximum(alpha, 1)).clip(0, 255)
    rgb = np.where(alpha == 0, 255, rgb)  # a reader who drops the transparency sees white around the drawing
    small = Image.frombytes("P", (SIDE, SIDE), nearest(colours, palette)[index.reshape(-1)].astype("u1").tobytes())
    small.putpalette(rgb.astype("u1").tobytes())
    opacities = bytes(alpha[alpha < 255].astype("u1"))
    buffer = io.BytesIO()
    if opacities:
        small.save(buffer, "PNG", optimize=True, transparency=opacities)
    else:
        small.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def build_rows(google: dict[str, bytes], twitter: dict[str, bytes], names: dict[str, bytes]) -> list[dict]:
    """One row per emoji that both vendors draw and every language names, without skin tone swatches."""
    languages = dict(sorted((path.split("/")[1], by_emoji(data)) for path, data in names.items()))
    rows = []
    for entry in sorted(json.loads(google["package/emoji.json"]), key=lambda entry: entry["unified"]):
        key, image = same_emoji(entry["unified"]), entry["image"]
        drawings = (google.get(f"package/img/google/64/{image}"), twitter.get(f"package/img/twitter/64/{image}"))
        labels = {language: clean(emoji[key]["label"]) for language, emoji in languages.items() if key in emoji}
        if entry["category"] == "Component" or None in drawings or len(labels) < len(languages):
            print(f"left out: {entry['unified']} {entry['name']}")
            continue
        tags = languages["en"][key]["tags"]
        row = {
            "id": entry["unified"],
            "google": small_png(drawings[0], f"google's {image}"),
            "twitter": small_png(drawings[1], f"twitter's {image}"),
            "text": captions(labels["en"], tags, entry),
            "names": labels,
            "tags": tags,
            "group": entry["category"],
            "subgroup": entry["subcategory"],
        }
        rows.append(row)
    return rows


def write(rows: list[dict]) -> None:
    """Writes the rows as Parquet, with their licences as metadata."""
    languages = pa.struct([pa.field(language, pa.string()) for language in rows[0]["names"]])
    schema = pa.schema(
        {
            "id": pa.string(),
            "google": pa.binary(),
            "twitter": pa.binary(),
            "text": pa.list_(pa.string()),
            "names": languages,
            "tags": pa.list_(pa.string()),
            "group": pa.string(),
            "subgroup": pa.string(),
        },
        metadata=METADATA,
    )
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, schema=schema)
    # Statistics would store whole pictures in the footer, and a dictionary of pictures saves nothing.
    pq.write_table(
        table,
        OUTPUT,
        compression="zstd",
        compression_level=19,
        use_dictionary=["group", "subgroup"],
        write_statistics=["id"],
    )


def main() -> None:
    """Fetches the packages, builds the rows and writes the file."""
    if shutil.which("npm") is None:
        raise SystemExit("build_emoji: found no npm, expected it on the PATH to fetch the packages: install Node.js.")
    with tempfile.TemporaryDirectory() as folder:
        google, twitter, names = (fetch(package, Path(folder)) for package in (GOOGLE, TWITTER, NAMES))
    rows = build_rows(google, twitter, {path: data for path, data in names.items() if path.endswith("/data.json")})
    write(rows)
    size = OUTPUT.stat().st_size
    print(f"{OUTPUT}: {len(rows)} rows, {len(rows[0]['names'])} languages, {size / 1e6:.2f} MB")
    if size > LARGEST:
        raise SystemExit(f"build_emoji: the file is {size} bytes, expected at most {LARGEST}: lower DECIBELS.")


if __name__ == "__main__":
    main()
