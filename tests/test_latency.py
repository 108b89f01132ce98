"""Latency of a scan, in total and by stage."""

import json
from itertools import accumulate, chain, cycle, repeat
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from elite import native
from elite.cli import main, parse
from elite.errors import ConfigError, DataError
from elite.inference import Segmenter
from elite.latency import WARM_UP, TimeStatistics, measure, timed
from elite.prediction_files import PredictionJob, file_job
from elite.sparse import Backend
from elite.student import SPVCNN, save_student
from elite.student.engine import Precision
from elite.types import Scan
from tests.support.scans import random_scan
from tests.support.semantickitti import HDL_64E

CLOCK_READINGS = 6  # for a scan in plain torch: two for the file, a start and three stages
BACKENDS = ["torch", pytest.param("native", marks=pytest.mark.skipif(native.library() is None, reason="not built"))]


def small_segmenter(backend: Backend = "auto") -> Segmenter:
    return Segmenter(SPVCNN(channels=8, cells=(50, 50, 10)), backend=backend)


@pytest.fixture
def jobs(tmp_path: Path) -> list[PredictionJob]:
    paths = [tmp_path / f"{i}.bin" for i in range(2)]
    for i, path in enumerate(paths):
        random_scan(np.random.default_rng(i), 40 + 20 * i).tofile(path)
    return [file_job(path, tmp_path, HDL_64E) for path in paths]


def test_percentiles_of_known_times_are_exact() -> None:
    assert TimeStatistics.of([*range(1, 102)][::-1]) == TimeStatistics(p50=51, p95=96, p99=100, mean=51)


@pytest.mark.parametrize("backend", BACKENDS)
def test_latency_timed_path_equals_the_segmenter(backend: Backend) -> None:
    segmenter = small_segmenter(backend)
    values = random_scan(np.random.default_rng(0))
    scan = Scan(values[:, :3], values[:, 3])
    result, times = timed(segmenter, scan)
    expected = segmenter.segment(scan)
    np.testing.assert_array_equal(result.labels, expected.labels)
    np.testing.assert_array_equal(result.confidence, expected.confidence)
    apart = ["geometry"] if backend == "native" else []  # plain torch finds the voxels in the network
    assert [*times] == ["crop", *apart, "network", "labels"]


def test_latency_stages_add_up_without_reading(jobs: list[PredictionJob]) -> None:
    """Clock readings during a scan are 100, 1, 2, 3, 4 ms apart, and 5 ms from one scan to the next."""
    clock = (t / 1000 for t in accumulate(cycle([100, 1, 2, 3, 4, 5]), initial=0))
    report = measure(small_segmenter("torch"), jobs, rounds=3, clock=lambda: next(clock))
    assert (report.scans, report.points, report.runs) == (2, 50, 6)
    assert report.read.mean == pytest.approx(100)
    assert {name: spread.p95 for name, spread in report.stages.items()} == pytest.approx(
        {"crop": 2, "network": 3, "labels": 4}
    )
    assert report.whole.mean == pytest.approx(sum(s.mean for s in report.stages.values()))
    assert (report.backend, report.precision, report.kernels) == ("torch", "fp32", native.describe())


def test_latency_excludes_the_warm_up(jobs: list[PredictionJob]) -> None:
    clock = accumulate(chain(repeat(1000.0, CLOCK_READINGS * WARM_UP), repeat(0.001)))
    report = measure(small_segmenter("torch"), jobs, rounds=1, clock=lambda: next(clock))
    assert report.runs == 2
    assert report.whole.p99 == pytest.approx(3)


def test_latency_without_scans_is_refused(jobs: list[PredictionJob]) -> None:
    with pytest.raises(ConfigError, match="rounds"):
        measure(small_segmenter(), jobs, rounds=0)
    with pytest.raises(DataError, match="scans: expected at least one"):
        measure(small_segmenter(), [])
    np.full((2, 4), np.nan, np.float32).tofile(jobs[1].scan)
    with pytest.raises(DataError, match=r"1\.bin: .*NaN"):
        measure(small_segmenter(), jobs)


def test_bench_latency_prints_a_table_and_writes_json(tmp_path: Path, jobs: list[PredictionJob], capsys) -> None:
    student, result = tmp_path / "student.safetensors", tmp_path / "latency.json"
    save_student(SPVCNN(channels=8, cells=(50, 50, 10)), student)
    before = torch.get_num_threads()
    try:
        argv = ["bench", "latency", student, tmp_path, "--rounds", 2, "--backend", "torch", "--threads", 1]
        assert main([*map(str, argv), "--json", str(result)]) == 0
    finally:
        torch.set_num_threads(before)
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines()[1:7]] == [
        "ms",
        "whole",
        "crop",
        "network",
        "labels",
        "read",
    ]
    report = json.loads(result.read_text())
    assert (report["runs"], report["threads"], report["backend"]) == (4, 1, "torch")
    assert report["whole"]["p50"] <= report["whole"]["p99"]
    assert report["versions"]["kernels"] == report["kernels"]
    for argv, message in {
        ("bench", "speed"): "choose from",
        (
            "bench",
            "latency",
            str(student),
            str(jobs[0].scan),
            "--threads",
            "0",
        ): "--threads: expected a whole number",
        ("bench", "latency", str(student), str(tmp_path / "none.bin")): "none.bin",
        ("predict", str(student), str(jobs[0].scan), "-o", str(tmp_path / "o"), "--backend", "cuda"): "backend",
    }.items():
        assert main([*argv]) == 2
        assert message in capsys.readouterr().err


def test_bench_latency_names_the_files_that_it_does_not_read(tmp_path: Path, tiny_kitti: Path, capsys) -> None:
    student = tmp_path / "student.safetensors"
    save_student(SPVCNN(channels=8, cells=(50, 50, 10)), student)
    (tiny_kitti / "sequences/00/velodyne/notes.txt").touch()
    for data, line in (
        ((tiny_kitti, "--sequences=00"), "00/velodyne: 1 files are not read (notes.txt, ...)"),
        ((tiny_kitti / "sequences/00/velodyne",), "velodyne: 1 files are not read (notes.txt, ...)"),
    ):
        assert main([*map(str, ("bench", "latency", student, *data, "--rounds", 1))]) == 0
        assert line in capsys.readouterr().err


def test_bench_latency_impossible_options_are_refused() -> None:
    for backend in (name for literal in get_args(Backend) for name in get_args(literal)):
        for precision in get_args(Precision):
            _, args = parse(["predict", "m", "d", "-o", "o", "--backend", backend, "--precision", precision])
            assert (args.backend, args.precision) == (backend, precision)
