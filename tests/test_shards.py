"""Tar shards and Parquet files of encoded images: made by code, loaded, refused, damaged."""

import io
import json
import sys
import tarfile
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from convlet import DataError, MissingDependencyError, datasets
from convlet.datasets.encoded.shards import missing_from
from convlet.datasets.loading import load_tested

RNG = np.random.default_rng(5)
COUNT = 24
MADE = RNG.integers(0, 256, (COUNT, 6, 5, 3), np.uint8)
LABELS = np.arange(COUNT) % 3
PARTS = {"train": slice(0, 12), "test": slice(12, 18), "validation": slice(18, 24)}
WHOLE = slice(0, COUNT)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CONVLET_CACHE", str(tmp_path_factory.mktemp("cache")))


def png(n: int, kind="PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(MADE[n]).save(stream, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return stream.getvalue()


def tar(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def samples(chosen=WHOLE, label=str, suffix="png", folder="", json_key="") -> dict[str, bytes]:
    found = {}
    for n in range(COUNT)[chosen]:
        key = f"{folder}{n:04}"
        if json_key:
            found[f"{key}.json"] = json.dumps({json_key: label(LABELS[n]), "other": [1]}).encode()
        else:
            found[f"{key}.cls"] = f"{label(LABELS[n])}\n".encode()
        found[f"{key}.{suffix}"] = png(n, {"png": "PNG", "webp": "WEBP"}[suffix])
    return found


def test_what_systems_leave_in_an_archive_is_no_data(tmp_path):
    whole = samples()
    junk = {"./__MACOSX/x/0001.png": b"", "._0001.png": b"", "./.DS_Store": b"", "a/Thumbs.db": b""}
    junk |= {"@eaDir/0001.png": b"", "0001.png~": b""}
    path = tar(tmp_path / "d.tar", {**junk, **{f"./{name}": data for name, data in whole.items()}})
    assert len(datasets.load(path).train) + len(datasets.load(path).test) == COUNT


def table(chosen=WHOLE, column="image", label="label", struct=True, labels=LABELS, names=None):
    numbers = range(COUNT)[chosen]
    images = [{"bytes": png(n), "path": None} if struct else png(n) for n in numbers]
    columns = {"id": [f"id {n}" for n in numbers], column: images, label: labels[chosen].tolist()}
    made = pyarrow.table(columns)
    if names is not None:
        features = {
            column: {"_type": "Image"},
            label: {"names": list(names), "_type": "ClassLabel"},
            "id": {"dtype": "string", "_type": "Value"},
        }
        about = json.dumps({"info": {"features": features}})
        made = made.replace_schema_metadata({"huggingface": about})
    return made


def write(path: Path, made, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(made, path, **options)
    return path


def number(k):
    return int(k)


# name: the files, the parts that there are, the classes
TARS = {
    "train and test": (
        lambda d: [tar(d / f"{p}-0000.tar", samples(PARTS[p])) for p in ("train", "test")],
        ("train", "test"),
        ("0", "1", "2"),
    ),
    "several of a part, in data": (
        lambda d: [
            tar(d / "data" / "train-0000.tar", samples(slice(0, 5))),
            tar(d / "data" / "train-0001.tar", samples(slice(5, 12))),
            tar(d / "data" / "val-0000.tar", samples(PARTS["validation"])),
            tar(d / "data" / "test-0000.tar", samples(PARTS["test"])),
        ],
        ("train", "test", "validation"),
        ("0", "1", "2"),
    ),
    "a folder around parts": (
        lambda d: [tar(d / "v1" / p / "0.tar", samples(PARTS[p])) for p in PARTS],
        tuple(PARTS),
        ("0", "1", "2"),
    ),
    "folders of parts": (
        lambda d: [tar(d / p / "0.tar", samples(PARTS[p], folder="./x/")) for p in PARTS],
        tuple(PARTS),
        ("0", "1", "2"),
    ),
    "JSON": (
        lambda d: [
            tar(d / f"{p}.tar", samples(PARTS[p], number, "webp", json_key="label")) for p in PARTS
        ],
        tuple(PARTS),
        ("0", "1", "2"),
    ),
    "names": (
        lambda d: [
            tar(d / f"{p}.tar", samples(PARTS[p], lambda k: ["ant", "bee", "cat"][k]))
            for p in PARTS
        ],
        tuple(PARTS),
        ("ant", "bee", "cat"),
    ),
    "from 1": (
        lambda d: [tar(d / f"{p}.tar", samples(PARTS[p], lambda k: k + 1)) for p in PARTS],
        tuple(PARTS),
        ("1", "2", "3"),
    ),
    "one": (lambda d: tar(d / "all.tar", samples()), (), ("0", "1", "2")),
    "with other members": (
        lambda d: tar(d / "all.tar", samples() | {"._0000.png": b"", "README": b"", "a.txt": b""}),
        (),
        ("0", "1", "2"),
    ),
}
STRUCT = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
THINGS = ("ant", "bee", "cat", "dog")
TABLES = {
    "Hugging Face": (
        lambda d: [
            write(d / f"data/{p}-00000-of-00001.parquet", table(PARTS[p], names=THINGS))
            for p in PARTS
        ],
        tuple(PARTS),
        THINGS,
    ),
    "several of a part": (
        lambda d: [
            write(d / "train-00000-of-00002-ab12.parquet", table(slice(0, 5))),
            write(d / "train-00001-of-00002-cd34.parquet", table(slice(5, 12))),
            write(d / "test-00000-of-00001.parquet", table(PARTS["test"])),
        ],
        ("train", "test"),
        ("0", "1", "2"),
    ),
    "converted by the hub": (
        lambda d: [write(d / "default" / p / "0000.parquet", table(PARTS[p])) for p in PARTS],
        tuple(PARTS),
        ("0", "1", "2"),
    ),
    "CIFAR's names": (
        lambda d: [
            write(d / f"{p}.parquet", table(PARTS[p], "img", "fine_label", names=THINGS))
            for p in PARTS
        ],
        tuple(PARTS),
        THINGS,
    ),
    "a class label of another name": (
        lambda d: write(d / "a.parquet", table(label="breed", names=THINGS)),
        (),
        THINGS,
    ),
    "plain bytes and names": (
        lambda d: write(
            d / "a.parquet", table(struct=False, labels=np.array(["ant", "bee", "cat"])[LABELS])
        ),
        (),
        ("ant", "bee", "cat"),
    ),
    "small row groups": (
        lambda d: write(d / "a.parquet", table(), row_group_size=5, compression="zstd"),
        (),
        ("0", "1", "2"),
    ),
    "a configuration": (
        lambda d: [
            write(d / "plain_text" / p / "0000.parquet", table(PARTS[p], names=THINGS))
            for p in PARTS
        ],
        tuple(PARTS),
        THINGS,
    ),
    "a configuration with its parts in names": (
        lambda d: [write(d / "en" / f"{p}-00000-of-00001.parquet", table(PARTS[p])) for p in PARTS],
        tuple(PARTS),
        ("0", "1", "2"),
    ),
    "a dictionary of names": (
        lambda d: write(
            d / "a.parquet",
            table(labels=np.array(["ant", "bee", "cat"])[LABELS]).set_column(
                2,
                "label",
                pyarrow.array(np.array(["ant", "bee", "cat"])[LABELS]).dictionary_encode(),
            ),
        ),
        (),
        ("ant", "bee", "cat"),
    ),
}


def rows(split) -> list[bytes]:
    return sorted(x.tobytes() + bytes([y]) for x, y in zip(split.images, split.labels, strict=True))


@pytest.mark.parametrize(
    ("layouts", "name"),
    [
        *(pytest.param(TARS, n, id=n) for n in TARS),
        *(pytest.param(TABLES, n, id=n) for n in TABLES),
    ],
)
def test_every_layout_is_loaded(tmp_path, layouts, name):
    layout, parts, classes = layouts[name]
    written = layout(tmp_path)
    data = datasets.load(tmp_path if isinstance(written, list) else written)
    assert data.classes == classes
    assert data.preparation is not None
    for part in parts:
        split, chosen = getattr(data, part), PARTS[part]
        np.testing.assert_array_equal(split.images, MADE[chosen])
        assert split.labels.tolist() == LABELS[chosen].tolist()
    if not parts:
        whole = rows(datasets.Split(MADE, LABELS))
        assert sorted(rows(data.train) + rows(data.test)) == whole
        assert np.bincount(data.test.labels).tolist() == [2, 2, 2]
    assert (data.validation is None) == ("validation" not in parts)


def test_images_of_shards_are_prepared_and_divided_as_those_of_folders(tmp_path):
    path = tar(tmp_path / "a.tar", samples())
    data = datasets.load(path, size=4, colour="grey", test_share=0.5, seed=3)
    assert data.train.images.shape == (12, 4, 4, 1)
    assert any("resized from 6x5 to 4x4" in line for line in data.said)
    groups = datasets.load(path, group_by="00[0-2]")
    assert len(groups.train) + len(groups.test) == COUNT


@pytest.mark.parametrize(
    ("image", "label"),
    [("{}.v1.png", "{}.v1.cls"), ("{}.v1.png", "{}.v1.json"), ("{}.rgb.png", "{}.cls")],
)
def test_the_key_of_an_image_is_its_name_up_to_the_last_dot_or_the_first(tmp_path, image, label):
    members = {}
    for n, k in enumerate(LABELS.tolist()):
        members[image.format(n)] = png(n)
        members[label.format(n)] = b'{"label": %d}' % k if "json" in label else b"%d" % k
    data = load_tested(tar(tmp_path / "d.tar", members))
    np.testing.assert_array_equal(data.test.images, MADE)
    assert data.test.labels.tolist() == LABELS.tolist()
    assert not any("left out" in line for line in data.said)


def test_what_is_left_out_of_a_shard_is_said(tmp_path):
    others = {"0001.mask.png": png(5), "0001.txt": b"", "0002.json": b"{}", "x.cls": b"1"}
    data = load_tested(tar(tmp_path / "d.tar", samples() | others))
    np.testing.assert_array_equal(data.test.images, MADE)
    assert "4 other files in .tar left out, as 0001.txt" in data.said


@pytest.mark.parametrize("validation", [True, False])
@pytest.mark.parametrize("names", [THINGS, None])
@pytest.mark.parametrize("how", ["-1", "null"])
def test_a_test_part_without_labels_is_left_out_and_said(how, names, validation, tmp_path):
    for part in ("train", *["validation"] * validation):
        write(tmp_path / f"{part}-00000-of-00001.parquet", table(PARTS[part], names=names))
    test = table(PARTS["test"], labels=0 * LABELS - 1, names=names)
    if how == "null":
        labels_of_it = pyarrow.array([None] * len(test), pyarrow.int64())
        test = test.set_column(2, "label", [labels_of_it]).replace_schema_metadata(
            test.schema.metadata
        )
    write(tmp_path / "test-00000-of-00001.parquet", test)
    data = datasets.load(tmp_path)
    assert "test left out: no label in it, all are -1" in data.said
    if validation:
        np.testing.assert_array_equal(data.train.images, MADE[PARTS["train"]])
        np.testing.assert_array_equal(data.test.images, MADE[PARTS["validation"]])
    else:
        assert len(data.train) + len(data.test) == 12


def test_the_choice_between_columns_is_said(tmp_path):
    made = table(label="fine_label").append_column("coarse_label", pyarrow.array([0] * COUNT))
    mask = made.column("image")
    write(tmp_path / "a.parquet", made.append_column("mask", mask))
    said = datasets.load(tmp_path / "a.parquet").said
    assert "images are those of the column image, not of mask" in said
    assert "labels are those of the column fine_label, not of coarse_label" in said


def test_a_missing_reader_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "a.parquet", table())
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "convlet\[parquet\]"$'):
        datasets.load(path)


def test_images_are_found_in_any_order(tmp_path):
    from convlet.datasets.encoded.parquet import parquet_source

    path = write(tmp_path / "a.parquet", table(), row_group_size=7)
    source = parquet_source(path, [path])
    for n in [*range(COUNT), *range(COUNT)[::-1], *RNG.permutation(COUNT).tolist()]:
        with source.open(source.entries[n]) as stream:
            assert stream.read() == png(n)


REFUSED = {
    "no labels": (
        lambda d: tar(d / "a.tar", {"a.png": png(0)}),
        "expected a.cls beside a.png, or a",
    ),
    "folders": (
        lambda d: tar(d / "a.tar", {"cat/a.png": png(0), "dog/b.png": png(1)}),
        "found none: unpack it, and name the folder",
    ),
    "no image": (
        lambda d: tar(d / "a.tar", {"a.cls": b"1"}),
        "key.jpg and key.cls, found no image",
    ),
    "two images of a key": (
        lambda d: tar(d / "a.tar", samples() | {"0003.jpg": b""}),
        "expected one image of each key, found 0003.png and 0003.jpg",
    ),
    "two images before the first dot": (
        lambda d: tar(d / "a.tar", {"a.l.png": png(0), "a.r.png": png(1), "a.cls": b"1"}),
        "expected one image of each key, found a.l.png and a.r.png",
    ),
    "an image of several dots without a label": (
        lambda d: tar(d / "a.tar", samples() | {"b.v1.png": png(0), "c.v1.cls": b"1"}),
        "expected b.v1.cls beside b.v1.png, or b.v1.json with a label, found none",
    ),
    "an empty label": (
        lambda d: tar(d / "a.tar", samples() | {"0003.cls": b" "}),
        "a.tar/0003.cls: expected a label on one line, found ''",
    ),
    "broken JSON": (
        lambda d: tar(d / "a.tar", samples(json_key="label") | {"0003.json": b"{"}),
        "0003.json: expected JSON with a label, found damage",
    ),
    "deep JSON": (
        lambda d: tar(d / "a.tar", samples(json_key="label") | {"0003.json": b"[" * 60_000}),
        "0003.json: expected JSON with a label, found damage",
    ),
    "a label that is a list": (
        lambda d: tar(d / "a.tar", samples() | {"b.png": png(0), "b.json": b'{"label": [1]}'}),
        r"expected a label that is a name or a number, found \[1\]",
    ),
    "a tar file without a part": (
        lambda d: [tar(d / f"{p}.tar", samples()) for p in ("train", "some")],
        "some.tar: expected a name that tells the part",
    ),
    "two tables of one name": (
        lambda d: [write(d / p / "0.parquet", table()) for p in ("data", "default")],
        "expected files of one data set, found .*data/0.parquet and .*default/0.parquet: name",
    ),
    "two configurations": (
        lambda d: [write(d / p / "train" / "0.parquet", table()) for p in ("en", "de")],
        r"expected .parquet files of one data set, found such of 2, de, en: name one of these"
        r" folders, as .*/de$",
    ),
    "a test part without labels beside none": (
        lambda d: [
            write(d / f"{p}.parquet", table(PARTS[p], labels=0 * LABELS - 1, names=THINGS))
            for p in ("train", "test")
        ],
        "found -1 at position 0: -1 stands for no label in many data sets",
    ),
    "a table without images": (
        lambda d: write(d / "a.parquet", table().select(["id", "label"])),
        "expected a column of encoded images, found id, label",
    ),
    "a table without labels": (
        lambda d: write(d / "a.parquet", table(label="other")),
        r"expected a column of labels \(label, .*\), found id, other: rename one",
    ),
    "a label that is missing": (
        lambda d: write(
            d / "a.parquet",
            table().set_column(2, "label", [pyarrow.array([None, *LABELS[1:].tolist()])]),
        ),
        "expected a label in each row, found label without one",
    ),
    "labels that are fractions": (
        lambda d: write(d / "a.parquet", table(labels=LABELS / 2)),
        "expected labels that are whole numbers or names, found double in label",
    ),
    "labels beyond the names": (
        lambda d: write(d / "a.parquet", table(names=THINGS[:2])),
        "expected labels 0 to 1 for 2 classes, found 2 at position 2",
    ),
    "labels of -1": (
        lambda d: write(d / "a.parquet", table(labels=LABELS - 1, names=THINGS)),
        "found -1 at position 0: -1 stands for no label in many data sets",
    ),
    "no rows": (
        lambda d: write(d / "a.parquet", table().slice(0, 0)),
        "expected a row for each image",
    ),
    "names of files": (
        lambda d: write(
            d / "a.parquet",
            table().set_column(
                1,
                "image",
                [pyarrow.array([{"bytes": None, "path": "a.png"}] * COUNT, STRUCT)],
            ),
        ),
        "24 damaged images: .*expected an encoded image in row 0, found none: names of files are",
    ),
    "no Parquet file": (
        lambda d: [(d / "a.parquet").write_bytes(b"PAR1" * 9)] and d / "a.parquet",
        "expected a whole Parquet file, found a damaged one or something else",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_every_refusal_says_what_was_expected(tmp_path, name):
    layout, message = REFUSED[name]
    written = layout(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        datasets.load(tmp_path if isinstance(written, list) else written)
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------ hostile files


def small(path: Path) -> None:
    """Write few images, so that a test can read them often."""
    if path.suffix == ".tar":
        tar(path, samples(slice(0, 6)))
    else:
        write(path, table(slice(0, 6), names=THINGS))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("train-00000-of-00002.parquet", ["not there: train-00001-of-00002"]),
        ("train-00001-of-00002.parquet", ["not there: train-00000-of-00002"]),
        ("train-00002-of-00002.parquet", ["not there: train-00001-of-00002"]),
        ("a-00000-of-00002-ab1.parquet a-00001-of-00002-cd2.parquet", []),
        ("a-001-of-002.tar a-002-of-002.tar", []),
        ("train-000000.tar train-000002.tar val-0007.tar", ["not there: train-000001"]),
        ("all.tar", []),
    ],
)
def test_files_that_others_tell_of_are_missed(names, said):
    assert list(missing_from([Path(name) for name in names.split()])) == said


def test_a_missing_shard_is_said(tmp_path):
    write(tmp_path / "train-00000-of-00002.parquet", table(slice(0, 10)))
    assert datasets.load(tmp_path).said[-1] == "not there: train-00001-of-00002"


@pytest.mark.parametrize("suffix", [".tar", ".parquet"])
def test_truncated_shards_are_refused(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    small(path)
    whole = path.read_bytes()
    end = 2 * 512 if suffix == ".tar" else 0  # zeros fill a .tar file behind its end
    used = len(whole.rstrip(b"\0")) + end if end else len(whole)
    assert datasets.load(path)
    blocks = range(0, used - end, 512) if end else ()  # between two members nothing else is odd
    for length in sorted({*range(0, used - end, max(1, used // 30)), used - end, *blocks}):
        path.write_bytes(whole[:length] if length < len(whole) else whole[:-1])
        with pytest.raises(DataError):
            load_tested(path)  # few images cannot be divided


@pytest.mark.parametrize("suffix", [".tar", ".parquet"])
def test_damaged_shards_end_in_errors_of_ours(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    small(path)
    whole = path.read_bytes()
    for place in range(0, len(whole.rstrip(b"\0")), 151):
        data = bytearray(whole)
        data[place] ^= 0xA5
        path.write_bytes(bytes(data))
        try:
            loaded = datasets.load(path)
        except DataError:
            continue
        assert len(loaded.train) + len(loaded.test) <= 6


def bomb(kind: str) -> bytes:
    """A .tar file that promises too much."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in samples(slice(0, 6)).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        info = tarfile.TarInfo("b.png")
        match kind:
            case "size":
                info.size = 1 << 40
            case "long name":
                info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
            case "pax":
                info.type, info.size = tarfile.XHDTYPE, 1 << 40
            case "negative":
                info.size = -512
            case "headers":
                info.type = tarfile.XHDTYPE
        archive.fileobj.write(info.tobuf(tarfile.GNU_FORMAT) * (5000 if kind == "headers" else 1))
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["size", "long name", "pax", "negative", "headers"])
def test_promises_of_tar_headers_take_no_memory(tmp_path, kind):
    (tmp_path / "a.tar").write_bytes(bomb(kind))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"expected a whole .tar file|expected b.cls"):
            datasets.load(tmp_path / "a.tar")
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_links_and_devices_in_tar_files_are_left_aside(tmp_path):
    path = tar(tmp_path / "a.tar", samples())
    with tarfile.open(path, "a") as archive:
        for name, kind in (("x.png", tarfile.SYMTYPE), ("y.png", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    data = datasets.load(path)
    assert len(data.train) + len(data.test) == COUNT


def test_a_bomb_of_pixels_in_a_shard_is_refused(tmp_path):
    header = png(0).replace((5).to_bytes(4) + (6).to_bytes(4), (1 << 20).to_bytes(4) * 2)
    path = tar(tmp_path / "a.tar", samples() | {"b.cls": b"1", "b.png": header})
    with pytest.raises(DataError, match="1 damaged image: "):
        datasets.load(path)
    skipped = datasets.load(path, skip_damaged=True)
    assert len(skipped.train) + len(skipped.test) == COUNT
