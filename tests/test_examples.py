"""The lessons in examples/ run."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.streets import short_streets

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(autouse=True)
def _importable_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)


@pytest.fixture
def student(tmp_path: Path) -> Path:
    from elite.config import StudentConfig
    from elite.student import SPVCNN, save_student

    torch.manual_seed(0)
    save_student(SPVCNN.from_config(StudentConfig(channels=8, cells=(100, 100, 12))), tmp_path / "student.safetensors")
    return tmp_path / "student.safetensors"


def test_label_one_scan_scan_file_writes_one_label_per_point(
    student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from label_one_scan import main

    rng = np.random.default_rng(0)
    scan = np.column_stack([rng.uniform(-30, 30, (500, 2)), rng.normal(-1.7, 0.1, 500), rng.uniform(0, 1, 500)])
    scan.astype("<f4").tofile(tmp_path / "scan.bin")
    main(student, tmp_path / "scan.bin", tmp_path / "scan.label")
    assert len(np.fromfile(tmp_path / "scan.label", "<u4")) == 500
    assert "mean confidence" in capsys.readouterr().out


def test_train_on_own_data_own_scans_give_a_scored_student(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from train_on_own_data import main

    assert main(tmp_path, scans=2, steps=2) == 0
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").exists()
    assert "mIoU" in capsys.readouterr().out


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of the lesson on teachers: drive/, teacher/, run/, student.safetensors."""
    folder = tmp_path_factory.mktemp("taught")
    with pytest.MonkeyPatch.context() as patch, short_streets():
        patch.syspath_prepend(EXAMPLES)
        from add_a_teacher import main

        main(folder, frames=1, steps=6)  # AdaLoRA needs at least six
    return folder


def test_add_a_teacher_rendered_street_gives_a_student_without_teacher(taught: Path) -> None:
    from elite.student import load_student

    assert load_student(taught / "student.safetensors").config.channels == 24


def test_add_a_proposer_rendered_street_gives_pseudo_labels(taught: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from add_a_proposer import main

    assert main(taught / "drive", frames="0") == 0
    assert list((taught / "drive/sequences/08/image_2_nearest").rglob("*.png"))
    assert "accuracy" in capsys.readouterr().out
