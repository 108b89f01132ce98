"""Real frames of other data sets, each from one YAML: read, checked, trained and scored."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from elite.cli import main
from elite.datasets import open_dataset
from elite.geometry import in_image, project
from tests.support.real_data import describe_pandaset, describe_rellis

SMALL = "--config semantickitti-student --student.channels 4 --grid.cell 0.8 --data.batch-size 1 --data.workers 0"


def test_rellis_is_read(real_data: Path, tmp_path: Path) -> None:
    """README of the frame: 7,616 points fall into the image; the pixel has the id of the point for 77 % of them."""
    dataset = open_dataset(describe_rellis(real_data, tmp_path))
    frame = dataset[0]
    pixels = np.asarray(Image.open(real_data / "rellis" / "frame000104-1581624663_149.png"))
    assert frame.scan.stored - len(frame.scan) == 53_364
    uv, _ = project(frame.scan.points, frame.cameras[0])
    inside = in_image(uv, 1200, 1920)
    assert inside.sum() == 7616
    u, v = uv[inside].astype(int).T
    assert 0.76 < (pixels[v, u] == dataset.raw_labels(0)[inside]).mean() < 0.78
    assert np.isfinite(frame.scan.points).all()


def test_pandaset_is_read(real_data: Path, tmp_path: Path) -> None:
    path = describe_pandaset(real_data, tmp_path)
    dataset = open_dataset(path)
    assert [len(open_dataset(path, sequences=split)) for split in ("train", "valid")] == [2, 1]
    assert dataset.unused == ()
    for i in range(3):
        frame = dataset[i]
        assert frame.labels is not None
        uv, _ = project(frame.scan.points, frame.cameras[0])
        assert 10_000 < in_image(uv, 1080, 1920).sum() < 20_000
    assert not np.array_equal(dataset.frame_cameras(0)[0].projection, dataset.frame_cameras(1)[0].projection)


@pytest.mark.parametrize(
    ("describe", "split", "ground", "present"),
    [
        (describe_rellis, "train", -1.29, {"grass", "tree", "person", "fence", "bush", "concrete", "puddle", "mud"}),
        (describe_pandaset, "valid", -2.10, {"car", "truck", "person", "road", "sidewalk", "building", "vegetation"}),
    ],
)
def test_real_frames_are_checked_trained_and_scored(
    describe: Callable[[Path, Path], Path],
    split: str,
    ground: float,
    present: set[str],
    real_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = describe(real_data, tmp_path)
    assert main(f"check {data} --sample 2 --strict --json {tmp_path}/check.json".split()) == 0
    assert "verdict: ready" in capsys.readouterr().out
    found = json.loads((tmp_path / "check.json").read_text())
    assert found["survey"]["scan"]["ground"] == pytest.approx(ground, abs=0.1)
    val = "none" if split == "train" else split
    train = f"train {data} -o {tmp_path}/run {SMALL} --steps 2 --val-every 2 --data.val-sequences {val}"
    assert main([*train.split(), "--accelerator=cpu"]) == 0
    model, score = tmp_path / "run" / "checkpoints" / "last.ckpt", tmp_path / "score.json"
    assert main(f"evaluate {model} {data} --split {split} --json {score}".split()) == 0
    scored = json.loads(score.read_text())
    assert present <= {scored["classes"][i] for i in scored["present"]}
    assert (scored["frames"], scored["points"] > 50_000) == (1, True)
