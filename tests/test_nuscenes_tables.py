"""Tables of nuScenes: rows of any layout, chains and tokens, damaged tables, and the compact copy."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elite.datasets.nuscenes import json_rows, table_cache
from elite.datasets.nuscenes.json_rows import read_rows
from elite.datasets.nuscenes.table_cache import open_tables
from elite.datasets.nuscenes.tables import CAMERAS, Tables, read_tables
from elite.errors import DataError
from tests.support.nuscenes import Rows, make_tables, token, write_tables

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tables(tmp_path / "v1.0-mini", make_tables())
    return tmp_path / "v1.0-mini"


def _with(folder: Path, change: Callable[[Rows], object]) -> Path:
    tables = make_tables()
    change(tables)
    write_tables(folder, tables)
    return folder


# ---- rows -------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.dictionaries(st.text(), VALUES, max_size=3), max_size=5),
    indent=st.sampled_from([None, 0, 2]),
    block=st.integers(1, 40),
    plain=st.booleans(),
)
def test_rows_equal_those_of_the_json_module(rows, indent, block, plain, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("rows") / "a.json"
    path.write_text(json.dumps(rows, indent=indent, ensure_ascii=plain), encoding="utf-8", errors="surrogatepass")
    before, json_rows._BLOCK = json_rows._BLOCK, block
    try:
        found = list(read_rows(path))
    except DataError:
        found = None
    finally:
        json_rows._BLOCK = before
    try:
        assert found == json.loads(path.read_bytes())
    except UnicodeDecodeError:
        assert found is None


OTHER_JSON = (
    *("", "[", "[{", '[{"a": 1}', '[{"a": 1},', '[{"a": 1},]', '[{"a": 1} {"a": 2}]', "{}", "[1]", "[[]]", "null"),
    *('[{"a": 1}] x', '[{"a": 1}][]', '[{"a" 1}]', '[{"a": "b}]', "[{}\x00]", '[{"a": ' + "[" * 100_000),
)


@pytest.mark.parametrize("text", OTHER_JSON)
def test_other_json_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=r"a.json: expected a JSON array of rows, found damaged or truncated text"):
        list(read_rows(tmp_path / "a.json"))


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'[{"a": "\xff"}]')
    with pytest.raises(DataError, match="damaged"):
        list(read_rows(tmp_path / "a.json"))


def test_damaged_row_does_not_load_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_rows, "_BLOCK", 1000)
    monkeypatch.setattr(json_rows, "_LONGEST_ROW", 5000)
    (tmp_path / "a.json").write_text('[{"a": 1}, {"a" ' + '{"b": 1}, ' * 10_000 + "]")
    lengths = []
    decode = json_rows._decode

    def noted(file, text, at):
        lengths.append(file.tell())
        return decode(file, text, at)

    monkeypatch.setattr(json_rows, "_decode", noted)
    with pytest.raises(DataError, match="after 1 rows"):
        list(read_rows(tmp_path / "a.json"))
    assert max(lengths) < 10_000


# ---- tables -----------------------------------------------------------------------------------------------------


def test_tables_hold_what_keyframes_need(folder: Path) -> None:
    tables = read_tables(folder)
    assert tables.scenes.tolist() == [b"scene-0061", b"scene-0103"]
    assert tables.scene_of_frame.tolist() == [0, 0, 1, 1]
    assert tables.keyframes.files.shape == (4, 7)
    rows = make_tables()["sample_data"]
    scans = [row for row in rows if "LIDAR" in row["filename"] and row["is_key_frame"]]
    assert tables.tokens.tolist() == [row["token"].encode() for row in scans]
    assert tables.keyframes.files[:, 0].tolist() == [row["filename"].encode() for row in scans]
    assert tables.keyframes.times[:, 0].tolist() == [row["timestamp"] for row in scans]
    assert all(name.decode().split("/")[1] == c for c, name in zip(CAMERAS, tables.keyframes.files[2, 1:], strict=True))
    assert not any(b"RADAR" in name for name in tables.keyframes.files.ravel())
    assert len(tables.scans.files) == 6  # sweeps too
    assert (np.diff(tables.scans.times[:3]) > 0).all()


def test_tables_in_any_order_are_the_same(folder: Path) -> None:
    expected = read_tables(folder)

    def reverse(tables: Rows) -> None:
        for name in ("sensor", "sample", "sample_data", "ego_pose", "lidarseg", "panoptic"):
            tables[name].reverse()

    found = read_tables(_with(folder, reverse))
    for name in ("tokens", "labels", "panoptic", "scene_of_scan"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for name in ("files", "times", "ego_poses"):
        np.testing.assert_array_equal(getattr(found.keyframes, name), getattr(expected.keyframes, name))
        np.testing.assert_array_equal(getattr(found.scans, name), getattr(expected.scans, name))


def test_missing_camera_of_a_keyframe_is_legal(folder: Path) -> None:
    def drop(tables: Rows) -> None:
        tables["sample_data"] = [row for row in tables["sample_data"] if "CAM_BACK/" not in row["filename"]]

    tables = read_tables(_with(folder, drop))
    assert (tables.keyframes.files[:, 4] == b"").all()
    assert (tables.keyframes.sensors[:, 4] == -1).all()


def _first(table: str, channel: str = "", **values: object) -> Callable[[Rows], object]:
    """Change of the first row of a table, or of a sensor's."""

    def change(tables: Rows) -> None:
        row = next(r for r in tables[table] if channel in json.dumps(r))
        row.update(values)

    return change


def _without(table: str, number: int) -> Callable[[Rows], object]:
    return lambda tables: tables[table].pop(number)


def _without_key(table: str, key: str) -> Callable[[Rows], object]:
    return lambda tables: tables[table][1].pop(key)


def _detection_categories(tables: Rows) -> None:
    """23 categories without ids."""
    tables["category"] = [{"token": row["token"], "name": row["name"]} for row in tables["category"][1:24]]


LOST = "f" * 32
FAULTS: dict[str, tuple[Callable[[Rows], object], str]] = {
    "no sensor": (_without("sensor", 0), r"sensor.json: expected a row with the token .*sensor_token"),
    "no calibration": (_without("calibrated_sensor", 2), r"calibrated_sensor.json: expected a row with the token"),
    "no scene": (_without("scene", 0), r"scene.json: expected a row with the token"),
    "no sample": (_without("sample", 1), r"sample.json: expected a row with the token.*chain of scene-0061"),
    "no keyframe": (_without("sample_data", 0), r"LIDAR_TOP keyframe for each sample, found none for 1 of 4"),
    "no ego pose": (_without("ego_pose", 1), r"ego_pose.json: expected a row with the token"),
    "lost pose token": (_first("sample_data", ego_pose_token=LOST), rf"token '{LOST}'.*one version"),
    "lost sample": (_first("sample_data", sample_token=LOST), rf"sample.json: expected a row with the token '{LOST}'"),
    "lost label": (_first("lidarseg", sample_data_token=LOST), r"sample_data.json: expected a row with the token"),
    "second keyframe": (
        lambda tables: tables["sample_data"].append(tables["sample_data"][0] | {"token": LOST}),
        "second keyframe of LIDAR_TOP",
    ),
    "second scene": (lambda tables: tables["scene"].append(tables["scene"][0]), "row 3.*second row with its token"),
    "short chain": (_first("scene", nbr_samples=1), "expected the chain of scene-0061 to end after its 1 samples"),
    "long chain": (_first("scene", nbr_samples=3), "sample.json: expected a row with the token ''"),
    "chain in a circle": (
        lambda tables: (
            _first("scene", nbr_samples=3)(tables),
            tables["sample"][1].update(next=token("scene-0061", 0)),
        ),
        "enters another scene or itself",
    ),
    "chain of another scene": (
        lambda tables: tables["sample"][0].update(next=token("scene-0103", 0)),
        "enters another scene or itself",
    ),
    "no field": (_without_key("sample_data", "filename"), r"sample_data.json, row 2: .* found no 'filename'"),
    "no time": (_without_key("sample_data", "timestamp"), "found no 'timestamp'"),
    "time in text": (_first("sample_data", timestamp="now"), "row 1.*invalid literal"),
    "huge time": (_first("sample_data", timestamp=10**30), "timestamp that is not in microseconds"),
    "token in a list": (_first("sample_data", sample_token=[]), "row 1.*unhashable"),
    "file elsewhere": (_first("sample_data", filename="../../a.bin"), "not a path below the root"),
    "absolute file": (_first("sample_data", filename="/etc/passwd"), "not a path below the root"),
    "file with NUL": (_first("sample_data", filename="a\0b"), "not a path below the root"),
    "scene with a slash": (_first("scene", name="../x"), "the name '../x'"),
    "scan with a slash": (_first("sample_data", token="../x"), "the token '../x'"),
    "scaled quaternion": (
        _first("calibrated_sensor", rotation=[0.9, 0.1, 0.0, 0.0]),
        r"calibrated_sensor.json, row 1.*of length 0.9055 instead of 1, which is not a rotation",
    ),
    "zero quaternion": (_first("ego_pose", rotation=[0, 0, 0, 0]), r"ego_pose.json, row 1.*not a rotation"),
    "rotation matrix": (_first("ego_pose", rotation=[[1, 0, 0], [0, 1, 0], [0, 0, 1]]), "row 1"),
    "three numbers": (_first("ego_pose", rotation=[1, 0, 0]), "other than 3 and 4 numbers"),
    "four metres": (_first("ego_pose", translation=[1, 0, 0, 0], rotation=[1, 0, 0]), "other than 3 and 4 numbers"),
    "NaN": (_first("ego_pose", translation=[float("nan"), 0, 0]), "pose that is not finite"),
    "far away": (_first("ego_pose", translation=[1e12, 0, 0]), "pose that is not finite"),
    "no intrinsics": (_first("calibrated_sensor", "50.0", camera_intrinsic=[]), "3 x 3 finite numbers"),
    "no focal length": (
        _first("calibrated_sensor", "50.0", camera_intrinsic=[[0, 0, 3], [0, 5, 3], [0, 0, 1]]),
        "without focal lengths",
    ),
    "detection categories": (
        _detection_categories,
        r"category.json: expected the 32 categories of nuScenes-lidarseg with 'index', found 0.*lidarseg archive",
    ),
    "ids of the instructions": (
        lambda tables: [tables["category"][i].update(index=j) for i, j in ((25, 27), (26, 25), (27, 26))],
        "25 is flat.sidewalk, 26 is flat.terrain",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_damaged_tables_are_refused(fault: str, folder: Path) -> None:
    change, message = FAULTS[fault]
    with pytest.raises(DataError, match=message):
        read_tables(_with(folder, change))


@pytest.mark.parametrize("table", ["sensor", "calibrated_sensor", "scene", "sample", "sample_data", "ego_pose"])
def test_missing_or_truncated_table_is_refused(table: str, folder: Path) -> None:
    path = folder / f"{table}.json"
    whole = path.read_bytes()
    for size in (0, len(whole) // 2, len(whole) - 2):
        path.write_bytes(whole[:size])
        with pytest.raises(
            DataError, match=rf"{table}.json: expected a JSON array of rows, found damaged or truncated"
        ):
            read_tables(folder)
    path.unlink()
    for read in (read_tables, open_tables):
        with pytest.raises(DataError, match=f"{table}.json: expected a table"):
            read(folder)


# ---- compact copy -----------------------------------------------------------------------------------------------


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """Copies for tables of any size; the folders whose tables were read."""
    read: list[Path] = []

    def noted(folder: Path) -> Tables:
        read.append(folder)
        return read_tables(folder)

    monkeypatch.setattr(table_cache, "_SMALLEST", 0)
    monkeypatch.setattr(table_cache, "read_tables", noted)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return read


def _assert_equal(found: object, expected: object) -> None:
    if isinstance(expected, np.ndarray):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype
        return
    for name in vars(expected):
        _assert_equal(getattr(found, name), getattr(expected, name))


def test_copy_equals_the_tables(folder: Path, copied: list[Path]) -> None:
    first = open_tables(folder)
    assert (folder / "elite-keyframes.cache").exists()
    _assert_equal(open_tables(folder), first)
    assert copied == [folder]


def test_copy_of_changed_tables_is_replaced(folder: Path, copied: list[Path]) -> None:
    open_tables(folder)
    _with(folder, _first("ego_pose", translation=[1.5, 2, 3]))
    assert open_tables(folder).keyframes.ego_poses[0, 0, 0] == 1.5
    os.utime(folder / "scene.json", ns=(0, 0))
    open_tables(folder)
    (folder / "panoptic.json").unlink()
    assert not open_tables(folder).panoptic.any()
    open_tables(folder)
    assert len(copied) == 4


def test_damaged_copy_is_replaced(folder: Path, copied: list[Path]) -> None:
    expected = open_tables(folder)
    path = folder / "elite-keyframes.cache"
    whole = path.read_bytes()
    for content in (b"", b"PK", whole[: len(whole) // 2], whole[:3000] + b"xyz" + whole[3003:]):
        path.write_bytes(content)
        _assert_equal(open_tables(folder), expected)
    assert path.read_bytes() == whole
    assert len(copied) == 5


def test_copy_of_another_version_is_replaced(folder: Path, copied: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    open_tables(folder)
    monkeypatch.setattr(table_cache, "_VERSION", 0)
    open_tables(folder)
    assert len(copied) == 2


def test_copy_of_a_read_only_folder_is_in_the_cache_folder(
    folder: Path, copied: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder and real(path, mode))
    first = open_tables(folder)
    assert not (folder / "elite-keyframes.cache").exists()
    (kept,) = (tmp_path / "cache" / "elite").iterdir()
    assert kept.name.endswith("-elite-keyframes.cache")
    _assert_equal(open_tables(folder), first)
    assert copied == [folder]


def test_small_tables_have_no_copy(folder: Path) -> None:
    open_tables(folder)
    assert not (folder / "elite-keyframes.cache").exists()
