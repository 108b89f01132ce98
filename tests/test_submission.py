"""The submission zip: written files are accepted, and zips that the server refuses are refused."""

import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from elite.cli import main
from elite.datasets.semantickitti import SemanticKITTI
from elite.errors import DataError, OutputError
from elite.submission import check_submission, semantickitti, write_submission

TEST = [f"{i}" for i in range(11, 22)]
FOLDERS = ["sequences/", *(f"sequences/{s}/{tail}" for s in TEST for tail in ("", "predictions/"))]
MEMBER = "sequences/14/predictions/000000.label"


@pytest.fixture
def predictions(tiny_kitti, tmp_path) -> Path:
    """One road label per point for each of the 11 unlabelled scans."""
    out = tmp_path / "out"
    for frame in SemanticKITTI(tiny_kitti, "test", cameras=()):
        path = out / "sequences" / frame.sequence / "predictions" / f"{frame.name}.label"
        path.parent.mkdir(parents=True)
        np.full(len(frame.scan), 40, "<u4").tofile(path)
    return out


@pytest.fixture
def complete(monkeypatch) -> None:
    """A benchmark with one scan in every test sequence."""
    monkeypatch.setattr(semantickitti, "TEST_SCANS", dict.fromkeys(TEST, 1))


@pytest.fixture
def make_zip(tmp_path) -> Callable[..., Path]:
    """A submission built by hand; ``change`` edits its {name: bytes}, where a folder holds nothing."""

    def make(change: Callable[[dict[str, bytes]], object] = lambda files: None, name: str = "hand.zip") -> Path:
        files = dict.fromkeys(FOLDERS, b"")
        files |= {f"sequences/{s}/predictions/000000.label": np.full(60, 40, "<u4").tobytes() for s in TEST}
        change(files)
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in files.items():
                archive.writestr(member, content)
        return tmp_path / name

    return make


def test_scan_counts_equal_those_of_the_test_split():
    assert list(semantickitti.TEST_SCANS) == TEST
    assert sum(semantickitti.TEST_SCANS.values()) == 20_351


def test_check_submission_complete_is_accepted(predictions, tiny_kitti, tmp_path, complete):
    report = write_submission(predictions, tiny_kitti, tmp_path / "full.zip")
    assert report.accepted
    assert (report.scans, report.points, report.path) == (11, 660, tmp_path / "full.zip")
    assert check_submission(tmp_path / "full.zip", tiny_kitti) == report
    with zipfile.ZipFile(tmp_path / "full.zip") as archive:
        assert archive.namelist()[:23] == FOLDERS
        assert len(archive.namelist()) == 34
        assert archive.read(MEMBER) == (predictions / MEMBER).read_bytes()
        assert all(archive.getinfo(folder).is_dir() for folder in FOLDERS)


def test_write_submission_names_the_data_that_is_not_in_the_zip(predictions, tiny_kitti, tmp_path, complete, capsys):
    (tiny_kitti / "sequences/12/velodyne/notes.txt").touch()
    for name in ("08/predictions/000000.label", "13/predictions/000007.label"):
        path = predictions / "sequences" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert main(["submit", str(predictions), str(tiny_kitti), "-o", str(tmp_path / "a.zip")]) == 0
    expected = [
        "12/velodyne: 1 files are not read (notes.txt, ...)",
        "predictions of the sequences 08 are not in the zip",
        "13/predictions: 1 predictions have no scan (000007.label, ...)",
    ]
    printed = capsys.readouterr().err.splitlines()
    assert [text in line for text, line in zip(expected, printed, strict=True)] == [True] * 3


def test_check_submission_partial_names_missing_scans(predictions, tiny_kitti, tmp_path):
    report = write_submission(predictions, tiny_kitti, tmp_path / "part.zip", partial=True)
    assert not report.accepted
    assert len(report.missing) == 11
    assert report.missing[0] == "sequence 11 has 1 of 921 scans"


def test_write_submission_incomplete_without_partial_is_refused(predictions, tiny_kitti, tmp_path, make_zip):
    shortage = r"11 has 1 of 921 scans \(and 10 more\).*--partial"
    with pytest.raises(DataError, match=shortage):
        write_submission(predictions, tiny_kitti, tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()
    with pytest.raises(DataError, match=shortage):
        check_submission(make_zip(), tiny_kitti)


def test_write_submission_equal_predictions_give_equal_bytes(predictions, tiny_kitti, tmp_path, complete, monkeypatch):
    write_submission(predictions, tiny_kitti, tmp_path / "a.zip")
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(10**9))  # on another day
    write_submission(predictions, tiny_kitti, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_check_submission_of_a_hand_made_zip_is_accepted(make_zip, tiny_kitti, complete):
    assert check_submission(make_zip(), tiny_kitti).accepted
    described = make_zip(lambda files: files.update({"description.txt": b"name: x"}), "described.zip")
    assert check_submission(described, tiny_kitti).accepted


FAULTS = {
    "no top folder": (lambda f: f.pop("sequences/"), "expected a directory entry 'sequences/'"),
    "no sequence folder": (lambda f: f.pop("sequences/17/"), "expected a directory entry 'sequences/17/'"),
    "no prediction folder": (
        lambda f: f.pop("sequences/21/predictions/"),
        "expected a directory entry 'sequences/21/predictions/'",
    ),
    "no folders": (lambda f: [f.pop(n) for n in FOLDERS], r"sequences/', found none \(and 22 more faults\)"),
    "scan missing": (lambda f: f.pop(MEMBER), "expected 'sequences/14/predictions/000000.label'"),
    "a label short": (lambda f: f.update({MEMBER: f[MEMBER][:-4]}), "expected 60 labels, found 59"),
    "a label more": (lambda f: f.update({MEMBER: f[MEMBER] + b"\0\0\0\0"}), "expected 60 labels, found 61"),
    "a byte short": (lambda f: f.update({MEMBER: f[MEMBER][:-1]}), "expected 60 labels, found 59.75"),
    "unknown ids": (lambda f: f.update({MEMBER: np.full(60, 19, "<u4").tobytes()}), r"raw label ids .* \[19\]"),
    "extra file": (lambda f: f.update({"notes.md": b"x"}), "'notes.md', which has no scan"),
    "extra scan": (
        lambda f: f.update({"sequences/11/predictions/000001.label": b"\0"}),
        "000001.label', which has no scan",
    ),
    "everything in a folder": (
        lambda f: [f.update({f"mine/{n}": f.pop(n)}) for n in list(f)],
        "expected a directory entry 'sequences/'",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_check_submission_that_the_server_refuses_is_refused(fault, make_zip, tiny_kitti, complete):
    change, message = FAULTS[fault]
    path = make_zip(change)
    with pytest.raises(DataError, match=message) as caught:
        check_submission(path, tiny_kitti)
    assert str(path) in str(caught.value)


def test_check_submission_moving_ids_and_instances_are_accepted(make_zip, tiny_kitti, complete):
    words = np.full(60, 252 | 9 << 16, "<u4").tobytes()
    assert check_submission(make_zip(lambda f: f.update({MEMBER: words})), tiny_kitti).accepted


def test_check_submission_with_a_duplicate_member_is_refused(make_zip, tiny_kitti, complete):
    path = make_zip()
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(MEMBER, np.full(60, 40, "<u4").tobytes())
    with pytest.raises(DataError, match="found duplicates"):
        check_submission(path, tiny_kitti)


def test_write_submission_to_another_suffix_is_refused(predictions, tiny_kitti, tmp_path, make_zip, complete):
    with pytest.raises(DataError, match=r"expected a name that ends in \.zip"):
        check_submission(make_zip(name="hand.zip.part"), tiny_kitti)
    with pytest.raises(OutputError, match=r"expected a name that ends in \.zip"):
        write_submission(predictions, tiny_kitti, tmp_path / "out.tar")


def test_check_submission_truncated_or_damaged_is_refused(make_zip, tiny_kitti, complete):
    path = make_zip()
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(MEMBER)
    start = info.header_offset + 30 + len(MEMBER)
    end = start + info.compress_size - 1  # the last byte is padding
    damaged = [whole[:size] for size in (0, 1, 100, len(whole) // 2, len(whole) - 30, len(whole) - 1)]
    damaged += [whole[:i] + bytes([whole[i] ^ 0xFF]) + whole[i + 1 :] for i in range(start, end)]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"hand\.zip"):
            check_submission(path, tiny_kitti)


def test_check_submission_with_any_damage_raises_a_named_error(make_zip, tiny_kitti, complete):
    path = make_zip()
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for i in rng.integers(0, len(whole), 300):
        path.write_bytes(whole[:i] + bytes([rng.integers(256)]) + whole[i + 1 :])
        with suppress(DataError):  # or accepted: some bytes mean nothing
            check_submission(path, tiny_kitti)


def test_check_submission_of_another_file_is_refused(tiny_kitti, tmp_path, complete):
    for path in (tmp_path / "absent.zip", tmp_path):
        with pytest.raises(DataError, match=path.name):
            check_submission(path, tiny_kitti)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "expected a prediction"),
        (np.full(59, 40), "60 labels.*found 59"),
        (np.full(60, 300), r"raw label ids .* \[300\]"),
    ],
    ids=["missing", "short", "unknown"],
)
def test_write_submission_failure_keeps_the_old_zip(labels, message, predictions, tiny_kitti, tmp_path, complete):
    out = tmp_path / "result.zip"
    out.write_bytes(b"old")
    (predictions / MEMBER).unlink()
    if labels is not None:
        labels.astype("<u4").tofile(predictions / MEMBER)
    with pytest.raises(DataError, match=message):
        write_submission(predictions, tiny_kitti, out)
    assert out.read_bytes() == b"old"
    assert not list(tmp_path.glob(".result*"))


def test_write_submission_interruption_keeps_the_old_zip(predictions, tiny_kitti, tmp_path, complete, monkeypatch):
    out = tmp_path / "result.zip"
    out.write_bytes(b"old")

    def full_disk(self, *args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full_disk)
    with pytest.raises(OutputError, match="No space left on device"):
        write_submission(predictions, tiny_kitti, out)
    assert out.read_bytes() == b"old"
    assert not list(tmp_path.glob(".result*"))
