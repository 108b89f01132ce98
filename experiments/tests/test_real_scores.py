"""Scores on real frames: means, merged classes and files, on scans of a made-up student."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from elite.evaluation import Prediction, ScoreCounts
from elite.student import SPVCNN, save_student
from experiments.classes import KITTI
from experiments.real_scores import SETS, main, summary
from tests.support.scans import random_scan, write_frame

ROAD, CAR, TRUNK = (KITTI.train_id[name] for name in ("road", "car", "trunk"))


def test_summary_worked_by_hand() -> None:
    points = np.zeros((3000, 3), np.float32)
    points[:, 0] = np.repeat([5.0, 35.0], 1500)
    truth = np.full(3000, ROAD, np.uint8)
    truth[:300], truth[-100:] = CAR, 0
    labels = np.where(np.arange(3000) % 2, truth, TRUNK)
    counts = ScoreCounts(KITTI)
    counts.add(Prediction(labels), truth, points)
    found = summary(counts)
    assert found["present"] == ["car", "road"]
    assert found["big"] == ["road"]
    assert (found["accuracy"], found["road_recall_30_50"], found["points"]) == (50, 50, 2900)
    assert found["iou"] == {"car": pytest.approx(50), "road": pytest.approx(50)}
    assert [band["points"] for band in found["by_range"]] == [1500, 0, 0, 1400, 0]


def test_real_scores_writes_tables_and_values(tmp_path: Path, monkeypatch, capsys) -> None:
    rng = np.random.default_rng(0)
    for i in range(5):
        labels = rng.choice([10, 40, 70, 71], 500)
        write_frame(tmp_path / "semantickitti", "00", f"{i:06d}", random_scan(rng), labels)
        folder = tmp_path / "semantickitti/sequences/00/labels_partial"
        folder.mkdir(exist_ok=True)
        np.where(rng.random(500) < 0.4, labels, 0).astype("<u4").tofile(folder / f"{i:06d}.label")
    write_frame(tmp_path / "pandaset", "91", "000000", random_scan(rng), rng.choice([10, 70], 500))
    save_student(SPVCNN(channels=8, cells=(100, 100, 12)), tmp_path / "student.safetensors")
    arguments = ["--data", str(tmp_path), "--votes", "2", "--json", str(tmp_path / "real.json")]
    monkeypatch.setattr(sys, "argv", ["real_scores", str(tmp_path / "student.safetensors"), *arguments])
    main()
    results = json.loads((tmp_path / "real.json").read_text())["results"]
    assert [*results] == [f"{name}, {votes}" for votes in ("1 view", "2 views") for name in SETS]
    assert 300 < results["frames 3-4, 1 view"]["points"] < 500  # partial labels of two scans
    trunks = np.array(results["PandaSet, 1 view"]["confusion"])[TRUNK]
    assert trunks.sum() == 0
    assert "| frames 1-2, 1 view |" in capsys.readouterr().out
