"""Segmenter and predicted files."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from elite import native
from elite.device import pick_device
from elite.errors import ConfigError, DataError
from elite.inference import Segmenter
from elite.prediction_files import file_job, predict_files
from elite.remission import quantiles_of
from elite.sensor import SensorSpec
from elite.student import SPVCNN
from elite.student.engine import Engine
from elite.types import Scan
from tests.support.scans import random_scan
from tests.support.semantickitti import HDL_64E, KITTI


@pytest.fixture
def segmenter() -> Segmenter:
    return Segmenter(SPVCNN(channels=8, cells=(100, 100, 12)).eval())


def test_segmenter_labels_are_the_best_nonzero_class(segmenter: Segmenter) -> None:
    scan = random_scan(np.random.default_rng(0))
    inside = (np.abs(scan[:, :2]) < 50).all(1) & (scan[:, 2] > -4) & (scan[:, 2] < 2)
    result = segmenter(scan[inside, :3], scan[inside, 3])
    with torch.no_grad():
        points, remission = torch.from_numpy(scan[inside, :3].copy()), torch.from_numpy(scan[inside, 3].copy())
        logits = segmenter.student(points, remission, torch.zeros(len(points), dtype=torch.int64)).logits
    logits[:, 0] = -torch.inf
    np.testing.assert_array_equal(result.labels, logits.argmax(1))
    np.testing.assert_allclose(result.confidence, torch.softmax(logits, 1).max(1).values, rtol=1e-5)


def test_segmenter_with_settings_is_that_of_its_own(segmenter: Segmenter) -> None:
    scan = random_scan(np.random.default_rng(0))
    for precision in segmenter.faster_precisions:
        found = segmenter.with_settings(precision, 3)
        expected = Segmenter(segmenter.student, precision=precision, votes=3)(scan[:, :3], scan[:, 3])
        assert found.guard is segmenter.guard
        np.testing.assert_array_equal(found(scan[:, :3], scan[:, 3]).probabilities(), expected.probabilities())
    assert (segmenter.precision, segmenter.ensemble.count) == ("fp32", 1)
    assert segmenter.faster_precisions[0] == "fp32"
    assert Segmenter(segmenter.student, backend="torch").faster_precisions == ("fp32",)


def test_segmenter_with_settings_creates_one_engine_per_precision(segmenter: Segmenter) -> None:
    segmenter._engines["int8"] = other = Engine(segmenter.student)  # not all processors multiply int8
    few, many = segmenter.with_settings("int8", 2), segmenter.with_settings("int8", 4)
    assert few.engine is many.engine is few.with_settings("int8", 1).engine is other
    assert few.with_settings("fp32", 2).engine is segmenter.with_settings("fp32", 4).engine is segmenter.engine
    assert Segmenter(segmenter.student, backend="torch").with_settings("fp32", 2).engine is None


def test_segmenter_on_cpu_0_uses_the_native_engine(segmenter: Segmenter) -> None:
    found = Segmenter(segmenter.student, torch.device("cpu", 0))
    assert (found.device, found.backend, found.views_per_batch) == ("cpu", segmenter.backend, 1)
    assert pick_device("cpu:0") == "cpu"


def test_faster_precisions_are_those_with_instructions_for_their_products(
    segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = {
        **dict.fromkeys(("portable", "neon", "avx2", "avx512"), ("fp32",)),
        **dict.fromkeys(("avxvnni", "avx512vnni", "neondot"), ("fp32", "int8")),
        **dict.fromkeys(("avx512bf16", "avx512amx", "neonbf16"), ("fp32", "bf16", "int8")),
    }
    header = Path(native.__file__).with_name("processor.h").read_text()
    assert set(re.findall(r'\{"(\w+)", &', header)) == set(expected)
    for name, precisions in expected.items():
        monkeypatch.setattr("elite.native.model.instructions", lambda name=name: name)
        assert Engine(segmenter.student).faster_precisions == precisions, name


def test_segmenter_points_outside_take_the_nearest_label(segmenter: Segmenter) -> None:
    inside = random_scan(np.random.default_rng(1), 40) * np.array([0.5, 0.5, 1, 1], np.float32)
    outside = np.array([[80, 3, -1, 0.1], [-60, -70, 5, 0.9], [0, 0, 30, 0.3]], np.float32)
    whole = segmenter(np.vstack([inside, outside])[:, :3], np.hstack([inside[:, 3], outside[:, 3]]))
    alone = segmenter(inside[:, :3], inside[:, 3])
    nearest = [np.linalg.norm(inside[:, :3] - p[:3], axis=1).argmin() for p in outside]
    np.testing.assert_array_equal(whole.labels, np.hstack([alone.labels, alone.labels[nearest]]))


def test_segmenter_fill_radius_leaves_farther_points_without_a_label(segmenter: Segmenter) -> None:
    inside = random_scan(np.random.default_rng(1), 40) * np.array([0.5, 0.5, 1, 1], np.float32)
    edge, radius = np.float32([49.5, 10, -1, 0.1]), 3.0
    outside = edge + np.float32([[0.6, 0, 0, 0], [2.9, 0, 0, 0], [3.1, 0, 0, 0], [3e38, 0, 0, 0]])
    scan = np.vstack([edge, inside, outside])
    unlimited = segmenter(scan[:, :3], scan[:, 3])
    segmenter.fill_radius = radius
    result = segmenter(scan[:, :3], scan[:, 3])
    without = np.arange(len(scan)) >= len(scan) - 2
    for name in ("labels", "confidence"):
        np.testing.assert_array_equal(getattr(result, name), np.where(without, 0, getattr(unlimited, name)))
    np.testing.assert_array_equal(result.probabilities(), np.where(without[:, None], 0, unlimited.probabilities()))
    assert (unlimited.outside, unlimited.unfilled, result.outside, result.unfilled) == (4, 0, 4, 2)
    with pytest.raises(ConfigError, match="fill_radius: expected metres, at least 0, found -1"):
        Segmenter(segmenter.student, fill_radius=-1)


def test_segmenter_height_and_intensity_convert_the_scan() -> None:
    rng = np.random.default_rng(0)
    trained = np.sort(rng.random(100).astype(np.float32) ** 2)
    student = SPVCNN(channels=8, cells=(100, 100, 12), remission=quantiles_of(trained))
    scan = random_scan(rng, 100) * np.array([0.5, 0.5, 0.5, 1], np.float32)
    points, remission = scan[:, :3], np.round(scan[:, 3], 1)
    low, plain = points - np.float32([0, 0, 0.25]), Segmenter(student)
    share = [np.mean(remission < value) + np.mean(remission == value) / 2 for value in remission]
    mapped = np.interp(share, np.linspace(0, 1, 33), np.quantile(trained, np.linspace(0, 1, 33)))
    for options, converted in (
        ({"height": 1.98}, (points, remission)),
        ({"height": 1.98, "intensity": "zero"}, (points, 0 * remission)),
        ({"height": 1.98, "intensity": "quantile"}, (points, mapped.astype(np.float32))),
    ):
        expected = plain.logits(Scan(*converted))
        np.testing.assert_allclose(Segmenter(student, **options).logits(Scan(low, remission)), expected, atol=2e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"intensity": "quantile"}, "expected a student that records the remission .* --intensity zero"),
        ({"intensity": "rank"}, "intensity: expected scale, quantile or zero, found 'rank'"),
        ({"height": 2.0}, "expected a student whose sensor has a height, found none for own"),
        ({"height": -1.0, "sensor": HDL_64E}, r"expected a height in \[0, 100\) m"),
    ],
)
def test_segmenter_of_an_impossible_conversion_is_refused(options: dict, message: str) -> None:
    sensor = options.pop("sensor", SensorSpec("own"))
    with pytest.raises(ConfigError, match=message):
        Segmenter(SPVCNN(channels=4, cells=(20, 20, 6), sensor=sensor), **options)


def test_segmenter_logits_give_its_labels(segmenter: Segmenter) -> None:
    scan = random_scan(np.random.default_rng(2))  # some of it outside the volume
    result, logits = segmenter(scan[:, :3], scan[:, 3]), segmenter.logits(Scan(scan[:, :3], scan[:, 3]))
    assert logits.shape == (len(scan), 20)
    np.testing.assert_array_equal(logits[:, 1:].argmax(axis=1) + 1, result.labels)
    share = torch.softmax(torch.from_numpy(logits[:, 1:]), dim=1).amax(dim=1)
    np.testing.assert_allclose(share, result.confidence, rtol=1e-5)


@pytest.mark.parametrize(
    ("points", "remission", "message"),
    [
        (np.zeros((4, 4)), np.zeros(4), r"expected points \(N, 3\)"),
        (np.zeros((4, 3)), np.zeros(5), "remission"),
        (np.full((2, 3), np.nan), np.zeros(2), "NaN"),
        (np.full((2, 3), 500.0), np.zeros(2), "expected points in the volume .* found none of 2 points"),
        (np.zeros((0, 3)), np.zeros(0), "found none of 0 points"),
    ],
)
def test_segmenter_of_an_invalid_scan_names_the_fault(segmenter: Segmenter, points, remission, message) -> None:
    with pytest.raises(DataError, match=message):
        segmenter(points, remission)


@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_segmenter_with_remission_that_overflows_names_it_instead_of_nan(backend) -> None:
    student = SPVCNN(channels=4, cells=(20, 20, 6))
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.mul_(4)
    segmenter = Segmenter(student, backend=backend, report=lambda message: None)
    scan = random_scan(np.random.default_rng(0), 60)
    remission = np.where(np.arange(60) % 2, 3e38, -3e38).astype(np.float32)
    for answer in (segmenter, segmenter.logits):
        with pytest.raises(DataError, match=r"remission is between -3e\+38 and 3e\+38"):
            answer(Scan(scan[:, :3], remission))
    assert np.isfinite(segmenter(scan[:, :3], scan[:, 3]).confidence).all()


def test_pick_device_of_an_unknown_device_names_it() -> None:
    for name in ("tpu9x", "cuda:17", "cpu:x"):
        with pytest.raises(ConfigError, match=name):
            pick_device(name)


def test_predict_files_damaged_scan_is_skipped_and_named(segmenter: Segmenter, tmp_path: Path) -> None:
    scans = [random_scan(np.random.default_rng(i), 30) for i in range(3)]
    jobs = [file_job(tmp_path / f"{i}.bin", tmp_path / "out", segmenter.sensor) for i in range(3)]
    jobs = [replace(job, confidence=tmp_path / f"{i}.confidence") for i, job in enumerate(jobs)]
    for job, scan in zip(jobs, scans, strict=True):
        scan.tofile(job.scan)
    jobs[1].scan.write_bytes(jobs[1].scan.read_bytes()[:-3])
    failed = []
    done = predict_files(segmenter, jobs, lambda job, error: failed.append((job, str(error))))
    assert (done.written, done.failed) == (2, 1)
    assert failed[0][0] is jobs[1]
    assert "1.bin" in failed[0][1]
    assert [job.is_done() for job in jobs] == [True, False, True]
    expected = segmenter(scans[2][:, :3], scans[2][:, 3])
    np.testing.assert_array_equal(np.fromfile(jobs[2].labels, "<u4"), KITTI.to_raw(expected.labels))
    np.testing.assert_array_equal(np.fromfile(tmp_path / "2.confidence", "<f4"), expected.confidence)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 480000000 bytes."),
    ],
    ids=["numpy", "cuda", "torch on a CPU"],
)
def test_predict_files_with_a_scan_beyond_memory_labels_the_others(
    tmp_path: Path, error, segmenter, monkeypatch
) -> None:
    jobs = [file_job(tmp_path / f"{i}.bin", tmp_path, segmenter.sensor) for i in range(2)]
    for i, job in enumerate(jobs):
        random_scan(np.random.default_rng(0), 9 - i).tofile(job.scan)
    segment = segmenter.segment

    def fail_on_large(scan, source):
        if len(scan) == 9:
            raise error
        return segment(scan, source)

    monkeypatch.setattr(segmenter, "segment", fail_on_large)
    failed: list[str] = []
    done = predict_files(segmenter, jobs, lambda job, reason: failed.append(str(reason)))
    assert (done.written, done.failed) == (1, 1)
    assert "0.bin: expected a scan that fits in memory" in failed[0]
    monkeypatch.setattr(segmenter, "segment", lambda scan, source: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # an error of the program itself
        predict_files(segmenter, jobs, lambda job, reason: None)
