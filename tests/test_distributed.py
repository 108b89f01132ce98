"""Two processes train as one with gradient accumulation: equal losses, weights and scores."""

import json
import os
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from elite.batches import Batch
from elite.config import DataConfig, ImageConfig, OptimConfig, StudentConfig, TeacherConfig, TrainConfig
from elite.data.sampler import EpochSampler
from elite.datasets import SemanticKITTI
from elite.evaluation import by_segmenter, evaluate
from elite.inference import Segmenter
from elite.training import TrainingResult, train
from elite.training.step import OptimizerStep
from tests.support.foundation import write_foundation
from tests.support.processes import ForkedProcess, two_machines
from tests.support.scans import RAW_IDS, random_scan, write_frame
from tests.support.semantickitti import KITTI

EPOCHS, SCANS, SCORED, WITH_IMAGE = 3, 5, 3, (0, 1)  # 2 steps of two scans an epoch; the fifth scan is left over
CROP = (64, 512)
Losses = list[tuple[str, float]]  # scan and loss of every batch


def write_drive(root: Path) -> None:
    """Random scans with random labels, some of them with an image; an odd number of them to score."""
    rng = np.random.default_rng(0)
    for sequence, count in (("00", SCANS), ("08", SCORED)):
        for i in range(count):
            points = random_scan(rng)
            write_frame(root, sequence, f"{i:06d}", points, rng.choice(RAW_IDS, len(points)))
    folder = root / "sequences" / "00" / "image_2"
    folder.mkdir()
    for i in WITH_IMAGE:
        Image.fromarray(rng.integers(0, 256, (376, 1241, 3), np.uint8)).save(folder / f"{i:06d}.png")


def run(base: Path, out: Path, accumulate: int) -> tuple[TrainingResult, Losses]:
    """One training run in this process, whatever others take part; scans without an image train the student alone."""
    losses: Losses = []
    add = OptimizerStep.add

    def recorded(step: OptimizerStep, batch: Batch, *, last: bool) -> dict[str, Tensor]:
        terms = add(step, batch, last=last)
        losses.append((batch.ids[0], terms["loss"].item()))
        return terms

    config = TrainConfig(
        out=out,
        epochs=EPOCHS,
        accumulate=accumulate,
        accelerator="cpu",
        data=DataConfig(root=base / "kitti", sequences="00", batch_size=1, workers=0),
        image=ImageConfig(crop=CROP),
        student=StudentConfig(channels=8, cells=(100, 100, 12)),
        teacher=TeacherConfig(weights=str(base / "foundation"), channels=8),
        optim=OptimConfig(lr=0.05),
    )
    with patch.object(OptimizerStep, "add", recorded):
        return train(config, progress=False), losses


def train_as_one_of_two(base: Path) -> None:
    """Train in one of two processes, and write the score and the losses of its batches."""
    result, losses = run(base, base / "two", accumulate=1)
    (base / f"{os.environ['RANK']}.json").write_text(json.dumps({"miou": result.miou, "losses": losses}))


def launch_two(base: Path) -> None:
    """Start two processes as torchrun does on two machines of one process each, and wait for them."""
    processes = [
        ForkedProcess(partial(train_as_one_of_two, base), base / f"log{i}", variables)
        for i, variables in enumerate(two_machines())
    ]
    try:
        for process in processes:
            assert process.wait(240) == 0, process.output()
    finally:
        for process in processes:
            process.kill()


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the drive, the teacher, and what two processes made of them."""
    base = tmp_path_factory.mktemp("distributed")
    write_drive(base / "kitti")
    write_foundation(base / "foundation")
    launch_two(base)
    return base


@pytest.fixture(scope="module")
def results(drive: Path) -> list[dict[str, Any]]:
    """Results that the two processes have written."""
    return [json.loads((drive / f"{rank}.json").read_text()) for rank in range(2)]


def test_train_two_processes_equal_one_with_accumulation(drive: Path, results: list[dict[str, Any]]) -> None:
    result, losses = run(drive, drive / "one", accumulate=2)
    together = [entry for pair in zip(*(process["losses"] for process in results), strict=True) for entry in pair]
    assert [scan for scan, _ in together] == [scan for scan, _ in losses]
    np.testing.assert_allclose([loss for _, loss in together], [loss for _, loss in losses], rtol=1e-5)
    paths = (result.last, drive / "two" / "checkpoints" / "last.ckpt")
    one, two = (torch.load(path, weights_only=True)["state_dict"] for path in paths)
    counted = ("running_mean", "running_var", "num_batches_tracked")  # of the first process's batches alone
    assert one.keys() == two.keys()
    compared = [name for name in one if not name.endswith(counted)]
    for name in compared:
        torch.testing.assert_close(one[name], two[name], rtol=1e-5, atol=1e-5)
    off = max((one[name] - two[name]).abs().max().item() for name in compared)
    losses_off = max(abs(a - b) for (_, a), (_, b) in zip(together, losses, strict=True))
    print(f"after {len(losses) // 2} steps at most {off:.1e} between parameters, {losses_off:.1e} between losses")


def test_train_two_processes_score_as_one(drive: Path, results: list[dict[str, Any]]) -> None:
    """An odd number of scans, none of them scored twice: the score is exactly that of one process."""
    assert SCORED % 2
    segmenter = Segmenter.load(drive / "two" / "checkpoints" / "best.ckpt", "cpu", backend="torch")
    frames = SemanticKITTI(drive / "kitti", "08", cameras=())
    scored = evaluate(frames, by_segmenter(segmenter, KITTI))
    assert results[0]["miou"] == results[1]["miou"] == scored["miou"]


def test_train_process_without_an_image_joins_the_step(results: list[dict[str, Any]]) -> None:
    """There were such steps, both ways round, and they ended; what they made is compared above."""
    seen = [[int(scan[-6:]) in WITH_IMAGE for scan, _ in process["losses"]] for process in results]
    assert {(True, False), (False, True)} <= set(zip(*seen, strict=True))


def test_sampler_of_two_processes_covers_the_scans_of_one() -> None:
    one = [*EpochSampler(11, seed=3, scans_per_step=2)]
    two = [[*EpochSampler(11, seed=3, rank=rank, world=2, scans_per_step=1)] for rank in range(2)]
    assert one == [key for pair in zip(*two, strict=True) for key in pair]
