"""elite and the devkit of nuScenes agree on projections, scores and submissions.

Skipped without real keyframes, or without the devkit. It needs numpy 1, so it has an environment of its own::

    python -m venv /tmp/devkit && /tmp/devkit/bin/pip install nuscenes-devkit
    ELITE_NUSCENES_DEVKIT=/tmp/devkit/bin/python pytest -m slow tests/test_nuscenes_devkit.py
"""

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elite.datasets import NuScenes
from elite.datasets.nuscenes.splits import splits
from elite.datasets.nuscenes.tables import CAMERAS
from elite.errors import DataError
from elite.geometry import project
from elite.layout import Layout
from elite.metrics import NUSCENES_RULE, Score, confusion_matrix, score
from elite.submission import check_submission, write_submission
from tests.support.nuscenes_faults import planted_faults

pytestmark = pytest.mark.slow
PROGRAM = Path(__file__).parent / "support" / "nuscenes_devkit.py"


@pytest.fixture(scope="module")
def devkit() -> str:
    if not (python := os.environ.get("ELITE_NUSCENES_DEVKIT")):
        pytest.skip("set ELITE_NUSCENES_DEVKIT to a Python with nuscenes-devkit")
    return python


@pytest.fixture(scope="module")
def roots(real_nuscenes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The real data set for ``train``, and one for ``val`` in which its labelled scene has the name of a val scene."""
    renamed = tmp_path_factory.mktemp("val")
    for folder in ("samples", "lidarseg", "maps"):
        (renamed / folder).symlink_to(real_nuscenes / folder)
    shutil.copytree(real_nuscenes / "v1.0-trainval", renamed / "v1.0-trainval", copy_function=shutil.copyfile)
    (renamed / "v1.0-trainval").chmod(0o755)
    scenes = renamed / "v1.0-trainval" / "scene.json"
    scenes.write_text(scenes.read_text().replace("scene-0001", splits()["val"].scenes[0]))
    return {"train": real_nuscenes, "val": renamed}


def ask(devkit: str, root: Path, version: str, jobs: list[Any], folder: Path) -> dict[str, Any]:
    """Answers of the devkit."""
    request, result = folder / "request.json", folder / "result.json"
    request.write_text(json.dumps({"root": str(root), "version": version, "jobs": jobs}))
    subprocess.run([devkit, "-I", str(PROGRAM), str(request), str(result)], check=True)  # without our modules
    return json.loads(result.read_text())


def test_splits_are_those_of_the_devkit(devkit: str, real_nuscenes: Path, tmp_path: Path) -> None:
    found = ask(devkit, real_nuscenes, "v1.0-mini", [], tmp_path)["splits"]
    for name in ("train", "val", "test", "mini_train", "mini_val"):
        assert sorted(splits()[name].scenes) == sorted(found[name])


def test_projections_are_those_of_the_devkit(devkit: str, real_nuscenes: Path, tmp_path: Path) -> None:
    sample = json.loads((real_nuscenes / "v1.0-mini" / "sample.json").read_text())[0]["token"]
    jobs = [["pixels", sample, camera] for camera in CAMERAS]
    answers = ask(devkit, real_nuscenes, "v1.0-mini", jobs, tmp_path)["answers"]
    frame = NuScenes(real_nuscenes, "mini_train")[0]
    for camera, answer in zip(frame.cameras, answers, strict=True):
        height, width = frame.images[camera.name].shape[:2]
        uv, depth = project(frame.scan.points, camera)
        inside = (depth > 1) & (uv[:, 0] > 1) & (uv[:, 0] < width - 1) & (uv[:, 1] > 1) & (uv[:, 1] < height - 1)
        expected = np.array(answer["uv"])
        assert len(expected) == inside.sum() > 3000
        worst = np.abs(uv[inside] - expected).max()
        print(f"{camera.name}: {inside.sum()} points, largest difference {worst:.4f} px")
        assert worst < 0.05
        np.testing.assert_allclose(depth[inside], answer["depth"], atol=1e-3)


def _plant(data: Path, split: str, folder: Path, share: float) -> tuple[Path, Score]:
    """Write predictions of which a ``share`` is correct; returns them as an unpacked submission, and their score."""
    frames, rng = NuScenes(data, split, cameras=()), np.random.default_rng(0)
    total = np.zeros((17, 17), np.int64)
    for i, frame_id in enumerate(frames.ids):
        labels = frames.labels(i)
        assert labels is not None
        random = rng.choice([4, 7, 10, 11, 13, 15, 16, 3], len(labels.classes))  # bus is absent, and predicted
        correct = (rng.random(len(labels.classes)) < share) & (labels.classes > 0)
        predicted = np.where(correct, labels.classes, random).astype(np.uint8)
        total += confusion_matrix(predicted, labels.classes, 17)
        path = Layout(folder).prediction(*frame_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        frames.taxonomy.to_raw(predicted).astype("<u4").tofile(path)
    write_submission(folder, data, folder / "x.zip", split=split, partial=True)
    with zipfile.ZipFile(folder / "x.zip") as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked", score(total, NUSCENES_RULE)


@pytest.mark.parametrize("split", ["train", "val"])
def test_scores_are_those_of_the_devkit(split: str, devkit: str, roots: dict[str, Path], tmp_path: Path) -> None:
    unpacked, found = _plant(roots[split], split, tmp_path, 0.7)
    (answer,) = ask(devkit, roots[split], "v1.0-trainval", [["score", str(unpacked), split]], tmp_path)["answers"]
    print(f"{split}: mIoU {found.miou:.6f}, fwIoU {found.fw_iou:.6f}")
    assert found.miou == pytest.approx(answer["miou"], abs=1e-9)
    assert found.fw_iou == pytest.approx(answer["fw_iou"], abs=1e-9)
    expected = [np.nan if value is None else value for value in answer["iou"]]
    np.testing.assert_allclose(found.iou, expected, atol=1e-9)
    assert np.isnan(found.iou).sum() > 1
    assert (found.iou == 0).any()


@pytest.mark.parametrize("split", ["train", "val"])
def test_what_the_devkit_refuses_is_refused(split: str, devkit: str, roots: dict[str, Path], tmp_path: Path) -> None:
    unpacked, _ = _plant(roots[split], split, tmp_path / "correct", 0.9)
    whole = {str(p.relative_to(unpacked)): p.read_bytes() for p in unpacked.rglob("*") if p.is_file()}
    folders = {"correct": unpacked}
    ours = {"correct": True}
    for fault, (change, _) in planted_faults(split).items():
        files = dict(whole)
        change(files)
        folders[fault] = tmp_path / fault
        for name, content in files.items():
            (folders[fault] / name).parent.mkdir(parents=True, exist_ok=True)
            (folders[fault] / name).write_bytes(content)
        ours[fault] = _is_accepted(files, tmp_path / "x.zip", roots[split], split)
    jobs = [["accepts", str(folder), split] for folder in folders.values()]
    answers = ask(devkit, roots[split], "v1.0-trainval", jobs, tmp_path)["answers"]
    theirs = {fault: answer["accepted"] for fault, answer in zip(folders, answers, strict=True)}
    assert theirs["correct"]
    assert ours["correct"]
    print("refused by elite only:", [fault for fault in folders if theirs[fault] and not ours[fault]])
    assert not [fault for fault in folders if ours[fault] and not theirs[fault]]
    assert [fault for fault in folders if theirs[fault]] == ["correct", "stray file", "stray scan"]


def _is_accepted(files: dict[str, bytes], path: Path, data: Path, split: str) -> bool:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    try:
        check_submission(path, data, split=split, partial=True)
    except DataError:
        return False
    return True
