"""Packaged students by name, and students stored in float16."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import elite
from elite import packaged_students
from elite.cli import main
from elite.config import TrainConfig
from elite.errors import CheckpointError
from elite.student import SPVCNN, load_student, save_student
from elite.student.model_file import save_model
from tests.support.runs import SMALL, student_run
from tests.support.students import with_random_norms

PACKAGED = Path(packaged_students.__file__).parent / "models"
SPECKLES = "speckles"


@pytest.fixture
def speckles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a packaged student with the name ``speckles``."""
    folder = tmp_path / "models"
    monkeypatch.setattr(packaged_students, "_FOLDER", folder)
    save_model(SPVCNN.from_config(SMALL), folder / f"{SPECKLES}.elite")
    (folder / f"{SPECKLES}.md").write_text("# Speckles\n\nStudent of random weights. It suits no scan.\n")
    return folder / f"{SPECKLES}.elite"


@pytest.fixture
def scans(tiny_kitti: Path) -> Path:
    return tiny_kitti / "sequences" / "00" / "velodyne"


def test_packaged_student_is_a_model_of_every_command(speckles, scans, tiny_kitti, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (
        f"predict {SPECKLES} {scans} -o labels",
        f"stream {SPECKLES} {scans} -o streamed --once",
        f"bench latency {SPECKLES} {scans} --rounds 1",
        f"evaluate {SPECKLES} {tiny_kitti} --split 00",
        f"check {tiny_kitti} --model {SPECKLES} --sample 1",
        f"export {SPECKLES} -o copy.elite",
    ):
        assert main(command.split()) in (0, 1), command  # 1: faults of random scans
    assert Path("copy.elite").read_bytes() == speckles.read_bytes()
    assert {path.read_bytes() for path in Path("labels").glob("*.label")} == {
        path.read_bytes() for path in Path("streamed").glob("*.label")
    }


def test_packaged_student_is_loaded_and_trained_further_in_python(speckles, tiny_kitti, tmp_path) -> None:
    loaded = elite.load(SPECKLES, "cpu")
    assert loaded.student.config == SMALL
    run = student_run(tiny_kitti, tmp_path / "run", init=Path(SPECKLES), steps=1)
    elite.train(tiny_kitti, tmp_path / "other", settings={"init": SPECKLES, **_plain_settings(run)})
    assert f"init: {SPECKLES}\n" in (tmp_path / "other" / "config.yaml").read_text()


def _plain_settings(run: TrainConfig) -> dict[str, object]:
    student = {f"student.{name}": getattr(run.student, name) for name in ("channels", "cells")}
    data = {"data.sequences": "00", "data.val_sequences": "none", "data.batch_size": 1, "data.workers": 0}
    return {"steps": 1, "accelerator": "cpu", "teacher.weights": "none", **student, **data}


def test_existing_file_of_the_name_comes_first(speckles, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_student(SPVCNN(channels=4), Path(SPECKLES))
    assert load_student(SPECKLES).config.channels == 4


def test_unknown_name_lists_the_packaged_students(speckles, scans, tmp_path, capsys) -> None:
    assert main(["predict", "speckle", str(scans), "-o", str(tmp_path / "labels")]) == 2
    assert f"or a packaged student ({SPECKLES}), found no such file" in capsys.readouterr().err
    with pytest.raises(CheckpointError, match=re.escape(f"or a packaged student ({SPECKLES}), found no such file")):
        elite.load("speckle")


def test_unknown_name_without_packaged_students_is_a_missing_file(speckles, scans, tmp_path, capsys) -> None:
    shutil.rmtree(speckles.parent)
    assert main(["predict", SPECKLES, str(scans), "-o", str(tmp_path / "labels")]) == 2
    assert (
        "expected a checkpoint (.ckpt) or a student (.safetensors, .elite), found no such file"
        in capsys.readouterr().err
    )


def test_env_lists_packaged_students_with_a_sentence_of_their_cards(speckles, capsys) -> None:
    assert main(["env"]) == 0
    assert re.search(rf"student +{SPECKLES}: Student of random weights\n", capsys.readouterr().out)


def test_each_packaged_student_is_small_and_has_a_card() -> None:
    for path in PACKAGED.glob("*.elite"):
        assert path.stat().st_size < 5e6
        assert path.with_suffix(".md").is_file()
        load_student(path)


# ---- float16 ------------------------------------------------------------------------------------------------------


def test_half_student_is_small_and_loads_to_float32_with_the_same_statistics(tmp_path) -> None:
    student, path = with_random_norms(SPVCNN(), 0.1), tmp_path / "half.safetensors"
    save_student(student, path, half=True)
    assert path.stat().st_size < 4e6
    loaded = load_student(path)
    for name, value in student.state_dict().items():
        found = loaded.state_dict()[name]
        assert found.dtype == value.dtype
        assert torch.equal(found, value) or value.ndim > 1, name
        assert torch.allclose(found, value, rtol=2**-11, atol=2**-25), name


def test_half_student_predicts_nearly_the_same_labels(scans, tmp_path) -> None:
    torch.manual_seed(0)
    student = with_random_norms(SPVCNN.from_config(SMALL), 0.1)
    save_student(student, tmp_path / "full.safetensors")
    assert main(["export", str(tmp_path / "full.safetensors"), "-o", str(tmp_path / "half.safetensors"), "--half"]) == 0
    scan = elite.read(scans / "000000.bin")
    full, half = (elite.load(tmp_path / f"{name}.safetensors", "cpu")(scan).labels for name in ("full", "half"))
    assert np.mean(full == half) > 0.99


@pytest.mark.parametrize(("factor", "largest"), [(1e7, r"e\+0"), (1e-6, "e-0")])
def test_weights_that_float16_does_not_represent_are_refused(factor, largest, tmp_path) -> None:
    student, path = SPVCNN.from_config(SMALL), tmp_path / "half.safetensors"
    student.get_parameter("stages.1.point.out.weight").data *= factor
    with pytest.raises(CheckpointError, match=rf"stages.1.point.out.weight' \(up to .*{largest}.*without --half"):
        save_student(student, path, half=True)
    assert not path.exists()
