"""Inputs of other sensors, which a student labels badly or in the wrong number, are reported wherever they are given.

Each row has the files, the report with the setting that corrects it, and that setting, after which nothing is reported.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import elite
from elite.cli import main
from elite.errors import DataError
from elite.remission import quantiles_of
from elite.student import SPVCNN, save_student
from tests.support.street_scans import drive, in_firing_order, no_returns, street, turned, with_ring


@dataclass(frozen=True)
class Row:
    """A fault: rows of a scan from those of a sound one, its report, and settings that correct it.

    Attributes:
        written: contents of the file; by default the rows as float32.
        is_error: the scan is refused; other faults are warnings, and errors with --strict.
        sensor: YAML of the sensor.
        options: of ``elite predict``.
        scans: number of scans that show it.
    """

    change: Callable[[np.ndarray], np.ndarray]
    report: str
    written: Callable[[np.ndarray], bytes] = lambda rows: rows.astype("<f4").tobytes()
    is_error: bool = False
    sensor: str = ""
    options: tuple[str, ...] = ()
    scans: int = 1


def as_npy(rows: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, rows.astype(np.float32))
    return file.getvalue()


ROWS = {
    "signal 0..4000": Row(
        lambda v: v * (1, 1, 1, 4000),
        r"remission in 0\.\.1, found [\d.e-]+ to 39\d\d.*\. Divide it by 4000, such as by 'intensity: {max: 4000}'",
        sensor="intensity: {max: 4000}",
    ),
    "reflectivity 0..255": Row(
        lambda v: v * (1, 1, 1, 255),
        r"expected remission in 0\.\.1, found .* to 25\d.*\. Divide it by 255, such as by 'intensity: {max: 255}'",
        sensor="intensity: {max: 255}",
    ),
    "another unit": Row(
        lambda v: v * (1, 1, 1, 0.1),
        r"expected a remission of up to about 0\.95 in 95% of the points, .* found up to 0\.09.*--intensity quantile",
        options=("--intensity", "quantile"),
    ),
    "no remission": Row(
        lambda v: v * (1, 1, 1, 0),
        r"expected remission in 0\.\.1, found 0 for all points\. .*--intensity zero",
        options=("--intensity", "zero"),
    ),
    "mounted at 2.1 m": Row(
        lambda v: np.subtract(v, (0, 0, 0.37, 0)),
        r"expected the ground at z = -1\.73 m, found it at -2\.1\d m.* give --height 2\.1\d to shift z by \+0\.3\d m",
        options=("--height", "2.1"),
    ),
    "missing returns": Row(
        no_returns,
        r"expected measured points only, found 20% at the origin.* Give 'no_return: drop' for the sensor",
        sensor="no_return: drop",
    ),
    "x right, y forward": Row(
        turned,
        r"expected the street along x .* found obstacles in front .* in 5 scans\. .*'axes: right-forward-up'",
        sensor="axes: right-forward-up",
        scans=8,
    ),
    "five columns": Row(
        lambda v: with_ring(in_firing_order(v)),
        r"expected float32 x y z remission .* found float32 with 5 numbers .*'columns: \[x, y, z, remission, ring\]'",
        is_error=True,
        sensor="columns: [x, y, z, remission, ring]",
    ),
    "float64": Row(
        in_firing_order,
        r"expected float32 x y z remission .* found float64 with 4 numbers .*Convert it: write x y z remission",
        written=lambda rows: rows.astype("<f8").tobytes(),
        is_error=True,
    ),
    "npy": Row(
        lambda v: v,
        r"expected float32 x y z .* found the contents of a \.npy file\. Rename the file to its format, \.npy",
        written=as_npy,
        is_error=True,
    ),
}


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("student") / "student.safetensors"
    save_student(SPVCNN(channels=4, cells=(50, 50, 10), remission=quantiles_of(street()[:, 3])), path)
    return path


@pytest.fixture(params=ROWS)
def row(request: pytest.FixtureRequest) -> Row:
    return ROWS[request.param]


@pytest.fixture
def scans(row: Row, tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for i in range(row.scans):
        (folder / f"{i:06d}.bin").write_bytes(row.written(row.change(drive(i))))
    return folder


def _reports(captured: str) -> str:
    return " ".join(captured.split())


@pytest.mark.parametrize("command", ["predict", "stream"])
def test_silent_fault_is_reported_by_a_command_and_strictly_an_error(
    row: Row, command: str, student: Path, scans: Path, tmp_path: Path, capsys
) -> None:
    argv = [command, str(student), str(scans), *(["--once"] if command == "stream" else [])]
    assert main([*argv, "-o", str(tmp_path / "out")]) == row.is_error
    assert len(re.findall(row.report, _reports(capsys.readouterr().err))) == 1
    assert len([*(tmp_path / "out").glob("*.label")]) == (0 if row.is_error else row.scans)
    assert main([*argv, "-o", str(tmp_path / "strict"), "--strict"]) == 1


def test_silent_fault_is_reported_in_python(row: Row, student: Path, scans: Path) -> None:
    messages: list[str] = []
    if row.is_error:
        with pytest.raises(DataError, match=row.report):
            elite.read(scans / "000000.bin")
        return
    model = elite.load(student, report=messages.append)
    for path in sorted(scans.iterdir()):
        values = np.fromfile(path, "<f4").reshape(-1, 4)
        model(values[:, :3], values[:, 3])
    assert len(messages) == 1
    assert re.search(row.report, messages[0])


@pytest.mark.parametrize("row", [name for name, row in ROWS.items() if row.sensor or row.options], indirect=True)
def test_silent_fault_is_corrected_by_the_setting_of_its_report(
    row: Row, student: Path, scans: Path, tmp_path: Path, capsys
) -> None:
    (tmp_path / "own.yaml").write_text(f"name: own\n{row.sensor}\n")
    argv = ["predict", str(student), str(scans), "--sensor", str(tmp_path / "own.yaml"), *row.options]
    assert main([*argv, "-o", str(tmp_path / "out"), "--strict"]) == 0
    assert "warning" not in capsys.readouterr().err
    assert len(np.fromfile(tmp_path / "out" / "000000.label", "<u4")) == len(drive(0))
