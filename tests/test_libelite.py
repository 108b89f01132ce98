"""libelite through its C interface, against the Python path and against searches by hand."""

import ctypes
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elite import native
from elite.datasets.scan_files import read_scan
from elite.errors import DataError
from elite.geometry import nearest
from elite.inference import Segmenter
from elite.native import Model, PointAnswers, Precision, answers_of
from elite.native.elite_h import Groups, Options, Result, Scan
from elite.native.loader import opened
from elite.student import SPVCNN
from elite.student.model_file import model_bytes
from elite.types import PastPoints
from elite.types import Scan as PythonScan
from tests.support.scans import random_scan
from tests.support.semantickitti import HDL_64E
from tests.support.students import with_random_norms

pytestmark = pytest.mark.skipif(native.library() is None, reason=native.describe())
SMALL: dict[str, Any] = {"volume": ((-20.0, -20.0, -4.0), (20.0, 20.0, 2.0)), "cells": (80, 80, 12)}
ARGUMENT, SCAN = 1, 4


def student_of(**settings: Any) -> SPVCNN:
    """Student with random batch norms, and with logits as large as trained ones."""
    torch.manual_seed(0)
    student = with_random_norms(SPVCNN(**{"channels": 16, "strides": (1, 2, 4), **SMALL} | settings), std=0.2)
    torch.nn.init.normal_(student.classifier[2].weight, std=1.0)  # type: ignore[arg-type]
    return student


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(model_bytes(student_of()))


def wide_scan(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points of which about a third are outside the small volume."""
    rng = np.random.default_rng(seed)
    points = rng.normal(0, (15, 15, 1.5), (count, 3)).astype(np.float32)
    return points, rng.random(count, np.float32)


def equal_bits(first: PointAnswers, second: PointAnswers) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(astuple(first), astuple(second), strict=True))


# ---- results ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fill_radius", [0.0, 3.0])
def test_segment_equals_the_segmenter(fill_radius: float) -> None:
    student, (points, remission) = student_of(), wide_scan(3000)
    found = Model(model_bytes(student)).session().segment(points, remission, fill_radius=fill_radius)
    segmenter = Segmenter(student, backend="torch", fill_radius=fill_radius or None, report=lambda _: None)
    expected = segmenter(points, remission)
    assert 300 < expected.outside < 2000
    assert (expected.unfilled > 100) == (fill_radius > 0)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.probabilities, expected.confidence, atol=2e-5)
    np.testing.assert_allclose(found.class_probabilities, expected.probabilities(), atol=2e-5)
    np.testing.assert_allclose(found.entropy, expected.entropy, atol=2e-5)


def test_segment_equals_the_segmenter_with_native_kernels_bit_for_bit() -> None:
    student, (points, remission) = student_of(), wide_scan(3000)
    found = Model(model_bytes(student)).session().segment(points, remission, fill_radius=3.0)
    expected = Segmenter(student, fill_radius=3.0, report=lambda _: None)(points, remission)
    assert expected.unfilled > 100
    values = expected.labels, expected.confidence, expected.entropy, expected.probabilities()
    assert equal_bits(found, PointAnswers(*values))


def test_answers_of_logits_that_are_not_finite_are_refused() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (50, 20)).astype(np.float32)
    logits[:, 0] = np.nan  # of the class that was never trained
    assert (answers_of(logits).labels == logits[:, 1:].argmax(axis=1) + 1).all()
    logits[7, 3] = np.inf
    with pytest.raises(DataError, match="expected finite logits"):
        answers_of(logits)


def test_answers_of_logits_farther_apart_than_float_have_an_entropy() -> None:
    found = answers_of(np.float32([[0, 3e38, -3e38, 0], [0, 3e38, 3e38, -3e38]]))
    np.testing.assert_allclose(found.entropy, [0, np.log(2) / np.log(3)], atol=1e-6)
    np.testing.assert_array_equal(found.class_probabilities, [[0, 1, 0, 0], [0, 0.5, 0.5, 0]])


def test_segment_of_real_scans_equals_pytorch(real_kitti: Path) -> None:
    student = student_of(channels=32, strides=(1, 2, 4, 8, 16), volume=SPVCNN().config.volume, cells=(1000, 1000, 60))
    session, segmenter = Model(model_bytes(student)).session(), Segmenter(student, backend="torch")
    for path in sorted((real_kitti / "sequences" / "00" / "velodyne").glob("*.bin"))[:2]:
        scan = read_scan(path, HDL_64E)
        found, expected = session.segment(scan.points, scan.remission), segmenter(scan.points, scan.remission)
        assert expected.outside > 100
        np.testing.assert_array_equal(found.labels, expected.labels)
        np.testing.assert_allclose(found.class_probabilities, expected.probabilities(), atol=1e-4)


def test_segment_with_past_scans_equals_the_segmenter() -> None:
    student, (points, remission) = student_of(past_scans=1), wide_scan(1500)
    age = np.where(np.arange(1500) % 3, 0, np.float32(0.1)).astype(np.float32)
    own, session = age == 0, Model(model_bytes(student)).session()
    found = session.segment(points, remission, age)
    past = PastPoints(points[~own], remission[~own], age[~own])
    scan = PythonScan(points[own], remission[own], past=past)
    expected = Segmenter(student, backend="torch", report=lambda _: None).segment(scan)
    np.testing.assert_array_equal(found.labels[own], expected.labels)
    np.testing.assert_allclose(found.class_probabilities[own], expected.probabilities(), atol=2e-5)
    assert (found.labels > 0).all()
    with pytest.raises(ValueError, match="age, which the model requires"):
        session.segment(points, remission)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_segment_any_thread_count_gives_the_same_bits(precision: Precision) -> None:
    if not native.multiplies(precision):
        pytest.skip(f"this processor does not multiply {precision}")
    session = Model(model_bytes(student_of()), precision).session()
    first, *others = (session.segment(*wide_scan(20000), threads=count) for count in (1, 2, 4))
    assert all(equal_bits(first, other) for other in others)


def test_segment_from_several_threads_equals_calls_in_turn(model: Model) -> None:
    scans = [wide_scan(500 + 900 * (i % 3), seed=i) for i in range(9)]
    alone = [model.session().segment(*scan) for scan in scans]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda scan: model.session().segment(*scan, threads=1), scans))
    assert all(map(equal_bits, alone, together))


def test_segment_point_that_is_not_finite_has_no_answer(model: Model) -> None:
    points, remission = wide_scan(600)
    expected = model.session().segment(points, remission)
    damaged = np.insert(points, [0, 50, 600], np.float32([[np.nan, 0, 0], [0, np.inf, 0], [0, 0, 0]]), axis=0)
    found = model.session().segment(damaged, np.insert(remission, [0, 50, 600], np.float32([0, 0, np.nan])))
    without = [0, 51, 602]
    assert not found.labels[without].any()
    assert (found.entropy[without] == 1).all()
    kept = np.delete(np.arange(603), without)
    assert equal_bits(PointAnswers(*(values[kept] for values in astuple(found))), expected)


@pytest.mark.parametrize("shape", ["equal points", "far points", "a line", "a plane"])
def test_segment_points_outside_have_the_label_of_the_nearest_inside(model: Model, shape: str) -> None:
    rng = np.random.default_rng(0)
    points, remission = wide_scan(800)
    outside = points[:400] * 10
    outside[:, 0] = np.abs(outside[:, 0]) + 20
    if shape == "equal points":
        points[:] = points[0] / 10
    elif shape == "far points":
        outside *= np.float32(1e30)
    else:
        points[:, 1 if shape == "a line" else 2] = 0
    whole = np.concatenate([points, outside])
    found = model.session().segment(whole, np.concatenate([remission, rng.random(400, np.float32)]))
    inside = (np.abs(whole) < (20, 20, 20)).all(axis=1) & (whole[:, 2] > -4) & (whole[:, 2] < 2)
    given = found.class_probabilities[inside]
    rows = nearest(whole, inside)
    distance = np.linalg.norm(whole.astype(np.float64) - whole[inside][rows], axis=1)
    exact = ~inside & (distance < 1e6)  # farther ones are equally far from many
    assert exact.sum() > (shape != "far points") * 300
    np.testing.assert_array_equal(found.class_probabilities[exact], given[rows][exact])
    assert (found.labels > 0).all()


# ---- arguments --------------------------------------------------------------------------------------------------


class Call:
    """``elite_segment`` with arguments of any kind, into arrays for ``n`` points."""

    def __init__(self, model: Model, n: int) -> None:
        self.session = model.session()
        self.labels, self.entropy = np.full(n, 77, np.uint8), np.full(n, 7, np.float32)

    def __call__(self, scan: Scan, **options: Any) -> tuple[int, str]:
        result = Result(self.labels.ctypes.data, None, self.entropy.ctypes.data, None)
        status = opened().elite_segment(self.session._handle, scan, Options(**options), result)
        return status, opened().elite_last_error().decode()


@pytest.mark.parametrize("stride", [16, 18, 20, 33, 64])
@pytest.mark.parametrize("shift", [0, 1, 3])
def test_segment_with_any_stride_and_alignment_gives_the_same_labels(model: Model, stride: int, shift: int) -> None:
    points, remission = wide_scan(500)
    expected = model.session().segment(points, remission)
    memory = np.zeros(shift + 500 * stride, np.uint8)
    rows = np.column_stack([points, remission]).view(np.uint8)
    for i in range(500):
        memory[shift + i * stride :][:16] = rows[i]
    start, call = memory.ctypes.data + shift, Call(model, 500)
    assert call(Scan(500, start, stride, start + 12, stride, None, 0))[0] == 0
    np.testing.assert_array_equal(call.labels, expected.labels)
    np.testing.assert_array_equal(call.entropy, expected.entropy)


def test_segment_without_intensity_uses_zero(model: Model) -> None:
    points, _ = wide_scan(300)
    call = Call(model, 300)
    assert call(Scan(300, points.ctypes.data, 12))[0] == 0
    np.testing.assert_array_equal(call.labels, model.session().segment(points, np.zeros(300, np.float32)).labels)


def test_segment_of_impossible_arguments_is_refused(model: Model) -> None:
    points, _ = wide_scan(10)
    start, call = points.ctypes.data, Call(model, 10)
    for scan, options, message in (
        (Scan(-1, start, 12), {}, "number of points in [0, 2^31)"),
        (Scan(2**31, start, 12), {}, "number of points in [0, 2^31)"),
        (Scan(10, start, 11), {}, "at least 12 bytes"),
        (Scan(10, start, -12), {}, "at least 12 bytes"),
        (Scan(10, start, 2**62), {}, "at least 12 bytes"),
        (Scan(10, None, 12), {}, "at least 12 bytes"),
        (Scan(10, start, 12, start, 3), {}, "intensity"),
        (Scan(10, start, 12), {"threads": -1}, "threads: expected at least 0"),
        (Scan(10, start, 12), {"fill_radius": -1.0}, "fill_radius"),
        (Scan(10, start, 12), {"fill_radius": np.nan}, "fill_radius"),
    ):
        status, found = call(scan, **options)
        assert (status, message in found) == (ARGUMENT, True), found
    assert opened().elite_segment(None, None, None, None) == ARGUMENT
    assert opened().elite_run(call.session._handle, None, None, Groups()) == ARGUMENT
    assert (call.labels == 77).all()


@pytest.mark.parametrize("count", [0, 5])
def test_segment_without_a_point_inside_has_no_answer(model: Model, count: int) -> None:
    points, call = np.full((count, 3), 500, np.float32), Call(model, count)
    status, message = call(Scan(count, points.ctypes.data, 12))
    assert (status, f"found none of {count}" in message) == (SCAN, True)
    assert not call.labels.any()
    assert (call.entropy == 1).all()


def test_segment_with_numbers_that_overflow_has_no_answer() -> None:
    student, (points, remission) = student_of(), wide_scan(50)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.mul_(4)
    session = Model(model_bytes(student)).session()
    with pytest.raises(DataError, match="expected finite logits, found NaN or infinite ones"):
        session.segment(points, np.where(np.arange(50) % 2, 3e38, -3e38).astype(np.float32))
    assert np.isfinite(session.segment(points, remission).probabilities).all()


def test_run_of_points_too_far_apart_is_refused(model: Model) -> None:
    points = np.float32([[0, 0, 0], [3e38, 0, 0], [-3e38, 1, 1]])
    with pytest.raises(DataError, match="expected points whose voxels have keys of 63 bits"):
        model.session().run(points, np.zeros(3, np.float32))
    with pytest.raises(DataError, match="expected points, found none"):
        model.session().run(points[:0], np.zeros(0, np.float32))


# ---- sessions ---------------------------------------------------------------------------------------------------


def test_reserved_session_does_not_allocate_more() -> None:
    for settings in ({}, {"past_scans": 1}):
        session = Model(model_bytes(student_of(**settings))).session()
        session.reserve(9000)
        before = session.allocated_bytes
        assert before > 9000 * 16 * 4
        for points, remission in (wide_scan(n, n) for n in (9000, 40, 7000)):
            session.segment(points, remission, np.zeros(len(points), np.float32))
            session.run(points, remission, np.zeros(len(points), np.float32))
        assert session.allocated_bytes == before


def test_session_grows_with_the_largest_scan_only(model: Model) -> None:
    session = model.session()
    session.segment(*wide_scan(5000))
    before = session.allocated_bytes
    for seed in range(5):
        session.segment(*wide_scan(3000, seed))
    assert session.allocated_bytes == before


def test_session_outlives_its_model() -> None:
    scan, model = wide_scan(200), Model(model_bytes(student_of()))
    session, expected = model.session(), model.session().segment(*scan)
    del model
    assert equal_bits(session.segment(*scan), expected)


def test_model_reports_classes_and_sensor(model: Model) -> None:
    student = student_of()
    info = model.info
    assert model.classes == student.taxonomy.names
    assert (info.classes, info.channels, info.past_scans) == (20, 16, 0)
    assert (*info.low, *info.high) == pytest.approx((-20, -20, -4, 20, 20, 2))
    assert (info.taxonomy, info.sensor, info.sensor_height) == (b"semantickitti", b"hdl-64e", pytest.approx(1.73))
    colors = [opened().elite_class_color(model._handle, i) for i in range(20)]
    assert colors == [int.from_bytes(bytes(c.tolist())) for c in student.taxonomy.colors]
    assert opened().elite_class_name(model._handle, 20) is None
    assert opened().elite_class_name(model._handle, -1) is None
    assert opened().elite_class_color(model._handle, 20) == 0
    assert opened().elite_api_version() == 1


def test_segment_of_python_scan_types_is_covered() -> None:
    """The Segmenter's own logits are those of the C call."""
    values = random_scan(np.random.default_rng(0), 200)
    student = student_of()
    segmenter = Segmenter(student, report=lambda _: None)
    scan = PythonScan(values[:, :3].copy(), values[:, 3].copy())
    logits = segmenter.logits(scan)
    found = Model(model_bytes(student)).session().segment(scan.points, scan.remission)
    np.testing.assert_array_equal(logits[:, 1:].argmax(axis=1) + 1, found.labels)


def test_structures_have_the_size_of_the_header() -> None:
    assert [ctypes.sizeof(s) for s in (Scan, Options, Result, Groups)] == [56, 8, 32, 24]
