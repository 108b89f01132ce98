"""Volume and cells in metres: the grid that follows from them, and runs that use it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from elite.config import DataConfig, GridConfig, StudentConfig, TrainConfig, plain
from elite.errors import ConfigError
from elite.student import load_student
from elite.training import train
from tests.support.runs import SMALL, student_run
from tests.support.settings import parse_settings

PUBLISHED = StudentConfig(volume=((-50.0, -50.0, -4.0), (50.0, 50.0, 2.0)), cells=(1000, 1000, 60))


@pytest.mark.parametrize(
    ("grid", "height"),
    [
        (GridConfig(), None),
        (GridConfig(range=50, below=4, above=2, cell=0.1), None),
        (GridConfig(heights="ground"), 1.73),
        (GridConfig(heights="ground", cell=0.1), 1.73),
    ],
    ids=["defaults", "metres", "ground", "ground and cells"],
)
def test_grid_of_the_published_lengths_is_the_published_one(grid: GridConfig, height: float | None) -> None:
    assert StudentConfig() == PUBLISHED
    assert grid.applied_to(StudentConfig(), height) == PUBLISHED


@pytest.mark.parametrize(
    ("grid", "height", "low", "high", "cells"),
    [
        ({"range": 100}, None, (-100, -100, -4), (100, 100, 2), (1000, 1000, 60)),
        ({"range": 100, "cell": 0.1}, None, (-100, -100, -4), (100, 100, 2), (2000, 2000, 60)),
        ({"cell": 0.4}, None, (-50, -50, -4), (50, 50, 2), (250, 250, 15)),
        ({"cell": 0.3}, None, (-50, -50, -4), (50, 50, 2), (333, 333, 20)),
        ({"below": 3, "above": 5}, None, (-50, -50, -3), (50, 50, 5), (1000, 1000, 60)),
        ({"heights": "ground"}, 3.0, (-50, -50, -5.27), (50, 50, 0.73), (1000, 1000, 60)),
        ({"heights": "ground"}, 1.84, (-50, -50, -4.11), (50, 50, 1.89), (1000, 1000, 60)),
        (
            {"heights": "ground", "below": 1, "above": 4, "cell": 0.1, "range": 20},
            2.5,
            (-20, -20, -3.5),
            (20, 20, 1.5),
            (400, 400, 50),
        ),
    ],
)
def test_grid_in_metres_gives_corners_and_counts(grid, height, low, high, cells) -> None:
    assert GridConfig(**grid).applied_to(StudentConfig(channels=8), height) == StudentConfig(
        channels=8, volume=(low, high), cells=cells
    )


def test_grid_keeps_the_counts_without_a_cell_size() -> None:
    student = GridConfig(range=30).applied_to(StudentConfig(cells=(250, 250, 15)))
    assert student.cells == (250, 250, 15)
    assert student.cell_size == pytest.approx((0.24, 0.24, 0.4))
    own = StudentConfig(volume=((-10, -5, -3), (30, 5, 1)))
    assert GridConfig(cell=0.2).applied_to(own) == replace(own, cells=(200, 50, 20))


def test_grid_and_equal_corners_and_counts_are_no_conflict() -> None:
    grid = GridConfig(range=25, cell=0.2)
    once = grid.applied_to(StudentConfig())
    assert grid.applied_to(once) == once


@pytest.mark.parametrize(
    ("grid", "student", "message"),
    [
        ({"range": 0}, {}, r"grid.range: expected a positive number of metres, found 0"),
        ({"cell": -0.1}, {}, r"grid.cell: expected a positive"),
        ({"cell": 20}, {}, r"grid.cell: .* 1 to 16777216 cells along each axis, found 20"),
        ({"cell": 1e-7}, {}, r"grid.cell: .*found 1e-07"),
        ({"below": 1, "above": -1}, {}, r"grid.above: expected more than -1 m.*found -1"),
        ({"heights": "ground"}, {}, r"expected a data set whose sensor has a height.*--grid.heights sensor"),
        ({"range": 30}, {"volume": ((-9, -9, -4), (9, 9, 2))}, r"student.volume: .*grid.* sets \(\(-30.*Give one"),
        (
            {"cell": 0.2},
            {"cells": (10, 10, 10)},
            r"student.cells: .*grid.* sets \(500, 500, 30\), found \(10, 10, 10\)",
        ),
    ],
)
def test_grid_of_impossible_or_conflicting_lengths_is_refused(grid, student, message) -> None:
    with pytest.raises(ConfigError, match=message):
        GridConfig(**grid).applied_to(StudentConfig(**student))


def test_train_with_a_grid_in_metres_writes_corners_and_counts(tiny_kitti: Path, tmp_path: Path, capsys) -> None:
    grid = GridConfig(range=40, cell=0.8, heights="ground")
    run = student_run(tiny_kitti, tmp_path / "run", steps=1, student=StudentConfig(channels=8), grid=grid)
    train(run, progress=False)
    assert "student: x -40 to 40 m, y -40 to 40 m, z -4 to 2 m: 100 x 100 x 8 cells of 0.8 x 0.8 x 0.75 m" in (
        capsys.readouterr().out.splitlines()
    )
    expected = StudentConfig(channels=8, volume=((-40, -40, -4), (40, 40, 2)), cells=(100, 100, 8))
    assert load_student(run.out / "checkpoints" / "last.ckpt").config == expected
    written = yaml.safe_load((run.out / "config.yaml").read_text())
    assert (written["student"], written["grid"]) == (plain(expected), plain(GridConfig()))
    train(replace(run, resume="last"), progress=False)
    again = parse_settings(["--config", str(run.out / "config.yaml"), "--resume", "last"], TrainConfig)
    assert again.student == expected
    train(again, progress=False)


def test_train_takes_the_height_of_the_ground_from_the_sensor(tiny_kitti: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "roof.yaml").write_text("preset: hdl-64e\nheight: 2.0\n")
    (tmp_path / "unknown.yaml").write_text("name: unknown\n")

    def with_sensor(name: str) -> TrainConfig:
        data = DataConfig(root=tiny_kitti, sequences="00", batch_size=1, workers=0, sensor=name)
        return student_run(tiny_kitti, tmp_path / "run", data=data, student=SMALL, grid=GridConfig(heights="ground"))

    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="expected a data set whose sensor has a height"):
        train(with_sensor("unknown.yaml"), progress=False)
    train(run := with_sensor("roof.yaml"), progress=False)
    student = load_student(run.out / "checkpoints" / "last.ckpt")
    assert (student.config.volume, student.sensor.height) == (((-50, -50, -4.27), (50, 50, 1.73)), 2.0)
    assert yaml.safe_load((run.out / "config.yaml").read_text())["data"]["sensor"] == str(tmp_path / "roof.yaml")
    (tmp_path / "roof.yaml").write_text("preset: hdl-64e\nheight: 2.1\n")
    with pytest.raises(ConfigError, match=r"expected the sensor of the run, .*height=2\.0"):
        train(replace(run, grid=GridConfig(), student=student.config, resume="last"), progress=False)


def test_train_with_another_volume_reports_the_new_cell_size_once(tiny_kitti: Path, tmp_path: Path, capsys) -> None:
    student = replace(SMALL, volume=((-100, -100, -4), (100, 100, 2)))
    train(student_run(tiny_kitti, tmp_path / "run", steps=1, student=student), progress=False)
    said = capsys.readouterr().out
    assert re.findall("cells of .*", said) == ["cells of 2 x 2 x 0.5 m"]
    train(student_run(tiny_kitti, tmp_path / "published", steps=1), progress=False)
    assert "cells of" not in capsys.readouterr().out
