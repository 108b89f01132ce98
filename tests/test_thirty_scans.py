"""The guide for few labelled scans: each of its commands runs, on a small rendered street."""

import shlex
import shutil
from pathlib import Path

import pytest

from elite.cli import main
from elite.student import SPVCNN, load_student, save_student
from elite.viewer import Viewer
from tests.support.guides import guide_commands
from tests.support.runs import SMALL
from tests.support.streets import small_drive

pytest.importorskip("embreex")
_WEIGHT = "stages.0.voxel.0.conv1.weight"
_STUDENT = "--student.channels 8 --student.cells [100,100,12]"
_ADDED = {"train": f"{_STUDENT} --data.workers 0 --accelerator cpu --steps 2 --val-every 1", "view": "--port 0"}


def test_commands_of_the_guide_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Viewer, "wait", lambda _: None)
    shutil.copytree(small_drive(), tmp_path / "fleet")
    save_student(SPVCNN.from_config(SMALL), tmp_path / "start.safetensors")
    for command in guide_commands("guides/thirty-scans.md"):
        assert main(shlex.split(f"{command} {_ADDED.get(command.split()[0], '')}")) == 0, command
    assert {Path(f"{name}.json").stat().st_size > 0 for name in ("before", "after")} == {True}
    start, tuned = (load_student(f"{name}.safetensors").get_parameter(_WEIGHT) for name in ("start", "tuned"))
    assert 0 < (tuned - start).norm() < 0.1 * start.norm()  # trained, from the weights of the given student
