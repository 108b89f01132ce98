"""Selections of sequences and frames, and atomic files."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from elite.errors import ConfigError, DataError, OutputError
from elite.files import atomic_file, make_folder, write_json
from elite.layout import SPLITS, open_layout, parse_frames, parse_sequences

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
