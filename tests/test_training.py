"""Training runs on tiny data: results, written files, refusals."""

import csv
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from elite.batches import Batch
from elite.config import (
    DataConfig,
    ImageConfig,
    OptimConfig,
    TeacherConfig,
    TrainConfig,
)
from elite.data.sampler import EpochSampler
from elite.datasets import SemanticKITTI
from elite.errors import CheckpointError, ConfigError, DataError, OutputError, TrainingError
from elite.evaluation import by_segmenter, evaluate
from elite.inference import Segmenter
from elite.losses import class_weights
from elite.student import SPVCNN, load_student, save_student
from elite.training import train
from elite.training.module import TrainingModule
from elite.training.optim import cosine
from elite.training.throughput import Throughput
from tests.support.runs import SMALL, student_run
from tests.support.scans import random_scan, write_frame
from tests.support.semantickitti import KITTI
from tests.support.waiting import PATIENCE_S


@pytest.fixture
def trained(tiny_kitti: Path, tmp_path: Path) -> Path:
    train(student_run(tiny_kitti, tmp_path / "run"), progress=False)
    return tmp_path / "run"


def test_train_writes_settings_versions_checkpoints_and_metrics(trained: Path, tiny_kitti: Path) -> None:
    settings = yaml.safe_load((trained / "config.yaml").read_text())
    assert settings["student"]["channels"] == 8
    assert settings["optim"]["momentum"] == 0.9  # resolved: the defaults too
    assert json.loads((trained / "versions.json").read_text()).keys() >= {
        "elite",
        "torch",
        "commit",
        "hardware",
        "seed",
    }
    for name in ("best", "last"):
        assert load_student(trained / "checkpoints" / f"{name}.ckpt").config == SMALL
        remission = np.concatenate([scan.remission for scan in map(SemanticKITTI(tiny_kitti, "00").scan, range(2))])
        found = load_student(trained / "checkpoints" / f"{name}.ckpt").remission
        np.testing.assert_allclose(found, np.percentile(remission, np.arange(33) / 0.32), atol=1e-4)
    torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)  # nothing but tensors and plain values
    assert "val/miou" in (trained / "metrics.csv").read_text().splitlines()[0]


def test_train_in_an_existing_run_without_overwrite_is_refused(trained: Path, tiny_kitti: Path) -> None:
    before = (trained / "checkpoints" / "best.ckpt").read_bytes()
    with pytest.raises(ConfigError, match=r"expected a folder without a run.*--overwrite"):
        train(student_run(tiny_kitti, trained, steps=1), progress=False)
    assert (trained / "checkpoints" / "best.ckpt").read_bytes() == before
    (trained / "evaluation.json").write_text("{}")
    data = DataConfig(root=tiny_kitti, sequences="00", val_sequences="none", batch_size=1, workers=0)
    train(student_run(tiny_kitti, trained, steps=1, data=data, overwrite=True), progress=False)
    assert [p.name for p in (trained / "checkpoints").iterdir()] == ["last.ckpt"]  # nothing of the old run remains
    assert not (trained / "evaluation.json").exists()


def test_train_same_seed_repeats_and_other_seed_differs(trained: Path, tiny_kitti: Path, tmp_path: Path) -> None:
    again = train(student_run(tiny_kitti, tmp_path / "again"), progress=False)
    other = train(student_run(tiny_kitti, tmp_path / "other", seed=1), progress=False)
    first = load_student(trained / "checkpoints" / "last.ckpt").state_dict()
    assert all(torch.equal(value, first[name]) for name, value in load_student(again.last).state_dict().items())
    assert not all(torch.equal(value, first[name]) for name, value in load_student(other.last).state_dict().items())


def test_train_validation_score_equals_evaluation(tiny_kitti: Path, tmp_path: Path) -> None:
    """The score in the training log is the official one, points outside the volume included."""
    result = train(student_run(tiny_kitti, tmp_path / "run", steps=2), progress=False)
    segmenter = Segmenter.load(result.best, "cpu")
    scored = evaluate(SemanticKITTI(tiny_kitti, "08", cameras=()), by_segmenter(segmenter, KITTI))
    assert result.miou == pytest.approx(scored["miou"], abs=1e-6)


def test_student_on_random_labels_learns_them(tiny_kitti: Path, tmp_path: Path) -> None:
    """Random labels of fixed points can be learnt by heart; a broken gradient or optimiser could not."""
    module = TrainingModule(
        student_run(tiny_kitti, tmp_path), SPVCNN.from_config(SMALL), class_weights((1,) * 19), total_steps=4
    )
    points = torch.rand(40, 3) * torch.tensor([80.0, 80.0, 5.0]) - torch.tensor([40.0, 40.0, 3.5])
    labels = torch.randint(1, 20, (40,))
    batch = Batch(("a",), points, torch.rand(40), torch.zeros(40, dtype=torch.int64), labels)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.2, momentum=0.9, nesterov=True)
    for step in range(100):  # a falling rate, or the last steps still oscillate
        optimizer.param_groups[0]["lr"] = 0.2 * (1 - step / 100)
        optimizer.zero_grad()
        output = module.student(batch.points, batch.remission, batch.batch_index)
        torch.stack(list(module.losses(output, batch).values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
    assert (output.logits[:, 1:].argmax(1) + 1 == labels).float().mean() > 0.95


@pytest.mark.parametrize("precision", ["bf16-mixed"])
def test_train_in_reduced_precision_keeps_float32_weights(tiny_kitti: Path, tmp_path: Path, precision) -> None:
    train(student_run(tiny_kitti, tmp_path / "run", steps=2, precision=precision), progress=False)
    student = load_student(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert all(torch.isfinite(p).all() and p.dtype is torch.float32 for p in student.parameters())


def test_train_init_starts_from_given_weights(trained: Path, tiny_kitti: Path, tmp_path: Path) -> None:
    start = trained / "checkpoints" / "last.ckpt"
    result = train(
        student_run(tiny_kitti, tmp_path / "next", steps=1, init=start, optim=OptimConfig(lr=1e-12)), progress=False
    )
    expected = load_student(start)
    for name, value in load_student(result.last).named_parameters():
        torch.testing.assert_close(value, expected.get_parameter(name))


def test_train_init_of_another_shape_is_refused(tiny_kitti: Path, tmp_path: Path) -> None:
    save_student(SPVCNN(channels=4, cells=(100, 100, 12)), tmp_path / "other.safetensors")
    with pytest.raises(ConfigError, match=r"Set the student\.\* keys"):
        train(student_run(tiny_kitti, tmp_path / "run", init=tmp_path / "other.safetensors"), progress=False)


def test_train_accumulated_steps_are_complete_and_scored(tiny_kitti: Path, tmp_path: Path) -> None:
    """Two scans an epoch and two batches a step: one step an epoch, none of half its size."""
    result = train(student_run(tiny_kitti, tmp_path / "run", steps=3, accumulate=2), progress=False)
    assert result.miou is not None
    assert load_student(result.best).config == SMALL
    with pytest.raises(ConfigError, match="Lower --accumulate"):
        train(student_run(tiny_kitti, tmp_path / "other", accumulate=3), progress=False)


def test_train_without_validation_keeps_the_last_weights(tiny_kitti: Path, tmp_path: Path) -> None:
    data = DataConfig(root=tiny_kitti, sequences="00", val_sequences="none", batch_size=1, workers=0)
    result = train(student_run(tiny_kitti, tmp_path / "run", data=data, steps=3), progress=False)
    assert result.miou is None
    assert result.best == result.last
    assert load_student(result.last).config == SMALL


def test_sampler_of_two_processes_shares_scans_without_overlap() -> None:
    keys = [list(EpochSampler(11, seed=3, rank=r, world=2, scans_per_step=2)) for r in range(2)]
    assert [len(k) for k in keys] == [4, 4]
    assert len({key.index for k in keys for key in k}) == 8
    assert keys[0] == list(EpochSampler(11, seed=3))[::2][:4]


def test_data_module_point_counts_equal_a_loop(tiny_kitti: Path, tmp_path: Path) -> None:
    from elite.data.datamodule import DataModule

    counts = DataModule(student_run(tiny_kitti, tmp_path)).point_counts()
    expected = np.zeros(20, int)
    for frame in SemanticKITTI(tiny_kitti, "00", cameras=()):
        for label in frame.labels:
            expected[label] += 1
    assert counts == expected[1:].tolist()


def test_cosine_with_warm_up_equals_its_formula() -> None:
    optim = OptimConfig(lr=1.0, final_lr=0.1, warmup_steps=4)
    factors = [cosine(step, 104, optim) for step in range(120)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[54] == pytest.approx((1 + 0.1) / 2)
    assert factors[104:] == pytest.approx([0.1] * 16)  # it ends, and does not rise again
    assert cosine(10, 100, OptimConfig()) == pytest.approx((1 + math.cos(math.pi / 10)) / 2)
    by_epoch = [cosine(step, 100, OptimConfig(lr=1.0, final_lr=0.1), stair=25) for step in range(100)]
    each = [0.1 + 0.9 * (1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in range(4)]
    assert by_epoch == pytest.approx(np.repeat(each, 25))


@pytest.mark.parametrize("anneal", ["step", "epoch"])
def test_train_schedule_length_follows_the_data(tiny_kitti: Path, tmp_path: Path, anneal) -> None:
    """Two scans, of which each batch takes one: six steps of three epochs."""
    optim = OptimConfig(lr=0.1, final_lr=0.01, anneal=anneal)
    train(student_run(tiny_kitti, tmp_path / "run", steps=None, epochs=3, optim=optim), progress=False)
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rates = {int(row["step"]): float(row["lr-SGD"]) for row in csv.DictReader(file) if row["lr-SGD"]}
    progress = {step: (step if anneal == "step" else step // 2 * 2) / 6 for step in rates}
    expected = {step: 0.01 + 0.09 * (1 + math.cos(math.pi * p)) / 2 for step, p in progress.items()}
    assert len(rates) > 0
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"data": DataConfig(root=None)}, ConfigError, "Give DATA"),
        ({"data": DataConfig(root=Path("nowhere"))}, DataError, "expected a data set of one known format"),
        ({"data": "11"}, DataError, "training needs labels"),
        ({"val": "11"}, DataError, "none to train without validation"),
        ({"out": Path("/proc/nothing/here")}, OutputError, "Choose another output"),
        ({"init": Path("absent.ckpt")}, CheckpointError, "absent.ckpt"),
    ],
)
def test_train_impossible_settings_are_refused_before_the_first_step(
    tiny_kitti: Path, tmp_path: Path, changes, error, message
) -> None:
    if changes.get("data") == "11":
        changes = {"data": DataConfig(root=tiny_kitti, sequences="11", workers=0)}
    if "val" in changes:
        changes = {"data": DataConfig(root=tiny_kitti, sequences="00", val_sequences="11", workers=0)}
    with pytest.raises(error, match=message):
        train(student_run(tiny_kitti, tmp_path / "run", **changes), progress=False)


@pytest.mark.parametrize(("validated", "steps"), [(True, 1), (False, 4)])
def test_train_with_exploding_weights_is_an_error(tiny_kitti: Path, tmp_path: Path, validated, steps) -> None:
    """After the first step nothing is finite. Nine consecutive steps are skipped before the run ends."""
    validation = "valid" if validated else "none"
    data = DataConfig(root=tiny_kitti, sequences="00", val_sequences=validation, batch_size=1, workers=0)
    settings = student_run(tiny_kitti, tmp_path / "run", steps=steps, data=data, optim=OptimConfig(lr=1e10))
    with pytest.raises(TrainingError, match=rf"(no|none).*{steps - 1} of {steps} steps were skipped.*Lower --optim.lr"):
        train(settings, progress=False)
    assert not (tmp_path / "run" / "checkpoints" / "best.ckpt").exists()


def test_train_skipped_step_is_reported_at_the_end(tiny_kitti: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    losses = TrainingModule.losses

    def spoil(self: TrainingModule, *given: Any) -> dict[str, torch.Tensor]:
        terms = losses(self, *given)
        return terms | {"spoilt": torch.tensor(torch.nan)} if self.scheduled_steps == 1 else terms

    monkeypatch.setattr(TrainingModule, "losses", spoil)
    assert train(student_run(tiny_kitti, tmp_path / "run"), progress=False).miou is not None
    assert "1 of 4 steps were skipped because their loss or gradient was not finite" in capsys.readouterr().out


def teacher_run(root: Path, run: Path, rows: int = 320) -> TrainConfig:
    """A run with a teacher, up to the moment when that is built."""
    return student_run(root, run, teacher=TeacherConfig(weights="random"), image=ImageConfig(crop=(rows, 1024)))


def test_train_crop_larger_than_images_is_refused_before_the_run(kitti: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = teacher_run(kitti, run, rows=384)
    with pytest.raises(DataError, match=r"image\.crop, found 376 x 1241"):
        train(settings, progress=False)
    assert not run.exists()


@pytest.mark.parametrize("damage", ["Tr", "scan", "validation scan"])
def test_train_unreadable_frame_is_refused_before_the_run(kitti: Path, tmp_path: Path, damage) -> None:
    run, sequence = tmp_path / "run", kitti / "sequences" / ("08" if damage == "validation scan" else "00")
    if damage == "Tr":
        (sequence / "calib.txt").write_text("P2: 700 0 600 45 0 700 180 0 0 0 1 0\n")
    else:
        (sequence / "velodyne" / "000000.bin").write_bytes(b"half")
    settings = teacher_run(kitti, run)
    with pytest.raises(DataError, match=r"calib\.txt: .*Tr" if damage == "Tr" else "000000.bin"):
        train(settings, progress=False)
    assert not run.exists()


def test_train_unused_data_is_reported(kitti: Path, tmp_path: Path, capsys) -> None:
    (kitti / "sequences" / "00" / "labels" / "000001.label").unlink()
    write_frame(kitti, "22", "000000", random_scan(np.random.default_rng(0)))  # as elite synth --sequences 12 does
    train(student_run(kitti, tmp_path / "run", steps=1), progress=False)
    out = capsys.readouterr().out
    assert "skipped training scans, which have no labels in 'labels': 1 of 2\n" in out
    assert "1 labelled, 2 unlabelled training scans; the unlabelled ones are used by --config few-labels\n" in out
    assert "the images in image_2 are not used without a teacher" in out
    assert "sequence 22 is not used (see --data.sequences" in out


def test_segmenter_without_training_packages_loads_checkpoints(trained: Path) -> None:
    code = f"""
import sys
for name in ("lightning", "torchmetrics", "tensorboard", "transformers", "peft", "matplotlib", "trimesh"):
    sys.modules[name] = None
import numpy as np, elite
segment = elite.Segmenter.load({str(trained / "checkpoints" / "best.ckpt")!r})
result = segment(np.zeros((5, 3), np.float32), np.ones(5, np.float32))
assert result.labels.shape == result.confidence.shape == (5,) and result.labels.min() >= 1
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE_S)


def test_throughput_waiting_excludes_validation(monkeypatch) -> None:
    """Two steps of 3 s, each after 1 s of waiting, 10 s of validation after the first."""
    times = iter([0, 1, 4, 5, 15, 15, 18])  # start; begin and end of a step; of the validation; of a step
    monkeypatch.setattr("elite.training.throughput.time.monotonic", lambda: next(times))
    throughput = Throughput(processes=2)
    throughput.batch_arrived()
    assert throughput.batch_done(scans=6) == {"scans/s": 3.0, "waiting": 0.25}
    throughput.pause()
    throughput.resume()
    throughput.batch_arrived()
    assert throughput.batch_done(scans=6) == {"scans/s": 3.0, "waiting": 0.25}
