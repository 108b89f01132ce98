"""Predictions as labels, arrays and clouds."""

from pathlib import Path

import numpy as np
import pytest

import elite
from elite.cli import main
from elite.errors import DataError
from elite.point_files import PointFields, encode_points, read_point_file
from elite.prediction_formats import FORMATS
from elite.student import SPVCNN, save_student
from tests.support.scans import random_scan, scan_file
from tests.support.semantickitti import KITTI

ROWS = random_scan(np.random.default_rng(0), 24)
ROWS[5, :3] = 0  # no return


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "student.safetensors"
    save_student(SPVCNN(channels=8, cells=(100, 100, 12)), path)
    return path


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """An organised cloud with two more fields, of a sensor whose no-returns are at the origin."""
    values = {name: ROWS[:, i] for i, name in enumerate(("x", "y", "z", "intensity"))}
    values |= {"ring": np.repeat(np.arange(4, dtype=np.uint16), 6), "t": np.arange(24) * 10**6}
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.pcd").write_bytes(encode_points(PointFields(values, (4, 6)), ".pcd"))
    (tmp_path / "own.yaml").write_text("name: own\nno_return: drop\n")
    return tmp_path / "scans"


def predict(student: Path, scans: Path, kind: str, *options: str) -> Path:
    sensor = str(scans.parent / "own.yaml")
    out = scans.parent / kind
    argv = ["predict", str(student), str(scans), "-o", str(out), "--as", kind, "--sensor", sensor]
    assert main([*argv, *options]) == 0
    return out / f"a.{kind}"


def test_predict_as_label_and_npy_has_raw_ids_in_the_shape_of_the_scan(student: Path, scans: Path) -> None:
    result = elite.load(student, "cpu")(elite.read(ROWS))
    raw = KITTI.to_raw(result.labels)
    assert raw[5] == 0
    np.testing.assert_array_equal(np.fromfile(predict(student, scans, "label"), "<u4"), raw)
    array = np.load(predict(student, scans, "npy"))
    assert array.dtype == np.uint16
    np.testing.assert_array_equal(array, raw.reshape(4, 6))


@pytest.mark.parametrize("kind", ["pcd", "ply"])
def test_predict_as_a_cloud_keeps_all_fields_and_adds_the_answers(student: Path, scans: Path, kind: str) -> None:
    result = elite.load(student, "cpu", fill_radius=0.5)(elite.read(ROWS))
    assert result.unfilled > 0
    written = predict(student, scans, kind, "--fill-radius", "0.5")
    before, after = (read_point_file(path, ()) for path in (scans / "a.pcd", written))
    assert [*after.values] == [*before.values, "class_id", "probability", "entropy"]
    for name, values in before.values.items():
        np.testing.assert_array_equal(after.values[name], values)
    assert after.values["class_id"].dtype == np.uint8
    assert after.values["class_id"][5] == 255
    np.testing.assert_array_equal(after.values["class_id"], np.where(result.labels == 0, 255, result.labels))
    np.testing.assert_array_equal(after.values["probability"], result.confidence)
    np.testing.assert_array_equal(after.values["entropy"], result.entropy)
    if kind == "pcd":
        assert after.shape == before.shape == (4, 6)


def test_predict_into_the_folder_of_the_scans_never_replaces_them(student: Path, scans: Path) -> None:
    before = (scans / "a.pcd").read_bytes()
    assert main(["predict", str(student), str(scans), "-o", str(scans), "--as", "pcd"]) == 2
    assert (scans / "a.pcd").read_bytes() == before


def test_read_of_a_cloud_without_intensity_is_refused(scans: Path) -> None:
    (scans / "a.ply").write_bytes(encode_points(PointFields(dict.fromkeys("xyz", ROWS[:, 0]), (24,)), ".ply"))
    with pytest.raises(DataError, match="expected fields remission or intensity"):
        elite.read(scans / "a.ply")


@pytest.mark.parametrize("other", ["a.pcd.bin", "a.npy"])
def test_predict_of_two_scans_of_one_name_is_refused_by_their_names(
    student: Path, tmp_path: Path, other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    scans = [tmp_path / name for name in ("a.bin", other)]
    for path in scans:
        path.write_bytes(scan_file(path.suffix, ROWS))
    given = [tmp_path] if other.endswith(".bin") else scans
    assert main(["predict", str(student), *map(str, given), "-o", str(tmp_path / "out"), "--as", "ply"]) == 2
    error = capsys.readouterr().err
    assert all(str(path) in error for path in scans)
    assert "expected labels in a file of its own" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", FORMATS)
def test_predict_skip_existing_replaces_predictions_of_another_length(student: Path, scans: Path, kind: str) -> None:
    written = predict(student, scans, kind)
    data = written.read_bytes()
    written.write_bytes(scan_file(".pcd", ROWS[:5]) if kind == "pcd" else data[: len(data) // 2])
    predict(student, scans, kind, "--skip-existing")
    assert written.read_bytes() == data
