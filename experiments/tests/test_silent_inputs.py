"""Scans of ``experiments.silent_inputs``: with its setting, each is the documented one."""

from pathlib import Path

import numpy as np
import pytest

import elite
from experiments.silent_inputs import CASES, CLASSES, FIRINGS, Case, to_class

POINTS = 500
SENSOR_CASES = [case for case in CASES if case.setting and ": " in case.setting]


@pytest.mark.parametrize("case", SENSOR_CASES, ids=lambda case: case.name)
def test_scan_with_its_setting_is_the_documented_one(case: Case, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.normal(0, 9, (POINTS, 3)), rng.random(POINTS)]).astype(np.float32)
    (tmp_path / "sensor.yaml").write_text(f"preset: os1-128\nname: own\n{case.setting}\n")
    (tmp_path / "a.bin").write_bytes(case.encode(rows))
    scan = elite.read(tmp_path / "a.bin", sensor=tmp_path / "sensor.yaml")
    assert scan.stored == (FIRINGS if case.setting.startswith("no_return") else POINTS)
    np.testing.assert_allclose(np.column_stack([scan.points, scan.remission]), rows, rtol=1e-6)


def test_to_class_maps_the_classes_of_the_benchmark_and_ignores_other_ids() -> None:
    assert to_class(np.array([0, 40, 44, 48, 30, 252])).tolist() == [0, 1, 1, 2, len(CLASSES), 0]
