"""Scans that do not fit the student: scores without any setting, and with the setting that elite names.

    python -m experiments.silent_inputs STUDENT --out DIR [--results FILE]

STUDENT is that of ``make demo``: classes of SemanticKITTI, x forward, remission 0..1, the sensor 1.73 m above the road.
Renders eight scans of an OS1-128 at 2.1 m on another street, writes them as recorders do, labels them with
``elite predict``, and prints the mIoU of eleven classes, to which ground truth and predictions are mapped.
"""

import argparse
import io
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Integer

from elite.environment import describe
from elite.metrics import confusion_matrix, score
from elite.sensor import load_sensor
from experiments.ablation.data import render
from experiments.runs import append_row

STREET = "--seed 7 --sequences 1 --frames 8 --sensor os1-128 --height 2.1 --image-width 62 --image-height 19"
FIRINGS = 128 * 1024  # of a turn
HEIGHT = "--height 2.1"
CLASSES = {  # raw ids of SemanticKITTI
    "drivable": (40, 44, 49),
    "walkway": (48,),
    "soil": (72,),
    "building": (50,),
    "barrier": (51,),
    "plant": (70, 71),
    "post": (80, 81),
    "car": (10,),
    "large vehicle": (18, 20),
    "two-wheeler": (11, 15, 31, 32),
    "person": (30,),
}
MESSAGE = re.compile(r"expected .*?(?=\. |\.$)", re.MULTILINE)

Rows = Float32[np.ndarray, "n 4"]  # x forward, y left, z up (m), remission 0..1
Scans = dict[str, tuple[Rows, Integer[np.ndarray, "n"]]]  # points and raw ids by name


def plain(rows: Rows) -> bytes:
    return rows.tobytes()


def scaled(factor: float) -> Callable[[Rows], bytes]:
    return lambda rows: (rows * np.array([1, 1, 1, factor], np.float32)).tobytes()


def ranks(rows: Rows) -> bytes:
    order = rows[:, 3].argsort(kind="stable").argsort() / len(rows)
    return np.column_stack([rows[:, :3], order]).astype("<f4").tobytes()


def missing_returns(rows: Rows) -> bytes:
    return rows.tobytes() + bytes(16 * (FIRINGS - len(rows)))


def right_forward(rows: Rows) -> bytes:
    return np.column_stack([-rows[:, 1], rows[:, 0], rows[:, 2:]]).tobytes()


def five_columns(rows: Rows) -> bytes:
    elevations = np.degrees(np.arctan2(rows[:, 2], np.hypot(rows[:, 0], rows[:, 1])))
    beams = np.array(load_sensor("os1-128").elevations)
    rings = np.searchsorted((beams[1:] + beams[:-1]) / 2, elevations)
    return np.column_stack([rows, rings]).astype("<f4").tobytes()


def float64(rows: Rows) -> bytes:
    return rows.astype("<f8").tobytes()


def npy(rows: Rows) -> bytes:
    file = io.BytesIO()
    np.save(file, rows)
    return file.getvalue()


@dataclass(frozen=True)
class Case:
    """Scans as a recorder stores them, and what elite asks for.

    Attributes:
        name: what is unusual.
        encode: contents of a file.
        options: of ``elite predict`` without the setting.
        setting: of the sensor, or an option, or the suffix or number format of another file; empty = none.
        encode_again: contents of that file.
    """

    name: str
    encode: Callable[[Rows], bytes] = plain
    options: str = HEIGHT
    setting: str = ""
    encode_again: Callable[[Rows], bytes] | None = None


CASES = (
    Case("as documented"),
    Case("signal 0..4000", scaled(4000), setting="intensity: {max: 4000}"),
    Case("reflectivity 0..255", scaled(255), setting="intensity: {max: 255}"),
    Case("remission 0", scaled(0), setting="--intensity zero"),
    Case("ranks of the remission", ranks, setting="--intensity quantile"),
    Case("2.1 m, z not shifted", options="", setting=HEIGHT),
    Case("missing returns at the origin", missing_returns, setting="no_return: drop"),
    Case("x right, y forward", right_forward, setting="axes: right-forward-up"),
    Case("five columns", five_columns, setting="columns: [x, y, z, remission, ring]"),
    Case("float64", float64, setting="float32", encode_again=plain),
    Case("a .npy file called .bin", npy, setting=".npy", encode_again=npy),
)


@dataclass(frozen=True)
class Outcome:
    """Result of ``elite predict``.

    Attributes:
        miou: in %; None without labels.
        surplus: labels of classes at points without a return.
        report: kind and text of its first message, empty without one.
    """

    miou: float | None
    surplus: int
    report: str

    def values(self) -> tuple[str, int, str]:
        return "" if self.miou is None else f"{self.miou:.1f}", self.surplus, self.report


def read_scans(drive: Path) -> Scans:
    sequence = drive / "sequences" / "08"
    names = sorted(path.stem for path in sequence.glob("velodyne/*.bin"))
    points = {name: np.fromfile(sequence / "velodyne" / f"{name}.bin", "<f4").reshape(-1, 4) for name in names}
    return {name: (points[name], _ids(sequence / "labels" / f"{name}.label")) for name in names}


def _ids(path: Path) -> Integer[np.ndarray, "n"]:
    return np.fromfile(path, "<u4") & 0xFFFF


def to_class(raw: Integer[np.ndarray, "n"]) -> Integer[np.ndarray, "n"]:
    table = np.zeros(2**16, np.uint8)
    for number, members in enumerate(CLASSES.values(), 1):
        table[list(members)] = number
    return table[raw]


def predict(student: Path, folder: Path, scans: Scans, *options: str) -> Outcome:
    """Label the files of ``folder`` and score them. Points without a return are behind all others."""
    out = folder.with_name(f"{folder.name} labels")
    words = [sys.executable, "-m", "elite", "predict", str(student), str(folder), "-o", str(out), *options]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    found = MESSAGE.search(done.stderr)
    report = f"{'error' if done.returncode else 'warning'}: {found[0]}" if found else ""
    if done.returncode:
        return Outcome(None, 0, report)
    confusion, surplus = np.zeros((len(CLASSES) + 1,) * 2, np.int64), 0
    for name, (_, raw) in scans.items():
        labels = _ids(out / f"{name}.label")
        surplus += int(np.count_nonzero(labels[len(raw) :]))
        confusion += confusion_matrix(to_class(labels[: len(raw)]), to_class(raw), len(confusion))
    return Outcome(100 * score(confusion).miou_present, surplus, report)


def write(folder: Path, scans: Scans, encode: Callable[[Rows], bytes], suffix: str = ".bin") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, (rows, _) in scans.items():
        (folder / f"{name}{suffix}").write_bytes(encode(rows))
    return folder


def without_setting(case: Case, student: Path, out: Path, scans: Scans) -> Outcome:
    return predict(student, write(out / case.name, scans, case.encode), scans, *case.options.split())


def with_setting(case: Case, student: Path, out: Path, scans: Scans) -> Outcome:
    folder = out / f"{case.name}, set"
    if case.encode_again:
        suffix = case.setting if case.setting.startswith(".") else ".bin"
        return predict(student, write(folder, scans, case.encode_again, suffix), scans, *case.options.split())
    write(folder, scans, case.encode)
    if case.setting.startswith("--"):
        return predict(student, folder, scans, *case.options.split(), *case.setting.split())
    (out / "sensor.yaml").write_text(f"preset: os1-128\nname: own\n{case.setting}\n")
    return predict(student, folder, scans, *case.options.split(), "--sensor", str(out / "sensor.yaml"))


def run(case: Case, student: Path, out: Path, scans: Scans) -> dict[str, object]:
    """Values of a row of results."""
    names = ("miou", "surplus", "report")
    row: dict[str, object] = {"input": case.name}
    row |= zip(names, without_setting(case, student, out, scans).values(), strict=True)
    after = with_setting(case, student, out, scans).values() if case.setting else ("", "", "")
    return row | {"setting": case.setting} | {f"set_{n}": v for n, v in zip(names, after, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("student", type=Path)
    parser.add_argument("--out", type=Path, default=Path("silent-inputs"))
    parser.add_argument("--results", type=Path, help="CSV file to append the rows to")
    args = parser.parse_args()
    render(args.out / "drive", STREET)
    scans, machine = read_scans(args.out / "drive"), describe()
    for case in CASES:
        row = run(case, args.student, args.out, scans) | {name: machine[name] for name in ("commit", "hardware")}
        print(row, flush=True)
        if args.results:
            append_row(args.results, row)


if __name__ == "__main__":
    main()
