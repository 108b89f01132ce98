"""The guide for one's own sensor: each of its commands runs, on rendered recordings of an OS1-128."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml

from elite.cli import main
from elite.datasets import open_dataset
from elite.viewer import Viewer
from tests.support.fleet import CLASSES
from tests.support.guides import DOCS, guide_commands
from tests.support.rendered_recordings import rendered_recording, rendered_scans

pytest.importorskip("embreex")
GUIDE = DOCS / "datasets" / "own-sensor.md"
STREETS = {"monday": "00", "tuesday": "08"}
SMALL = (
    "--student.channels 8 --student.cells [100,100,12] --data.batch-size 1 --data.workers 0 --accelerator cpu "
    "--steps 2 --val-every 2"
)
TEACHER = "--teacher.weights random --teacher.model resnet-tiny --teacher.adapter.method frozen --image.crop [64,128]"
_REPLACED = {"--teacher.weights sam_vit_b_01ec64.pth": TEACHER}
_ADDED = {"train": SMALL, "view": "--port 0"}


def run(command: str) -> None:
    """Run a command of the guide, with a small student."""
    for words, others in _REPLACED.items():
        command = command.replace(words, others)
    verb = command.split()[0]
    assert main(shlex.split(f"{command} {_ADDED.get(verb, '')}")) == 0, command


def label_scans(fleet: Path) -> None:
    """Write labels as a tool would, and the settings of the guide into the description."""
    to_id = np.zeros(260, np.uint32)
    for own, (_, raw) in CLASSES.items():
        to_id[list(raw)] = own
    for name, street in STREETS.items():
        (fleet / name / "labels").mkdir()
        for rendered in rendered_scans()[street]:
            (fleet / name / "labels" / f"{rendered.stamp}.label").write_bytes(to_id[rendered.labels].tobytes())
    settings = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)[-1])
    description = fleet / "dataset.yaml"
    values = yaml.safe_load(description.read_text()) | settings
    values["names"] = {own: name for own, (name, _) in CLASSES.items()}
    description.write_text(yaml.safe_dump(values))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own_sensor")
    for name, street in STREETS.items():
        rendered_recording(folder / f"{name}.mcap", street, delay=0)
    return folder


def test_commands_of_the_guide_run(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(work)
    monkeypatch.setattr(Viewer, "wait", lambda _: None)
    for command in guide_commands("datasets/own-sensor.md"):
        run(command)
        if command.startswith("check"):
            label_scans(work / "fleet")
    assert {path.name for path in (work / "pictures").iterdir()} >= {"cam_front.png", "top.png"}
    assert len(open_dataset(work / "fleet", sequences="valid").ids) == 2
    for run_name in ("fleet", "taught"):  # without a teacher, and with one
        settings = yaml.safe_load((work / "runs" / run_name / "config.yaml").read_text())
        assert settings["data"]["cameras"] == "cam_front,cam_left,cam_right"
    for file in ("fleet.safetensors", "monday.png", "labelled.mcap"):
        assert (work / file).stat().st_size > 0
