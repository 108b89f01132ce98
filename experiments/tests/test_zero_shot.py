"""Rows of ``experiments.zero_shot``: valid settings, and a table over seeds."""

import numpy as np
import pytest
import yaml

from elite.cli.settings import compose, option_of
from elite.config import AugmentConfig, TrainConfig
from elite.synthetic import DriveConfig
from elite.types import Scan
from experiments import camera_teacher
from experiments.zero_shot import COLUMNS, RESPONSES, ROWS, SETTINGS, TRAINING, UNITS, table
from tests.support.settings import parse_settings


def train_config(config: str, settings: dict[str, object]) -> TrainConfig:
    given = [f"{option_of(name)}={value}" for name, value in settings.items()]
    return parse_settings(["--config", config, *given], TrainConfig)


@pytest.mark.parametrize("row", ROWS)
def test_row_changes_the_settings_of_the_base(row: str) -> None:
    base = train_config("semantickitti-student", SETTINGS)
    assert (train_config("semantickitti-student", SETTINGS | ROWS[row]) == base) == (row == "base")
    assert base.augment == AugmentConfig()


@pytest.mark.parametrize("row", camera_teacher.ROWS)
def test_row_of_the_camera_teacher_is_valid(row: str) -> None:
    settings = camera_teacher.SETTINGS | camera_teacher.ROWS[row] | {"steps": 300}
    config = compose(TrainConfig, ["zero-shot"], [(name, yaml.safe_load(str(v))) for name, v in settings.items()])
    assert config.distill.student_heads == (0 if row == "student" else 0.5)


@pytest.mark.parametrize("options", camera_teacher.STREETS.values())
def test_streets_of_the_camera_teacher_can_be_rendered(options: str) -> None:
    parse_settings(f"--world 2 {options}".split(), DriveConfig)


def test_zero_shot_configuration_has_the_augmentations_of_all_rows_together() -> None:
    together = train_config("semantickitti-student", ROWS["all"])
    assert train_config("zero-shot", {}).augment == together.augment


@pytest.mark.parametrize("options", [TRAINING, *UNITS.values()])
@pytest.mark.parametrize("unit", ["", " --sensor hdl-64e"])
def test_streets_can_be_rendered(options: str, unit: str) -> None:
    parse_settings(options.format(unit=unit).split(), DriveConfig)


def test_streets_of_training_and_scores_differ_in_their_seeds() -> None:
    seeds = [options.split()[1] for options in (TRAINING, *UNITS.values())]
    assert len({*seeds}) == len(seeds)


def test_responses_worked_by_hand() -> None:
    points, remission = np.array([[18, 0, 0], [0, 38, 0]], np.float32), np.full(2, 0.4, np.float32)
    expected = {"same": [0.4, 0.4], "dark": [0.1, 0.1], "falling": [0.4, 0.22]}
    scan = Scan(points, remission)
    for name, change in RESPONSES.items():
        np.testing.assert_allclose(change(remission, scan), expected[name], rtol=1e-6)


def test_table_has_means_over_seeds() -> None:
    unit, other = COLUMNS[:2]
    row = {"row": "base", "unit": unit, "miou": "20", "accuracy": "50"}
    results = [row | {"seed": "0"}, row | {"seed": "1", "miou": "30"}, row | {"seed": "0", "unit": other}]
    lines = table(results, ["base", "all"]).splitlines()
    assert lines[2].startswith("| base | 25.0 / 50.0 | 20.0 / 50.0 |")
    assert lines[2].endswith("| 23.3 / 50.0 |")
    assert lines[3].replace("|", "").strip() == "all"
