"""Selections of sequences and frames, and atomic files."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from elite.errors import ConfigError, DataError, OutputError
from elite.files import atomic_file, make_folder, write_json
from elite.layout import SPLITS, open_layout, parse_frames, parse_sequences
<<<<<<< HEAD:tests/test_labels_layout.py
from tests.support.semantickitti import RAW_TO_TRAIN, TRAIN_TO_RAW

# How colours look without red (protanopia) or green (deuteranopia) receptors, on linear RGB (Machado et al. 2009).
SIGHT = {
    "all": np.eye(3),
    "no red": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.052]]
    ),
    "no green": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
}


def to_lab(linear: np.ndarray) -> np.ndarray:
    """CIELAB of linear RGB (n, 3), white D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ to_xyz.T / np.array([0.9505, 1, 1.089])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


@pytest.mark.parametrize("sight", SIGHT)
def test_safe_colours_differ_for_every_colour_vision(sight):
    share = SAFE_COLORS[1:] / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    lab = to_lab(np.clip(linear @ SIGHT[sight].T, 0, 1))
    apart = np.linalg.norm(lab[:, None] - lab, axis=2)[np.triu_indices(19, 1)]
    assert apart.min() > 17


# ---- labels ---------------------------------------------------------------------------------------------------


def test_to_train_follows_the_learning_map():
    raw = np.array(list(RAW_TO_TRAIN), np.uint16)
    assert to_train(raw).tolist() == list(RAW_TO_TRAIN.values())
    assert to_train(raw.reshape(2, -1)).shape == (2, len(raw) // 2)


def test_to_raw_round_trip_follows_the_benchmark():
    assert to_raw(np.arange(20)).tolist() == TRAIN_TO_RAW
    assert to_train(to_raw(np.arange(20))).tolist() == list(range(20))


def test_to_train_other_raw_id_is_refused():
    every = np.arange(1 << 16, dtype=np.uint16)
    assert unknown_raw_ids(every) == sorted(set(range(1 << 16)) - set(RAW_TO_TRAIN))
    assert unknown_raw_ids(np.array([], np.uint16)) == []
    assert len(to_train(np.array([], np.uint16))) == 0


@pytest.mark.parametrize("raw", [np.array([10, 12, 9], np.uint16), np.array([70000, 10]), np.array([10, 65535])])
def test_to_train_unknown_ids_are_named_with_their_source(raw):
    unknown = sorted(set(raw.tolist()) - {10})
    with pytest.raises(DataError) as caught:
        to_train(raw, source="a/b.label")
    assert str(caught.value).startswith("a/b.label: expected raw label ids of SemanticKITTI")
    assert f"found {unknown}" in str(caught.value)


def test_split_label_gives_class_and_instance():
    semantic, instance = split_label(np.array([0xFFFE_00FC, 40, 0x0001_0000], np.uint32))
    assert semantic.tolist() == [252, 40, 0]
    assert instance.tolist() == [0xFFFE, 0, 1]


def test_object_ids_combine_class_and_instance():
    ids = object_ids(np.array([1, 6, 1, 0], np.uint8), np.array([7, 7, 0, 7], np.uint16))
    assert ids.tolist() == [0x1_0007, 0x6_0007, 0, 0]


def test_point_counts_give_the_published_class_weights():
    assert len(POINT_COUNTS) == 19
    assert sum(POINT_COUNTS) == 1_451_327_847
    assert POINT_COUNTS[CLASS_ID["vegetation"] - 1] == max(POINT_COUNTS) == 476_491_114
    assert POINT_COUNTS[CLASS_ID["motorcyclist"] - 1] == min(POINT_COUNTS) == 78_858


def test_classes_have_distinct_names_and_colours():
    assert len(set(CLASS_NAMES)) == len(np.unique(COLORS, axis=0)) == 20
    assert [CLASS_ID[n] for n in ("unlabelled", "car", "road", "building", "traffic-sign")] == [0, 1, 9, 13, 19]

=======
>>>>>>> 206e7c9 (Classes come from the taxonomy of the data set or of the student, not from constants):tests/test_layout.py

# ---- layout ---------------------------------------------------------------------------------------------------


def test_splits_are_those_of_the_benchmark():
    train, valid, test = (set(SPLITS[name]) for name in ("train", "valid", "test"))
    assert train | valid | test == {f"{i:02d}" for i in range(22)}
    assert valid == {"08"}
    assert test == {f"{i}" for i in range(11, 22)}
    assert len(train) + len(valid) + len(test) == 22


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("00", ("00",)),
        ("8", ("08",)),
        ("0-2,9", ("00", "01", "02", "09")),
        (" 00 , 08 ", ("00", "08")),
        ("08,00,8", ("08", "00")),
        ("valid,0", ("08", "00")),
        ("train", ("00", "01", "02", "03", "04", "05", "06", "07", "09", "10")),
        ("101", ("101",)),
    ],
)
def test_parse_sequences_accepts_numbers_ranges_and_splits(text, names):
    assert parse_sequences(text) == names


@pytest.mark.parametrize("text", ["", ",", "val", "0-", "-3", "1.5", "0:3", "0--3", "7-0", "2,7-0", "a-b"])
def test_parse_sequences_other_text_is_refused(text):
    with pytest.raises(ConfigError, match=f"'{text}'"):
        parse_sequences(text)


def test_parse_sequences_accepts_any_folder_name():
    assert parse_sequences("site_A, 00,valid", ("site_A", "00")) == ("site_A", "00", "08")
    with pytest.raises(ConfigError, match=r"found 'site'\. Select some of site_A"):
        parse_sequences("site", ("site_A",))


@pytest.mark.parametrize(
    ("text", "frames"),
    [(None, None), ("all", None), ("0", {0}), ("0-2,7", {0, 1, 2, 7}), ("000003, 5", {3, 5})],
)
def test_parse_frames_accepts_numbers_and_ranges(text, frames):
    assert parse_frames(text) == frames


@pytest.mark.parametrize("text", ["", "first", "0-", "-1", "3,,4", "1.0", "7-0"])
def test_parse_frames_other_text_is_refused(text):
    with pytest.raises(ConfigError, match=f"'{text}'"):
        parse_frames(text)


def test_layout_without_sequences_folder_is_refused(tmp_path):
    (tmp_path / "sequences").write_text("a file")
    for root in (tmp_path, tmp_path / "absent", str(tmp_path / "sequences")):
        with pytest.raises(DataError, match="sequences"):
            open_layout(root)


@pytest.mark.parametrize("call", ["resolve", "is_dir", "iterdir"])
def test_layout_without_permission_is_named(call, tmp_path, monkeypatch):
    (tmp_path / "sequences" / "00" / "velodyne").mkdir(parents=True)

    def refused(path, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, call, refused)
    with pytest.raises(DataError, match=r"expected a readable .* found Permission denied\. Check"):
        open_layout(tmp_path).found_sequences()


# ---- files ----------------------------------------------------------------------------------------------------


def test_atomic_file_appears_complete(tmp_path):
    path = tmp_path / "new" / "folder" / "a.bin"
    with atomic_file(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_atomic_file_block_that_raises_keeps_the_old_file(error, tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def break_off() -> None:
        with atomic_file(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        break_off()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_atomic_file_unwritable_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="file"):
        make_folder(tmp_path / "file" / "below")
    for path in (tmp_path / "file" / "a.bin", tmp_path / "folder"):
        with pytest.raises(OutputError, match=path.parent.name), atomic_file(path) as file:
            file.write(b"x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_atomic_file_has_default_permissions(tmp_path):
    (tmp_path / "usual").write_bytes(b"")
    with atomic_file(tmp_path / "ours") as file:
        file.write(b"x")
    assert Path(tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_write_json_accepts_numpy_and_paths(tmp_path):
    write_json(tmp_path / "a.json", {"a": np.float32(0.5), "b": np.arange(2), "c": tmp_path})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 0.5, "b": [0, 1], "c": str(tmp_path)}
