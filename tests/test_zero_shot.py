"""A student from rendered streets: stages, resumption, and the model card."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from elite.cli import main, zero_shot
from elite.config import TrainConfig
from elite.student import load_student
from elite.synthetic import DriveConfig, render_drive
from elite.synthetic.world2 import build as world2_build
from elite.training.loop import TrainingLoop
from elite.zero_shot import ZeroShotPlan, config, run, timing
from elite.zero_shot.timing import Speed

pytest.importorskip("embreex")
SENSOR = {
    "name": "tiny",
    "columns": ["x", "y", "z", "remission", "ring"],
    "axes": ["y", "-x", "z"],
    "elevations": [-20.0, -12.0, -7.0, -4.0, -2.0, 0.0],
    "azimuth_step": 3.0,
    "height": 1.9,
}
RECIPE = {
    "steps": 2,
    "accelerator": "cpu",
    "data": {"batch_size": 1, "workers": 0, "val_sequences": "none"},
    "student": {"channels": 8, "cells": [100, 100, 12]},
    "teacher": {"weights": "none"},
    "distill": {"student_heads": 0},
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., None]:
    """``render_drive``, which renders each drive once."""
    cache = tmp_path_factory.mktemp("drives")

    def render(out: Path, drive: DriveConfig, **_: object) -> None:
        once = cache / f"{hash(drive)}"
        render_drive(once, drive, workers=1, progress=False)
        shutil.copytree(once, out, dirs_exist_ok=True)

    return render


@pytest.fixture
def out(tmp_path: Path, rendered: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of a student, with short streets, a tiny sensor and a small network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "render_drive", rendered)
    monkeypatch.setattr(timing, "render_drive", rendered)  # of the same drive, since it has one street and one scan
    monkeypatch.setattr(config, "_UNSEEN_SEED", 0)  # the same streets, to render them once
    monkeypatch.setattr(config, "_UNSEEN_STREETS", 1)
    monkeypatch.setattr(config, "_UNSEEN_FRAMES", 1)
    monkeypatch.setattr(zero_shot, "_RECIPE", "recipe.yaml")
    Path("recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    Path("tiny.yaml").write_text(yaml.safe_dump(SENSOR))
    monkeypatch.setattr(world2_build, "_MARGIN", 30.0)
    return tmp_path / "out"


def command(out: Path, *more: str) -> list[str]:
    return [
        *f"zero-shot --sensor tiny.yaml --streets 1 --frames 1 --workers 1 --no-vary-sensor -o {out}".split(),
        *more,
    ]


def test_zero_shot_writes_a_student_with_the_sensor_of_the_user_and_a_card(out, capsys) -> None:
    assert main(command(out)) == 0
    said = capsys.readouterr()
    assert re.search(r"expected time: \d+:\d\d .*to train 2 steps\n", said.out)
    assert re.search(r"mIoU \d+\.\d, accuracy \d+\.\d over \d+ classes of 2 scans of unseen rendered streets", said.out)
    student = load_student(out / "student.safetensors")
    assert (student.sensor.axes, student.sensor.height, len(student.sensor.columns)) == (("y", "-x", "z"), 1.9, 5)
    card = (out / "student.md").read_text()
    assert card.startswith("# Student for tiny\n\nStudent for the LiDAR tiny from rendered streets, without real scans")
    assert "tiny: 6 beams, mounted at 1.9 m" in card
    assert f"`elite {' '.join(command(out))}`: 2 steps of 1 scans" in card
    assert re.search(r"\| road \| \d+\.\d \|\n", card)
    assert re.search(r"commit [0-9a-f]{40}|commit unknown", card)


def test_zero_shot_continues_after_an_interruption_with_the_same_result(out, capsys, monkeypatch) -> None:
    monkeypatch.setattr(run, "measure_speed", lambda *_: Speed(1, 1, 1))
    assert main(command(out)) == 0
    other = out.with_name("other")
    with monkeypatch.context() as patched:
        patched.setattr(TrainingLoop, "train_batch", interrupt)
        assert main(command(other)) == 130
    assert capsys.readouterr().err.endswith("Run the same command to continue.\n")
    assert not (other / "student.safetensors").exists()
    assert main(command(other)) == 0
    assert "expected time" not in capsys.readouterr().out
    assert (other / "student.safetensors").read_bytes() == (out / "student.safetensors").read_bytes()


def test_zero_shot_complete_folder_is_left_as_it_is(out, monkeypatch) -> None:
    monkeypatch.setattr(run, "measure_speed", lambda *_: Speed(1, 1, 1))
    assert main(command(out)) == 0
    before = {path: path.read_bytes() for path in out.glob("*.*")}
    for stage in ("train", "evaluate"):
        monkeypatch.setattr(run, stage, interrupt)
    assert main(command(out)) == 0
    assert {path: path.read_bytes() for path in out.glob("*.*")} == before


def test_zero_shot_trains_another_student_further(out, monkeypatch) -> None:
    monkeypatch.setattr(run, "measure_speed", lambda *_: Speed(1, 1, 1))
    first, further = out / "student.safetensors", out.with_name("further")
    assert main(command(out)) == 0
    assert main(command(further, "--init", str(first))) == 0
    begun, continued = (yaml.safe_load((at / "run" / "config.yaml").read_text()) for at in (out, further))
    assert continued["init"] == str(first)
    assert continued["optim"]["lr"] == begun["optim"]["lr"] / 2


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--steps", "3"], "expected the settings that it was begun with, found other values of steps. Restore them"),
        (["--height", "2"], "found other values of sensor, height. Restore them"),
    ],
)
def test_zero_shot_refuses_a_folder_of_other_settings(more, message, out, capsys, monkeypatch) -> None:
    monkeypatch.setattr(run, "measure_speed", lambda *_: Speed(1, 1, 1))
    monkeypatch.setattr(run, "render_drive", interrupt)
    assert main(command(out)) == 130
    assert main(command(out, *more)) == 2
    assert message in capsys.readouterr().err


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_zero_shot_refuses_other_files_and_unknown_students(out, capsys) -> None:
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    assert main(command(out)) == 2
    assert "expected an empty folder or one of 'elite zero-shot', found other files" in capsys.readouterr().err
    assert main(command(out.with_name("new"), "--init", "unknown")) == 2
    assert "unknown: expected a checkpoint (.ckpt) or a student (.safetensors, .elite)" in capsys.readouterr().err
    assert not out.with_name("new").exists()


def test_zero_shot_trains_on_every_street_except_the_one_of_validation(tmp_path) -> None:
    """The training split of SemanticKITTI has ten of them."""
    settings = config.ZeroShotConfig(streets=40)
    plan = ZeroShotPlan(tmp_path, settings, TrainConfig(), "")
    assert {*plan.training().data.sequences.split(","), "08"} == settings.drive().frame_counts().keys()


def test_zero_shot_expected_time_counts_streets_scans_and_workers() -> None:
    drive = config.ZeroShotConfig(streets=3, frames=10).drive()  # and the one of validation
    assert Speed(street=5, scan=0.5, step=1).rendering(drive, workers=2) == (4 * 5 + 40 * 0.5) / 2
