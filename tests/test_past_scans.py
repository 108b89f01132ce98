"""Past scans: their points in the frame of the scan, with their age, from the files to the labels."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import elite
from elite.cli import main
from elite.config import (
    AugmentConfig,
    CutmixConfig,
    DataConfig,
    DistillConfig,
    FaultConfig,
    SelfTrainingConfig,
    StudentConfig,
)
from elite.data.collate import collate
from elite.data.cutmix import extract_objects
from elite.data.dataset import ScoringSet, TrainingSet
from elite.datasets import SemanticKITTI, open_dataset
from elite.datasets.nuscenes import NuScenes
from elite.errors import ConfigError, DataError
from elite.inference import Segmenter
from elite.student import SPVCNN, load_student, save_student
from elite.student.engine import Engine
from elite.student.transfer import with_past_scans
from elite.submission import semantickitti, write_submission
from elite.taxonomy import load_taxonomy
from elite.training import train
from tests.support.moving import INTERVAL, sensor_pose, write_moving_drive, write_poses
from tests.support.nuscenes import write_nuscenes
from tests.support.runs import (
    SMALL,
    assert_identical,
    module_and_batch,
    read_checkpoint,
    read_faults,
    read_metrics,
    run_with_stops,
    student_run,
)
from tests.support.students import run_engine, with_random_norms

VOLUME, MULTISCAN = StudentConfig.volume, "semantickitti-multiscan"


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_moving_drive(tmp_path_factory.mktemp("moving"))


@pytest.fixture
def own_drive(tmp_path: Path) -> Path:
    return write_moving_drive(tmp_path / "drive", scans=4, scored=4)


def past_student(**changes) -> SPVCNN:
    torch.manual_seed(0)
    taxonomy = load_taxonomy(MULTISCAN)
    settings = {"channels": 8, "cells": (100, 100, 12), "classes": 26, "past_scans": 2, "taxonomy": taxonomy}
    student = with_random_norms(SPVCNN(**settings | changes), std=0.2)
    torch.nn.init.normal_(student.classifier[2].weight)  # logits as large as trained ones
    return student


# ---- geometry ---------------------------------------------------------------------------------------------------


def moved_by_hand(folder: Path, point: np.ndarray, past: int, now: int) -> list[float]:
    """A point of scan ``past`` in the LiDAR frame of scan ``now``, number by number from the files of KITTI."""
    lines = dict(line.split(":", 1) for line in (folder / "calib.txt").read_text().splitlines() if line.strip())
    calib = [[float(x) for x in lines["Tr"].split()[4 * r : 4 * r + 4]] for r in range(3)]
    poses = [[float(x) for x in line.split()] for line in (folder / "poses.txt").read_text().splitlines()]

    def apply(m: list[list[float]], p: list[float]) -> list[float]:
        return [sum(m[r][c] * p[c] for c in range(3)) + m[r][3] for r in range(3)]

    def solve(m: list[list[float]], p: list[float]) -> list[float]:
        return np.linalg.solve(np.array(m)[:, :3], np.array(p) - np.array(m)[:, 3]).tolist()

    def pose(i: int) -> list[list[float]]:
        return [poses[i][4 * r : 4 * r + 4] for r in range(3)]

    world = apply(pose(past), apply(calib, [float(x) for x in point]))
    return solve(calib, solve(pose(now), world))


def check_by_hand(root: Path, now: int, count: int) -> None:
    folder = root / "sequences" / "00"
    past = SemanticKITTI(root, "00", frames=str(now), cameras=()).with_past_scans(count).scan_with_past(0).past
    assert past is not None
    seconds = [float(line) for line in (folder / "times.txt").read_text().split()]
    start = 0
    for i in range(now - 1, now - 1 - count, -1):
        raw = np.fromfile(folder / "velodyne" / f"{i:06d}.bin", "<f4").reshape(-1, 4)
        rows = slice(start, start + len(raw))
        for k in range(0, len(raw), len(raw) // 7):
            np.testing.assert_allclose(
                past.points[start + k], moved_by_hand(folder, raw[k, :3], i, now), rtol=1e-5, atol=1e-5
            )
        np.testing.assert_array_equal(past.remission[rows], raw[:, 3])
        np.testing.assert_allclose(past.age[rows], seconds[now] - seconds[i], rtol=1e-6)
        start += len(raw)
    assert start == len(past)


def test_past_points_equal_those_moved_by_hand_through_the_calibration(drive: Path) -> None:
    check_by_hand(drive, now=3, count=2)


def test_past_points_of_real_frames_equal_those_moved_by_hand(real_kitti: Path) -> None:
    check_by_hand(real_kitti, now=4, count=3)


def test_past_points_of_the_static_world_coincide(drive: Path) -> None:
    """Points of the house are in its plane, whose place in the frame of the scan is known."""
    frames = SemanticKITTI(drive, "00", cameras=()).with_past_scans(3)
    past = frames.scan_with_past(4).past
    world = past.points @ sensor_pose(4)[:3, :3].T + sensor_pose(4)[:3, 3]
    of_house = world[world[:, 2] > -0.15]
    assert len(of_house) > 100
    assert (np.abs(of_house[:, 1] - 9.05) < 0.051).all()


def test_first_frames_have_fewer_past_scans_and_sequences_do_not_mix(drive: Path) -> None:
    frames = SemanticKITTI(drive, "00,08", cameras=()).with_past_scans(2)
    counts = [len(np.unique(frames.scan_with_past(i).past.age)) for i in range(len(frames))]
    assert counts == [0, 1, 2, 2, 2, 0, 1, 2]


def test_select_keeps_past_scans_and_reads_frames_that_are_not_selected(drive: Path) -> None:
    frames = SemanticKITTI(drive, "08", cameras=()).with_past_scans(2)
    alone = frames.select(replace(frames.selection, sequences="00", frames="3"))
    assert len(alone) == 1
    every = SemanticKITTI(drive, "00", cameras=()).with_past_scans(2)
    np.testing.assert_array_equal(alone[0].scan.past.points, every[3].scan.past.points)
    assert every.with_past_scans(0)[3].scan.past is None


def test_scan_history_equals_the_data_set(drive: Path) -> None:
    frames = SemanticKITTI(drive, "00", cameras=()).with_past_scans(2)
    history, pose = elite.ScanHistory(2), np.empty((4, 4))
    for i in range(len(frames)):
        pose[:] = frames.pose(i)  # one array, as drivers do
        found = history.add(frames.scan(i), pose, frames.times(i).scan)
        expected = frames.scan_with_past(i).past
        np.testing.assert_array_equal(found.past.points, expected.points)
        np.testing.assert_array_equal(found.past.age, expected.age)


def test_scan_history_after_a_step_back_raises_until_the_last_time_has_passed(drive: Path) -> None:
    scan, history = SemanticKITTI(drive, "00", cameras=()).scan(0), elite.ScanHistory(2)
    history.add(scan, np.eye(4), 5.0)
    for seconds in (1.0, 5.0):
        with pytest.raises(DataError, match="expected"):
            history.add(scan, np.eye(4), seconds)
    assert history.add(scan, np.eye(4), 5.1).past is not None


def test_described_data_set_has_past_scans_by_poses_with_times(drive: Path, tmp_path: Path) -> None:
    kitti, folder = SemanticKITTI(drive, "00", cameras=()).with_past_scans(2), tmp_path / "own" / "a"
    (folder / "lidar").mkdir(parents=True)
    lines = []
    for i in range(len(kitti)):
        (folder / "lidar" / f"{i:06d}.bin").write_bytes(kitti.scan_path(i).read_bytes())
        pose = sensor_pose(i)
        half = np.deg2rad(3 * i) / 2
        lines.append(f"{INTERVAL * i} {' '.join(map(str, pose[:3, 3]))} 0 0 {np.sin(half)} {np.cos(half)}")
    (folder / "poses.txt").write_text("\n".join(lines))
    (folder / "times.txt").write_text("\n".join(str(INTERVAL * i) for i in range(len(kitti))))
    (tmp_path / "own" / "dataset.yaml").write_text(
        "train: ['*']\nscans: {glob: 'lidar/*.bin', times: times.txt}\nposes: poses.txt\nnames: {0: void, 1: any}\n"
    )
    own = open_dataset(tmp_path / "own").with_past_scans(2)
    np.testing.assert_allclose(own.scan_with_past(4).past.points, kitti.scan_with_past(4).past.points, atol=1e-4)


def test_nuscenes_past_scans_are_the_sweeps_between_keyframes(tmp_path: Path) -> None:
    root = write_nuscenes(tmp_path)
    frames, sweeps = NuScenes(root, "mini_train").with_past_scans(2), NuScenes(root, "mini_train", sweeps=2)
    i = len(frames) - 1
    own, together = frames.scan(i), sweeps.scan(i)
    past = frames.scan_with_past(i).past
    assert len(past) == len(together) - len(own) > 0
    order = [np.lexsort(points.T) for points in (past.points, together.points[len(own) :])]
    np.testing.assert_allclose(past.points[order[0]], together.points[len(own) :][order[1]], atol=1e-4)
    with pytest.raises(ConfigError, match="past_scans: expected sweeps 0, found 2"):
        sweeps.with_past_scans(2)
    with pytest.raises(ConfigError, match="past_scans: expected 0 to 10"):
        frames.with_past_scans(11)


# ---- bad input --------------------------------------------------------------------------------------------------


def test_data_without_poses_or_times_is_refused(own_drive: Path) -> None:
    folder = own_drive / "sequences" / "00"
    frames = SemanticKITTI(own_drive, "00", cameras=())
    (folder / "times.txt").rename(folder / "times.bak")
    with pytest.raises(DataError, match=r"00/000000: expected a pose and a time .* found no time. Add poses.txt"):
        frames.with_past_scans(1)
    (folder / "times.bak").rename(folder / "times.txt")
    (folder / "poses.txt").unlink()
    with pytest.raises(DataError, match="found no pose"):
        frames.with_past_scans(1)
    frames.with_past_scans(0)


def test_fewer_poses_than_scans_are_refused(own_drive: Path) -> None:
    write_poses(own_drive / "sequences" / "00", [sensor_pose(i) for i in range(3)], [0.0, 0.1, 0.2, 0.3])
    with pytest.raises(DataError, match=r"poses.txt: expected at least 4 poses.*found 3"):
        SemanticKITTI(own_drive, "00", cameras=()).with_past_scans(1)


def test_each_sequence_of_a_run_requires_poses(own_drive: Path, tmp_path: Path) -> None:
    """Those of validation, and unlabelled ones of no split."""
    folder = own_drive / "sequences"
    data = DataConfig(own_drive, sequences="00", batch_size=1, workers=0, past_scans=1)
    (folder / "08" / "poses.txt").unlink()
    with pytest.raises(DataError, match="validation: scan 08/000000: expected a pose"):
        train(student_run(own_drive, tmp_path / "run", data=data), progress=False)
    rest = replace(data, val_sequences="none", unlabelled="rest")
    with pytest.raises(DataError, match="scan 08/000000: expected a pose"):
        train(student_run(own_drive, tmp_path / "run", data=rest), progress=False)


@pytest.mark.parametrize(
    ("pose", "seconds", "message"),
    [
        (np.diag([1, 1, np.nan, 1]), 0.3, r"poses.txt, line 4"),
        (np.zeros((4, 4)), 0.3, r"pose of scan 00/000003: expected a rotation"),
        (np.diag([2.0, 2, 2, 1]), 0.3, r"pose of scan 00/000003: expected a rotation"),
        (np.diag([1.0, 1, -1, 1]), 0.3, r"pose of scan 00/000003: expected a rotation"),
        (np.eye(4), 0.2, r"scan 00/000003: expected a later time than that of .*000002.bin \(0.200 s\), found 0.200 s"),
        (np.eye(4), np.nan, r"scan 00/000003: expected a later time"),
    ],
)
def test_impossible_poses_and_times_are_refused(
    own_drive: Path, pose: np.ndarray, seconds: float, message: str
) -> None:
    poses = [*(sensor_pose(i) for i in range(3)), pose]
    write_poses(own_drive / "sequences" / "00", poses, [0.0, 0.1, 0.2, seconds])
    with pytest.raises(DataError, match=message):
        SemanticKITTI(own_drive, "00", cameras=()).with_past_scans(2).scan_with_past(3)


def test_a_jump_between_scans_is_reported_once(own_drive: Path) -> None:
    jumped = sensor_pose(2)
    jumped[0, 3] += 60
    write_poses(own_drive / "sequences" / "00", [sensor_pose(0), sensor_pose(1), jumped, jumped], [0.0, 0.1, 0.2, 0.3])
    reports: list[str] = []
    segmenter = Segmenter(past_student(), report=reports.append)
    frames = SemanticKITTI(own_drive, "00", cameras=()).with_past_scans(2)
    for i in range(4):
        segmenter.segment(frames.scan_with_past(i))
    assert [line for line in reports if "between successive scans" in line] == [reports[-1]]
    assert "expected at most 50 m between successive scans, found 60.8 m by the poses" in reports[-1]


def test_damaged_past_scans_are_skipped_and_counted(own_drive: Path, tmp_path: Path, capsys) -> None:
    damaged = own_drive / "sequences" / "00" / "velodyne" / "000001.bin"
    damaged.write_bytes(damaged.read_bytes()[:-3])
    past = SemanticKITTI(own_drive, "00", cameras=()).with_past_scans(2).scan_with_past(2).past
    assert past.faults[0][0] == str(damaged)
    np.testing.assert_allclose(np.unique(past.age), 0.2, rtol=1e-6)

    save_student(past_student(), tmp_path / "student.safetensors")
    arguments = [str(tmp_path / "student.safetensors"), str(own_drive), "--taxonomy", MULTISCAN, "--sequences", "00"]
    assert main(["predict", *arguments, "--frames", "2-3", "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert "2 past scans could not be read and were skipped" in said.out
    assert said.err.count("expected its past scans, found 1 unreadable") == 1
    assert main(["predict", *arguments, "--frames", "2", "-o", str(tmp_path / "strict"), "--strict"]) != 0

    data = DataConfig(
        own_drive, sequences="00", frames="2-3", batch_size=1, workers=0, past_scans=2, val_sequences="none"
    )
    settings = student_run(own_drive, tmp_path / "run", data=data, steps=2, faults=FaultConfig(frames=0.5))
    train(settings, progress=False)
    assert [fault["frames"] for fault in read_faults(tmp_path / "run")] == [[str(damaged)]]
    with pytest.raises(DataError, match=r"faults.frames.*found 1 of 2"):
        train(replace(settings, out=tmp_path / "strict run", faults=FaultConfig(frames=0)), progress=False)


def test_scans_without_past_are_refused_for_a_student_that_requires_it(
    drive: Path, tmp_path: Path, tiny_kitti: Path, capsys
) -> None:
    scan = SemanticKITTI(drive, "00", cameras=()).scan(0)
    with pytest.raises(DataError, match=r"a.bin: expected the points of 2 past scans.*found only the scan"):
        Segmenter(past_student()).segment(scan, "a.bin")
    student = tmp_path / "student.safetensors"
    save_student(past_student(), student)
    scans = str(drive / "sequences" / "00" / "velodyne")
    for command in (["predict", str(student), scans], ["stream", str(student), scans, "--once"]):
        assert main([*command, "-o", str(tmp_path / "out")]) != 0
        assert "expected a data set with poses and times, since the student takes 2 past" in capsys.readouterr().err
    assert main(["bench", "latency", str(student), scans]) != 0
    for command in (["predict", "-o", str(tmp_path / "out")], ["evaluate", "--split", "00"]):
        data = [str(student), str(tiny_kitti), "--taxonomy", MULTISCAN]
        assert main([command[0], *data, *command[1:]]) != 0
        assert "expected a pose and a time for past_scans" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# ---- samples ----------------------------------------------------------------------------------------------------


def test_training_sample_has_past_points_after_its_own_without_labels(drive: Path) -> None:
    frames = SemanticKITTI(drive, "00", cameras=(), taxonomy=load_taxonomy(MULTISCAN)).with_past_scans(2)
    still = AugmentConfig(enabled=False)
    plain = TrainingSet(frames.with_past_scans(0), VOLUME, still, 0)
    sample, alone = TrainingSet(frames, VOLUME, still, 0)[0, 4], plain[0, 4]
    n = len(alone.points)
    assert alone.age is None
    assert (sample.age[:n] == 0).all()
    assert (sample.age[n:] > 0).all()
    for name in ("points", "remission", "labels"):
        np.testing.assert_array_equal(getattr(sample, name)[:n], getattr(alone, name))
    assert not sample.labels[n:].any()
    batch = collate([sample, sample])
    assert torch.equal(batch.present(batch.labels), collate([alone, alone]).labels)


def test_augmentation_moves_past_points_with_the_scan(drive: Path) -> None:
    """A random rotation, flip, scale and shift keeps the house a plane: a part of it is from each scan."""
    frames = SemanticKITTI(drive, "00", cameras=()).with_past_scans(2)
    augmented = TrainingSet(frames, VOLUME, AugmentConfig(), 0)[0, 4]
    plain = TrainingSet(frames, VOLUME, AugmentConfig(drop=0.0, rotate=0.0, flip=False, shift=0.0), 0)[0, 4]
    assert 0.7 < (augmented.age > 0).sum() / (plain.age > 0).sum() < 1
    inside = augmented.points[augmented.points[:, 2] > 0.3]
    centred = inside[:, :2] - inside[:, :2].mean(axis=0)
    assert np.linalg.svd(centred)[1][1] / np.sqrt(len(inside)) < 0.06  # its thickness
    assert len(np.unique(augmented.age[augmented.points[:, 2] > 0.3])) == 3


def test_scoring_sample_predicts_the_points_of_the_scan_only(drive: Path) -> None:
    frames = SemanticKITTI(drive, "08", cameras=()).with_past_scans(2)
    sample = ScoringSet(frames, VOLUME)[2]
    own = int((sample.age == 0).sum())
    assert len(sample.ground_truth) == len(sample.point_to_row) == len(frames.scan(2))
    assert sample.point_to_row.max() < own < len(sample.points)


def test_pasted_objects_bring_the_past_points_at_their_place(drive: Path) -> None:
    """Past points of a parked car are at its place, those of a car that moves 3 m per scan are not."""
    taxonomy = load_taxonomy(MULTISCAN)
    frames = SemanticKITTI(drive, "00", cameras=(), taxonomy=taxonomy).with_past_scans(2)
    frame = frames[4]
    cutouts = {taxonomy.names[c.label]: c for c in extract_objects(frame.scan, frame.objects, 20)}
    assert len(cutouts["car"].past) > 190  # of 200 from two scans
    assert len(cutouts["moving-car"].past) < 60
    config = AugmentConfig(drop=0.0, rotate=0.0, flip=False, scale=(1.0, 1.0), shift=0.0)
    plain = TrainingSet(frames, VOLUME, config, 0)
    pasting = TrainingSet(frames, VOLUME, replace(config, cutmix=CutmixConfig(objects=2, tries=50)), 0)
    gained = [[len(s[0, i].points) for s in (plain, pasting)] for i in range(len(plain))]
    past_gained = [[int((s[0, i].age > 0).sum()) for s in (plain, pasting)] for i in range(len(plain))]
    assert any(b > a for a, b in gained)
    assert any(b > a for a, b in past_gained)


# ---- student ----------------------------------------------------------------------------------------------------


def timed_cloud(n: int = 3000) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(n, 3, generator=generator) * torch.tensor([20, 20, 4]) - torch.tensor([10, 10, 3])
    age = torch.randint(0, 3, (n,), generator=generator) / 10
    return points, torch.rand(n, generator=generator), age


def test_engine_and_training_kernels_equal_pytorch_with_age() -> None:
    student, (points, remission, age) = past_student(), timed_cloud()
    index = torch.zeros(len(points), dtype=torch.int64)
    student.backend = "torch"
    with torch.no_grad():
        expected = student(points, remission, index, age).logits
        other = student(points, remission, index, age.flip(0)).logits
    assert (expected - other).abs().max() > 1e-3
    logits, group, _ = run_engine(Engine(student), points, remission, age)
    torch.testing.assert_close(logits[group], expected, rtol=1e-4, atol=1e-4)
    gradients = []
    for backend in ("torch", "native"):
        student = past_student().train()
        student.backend = backend
        student(points, remission, index, age).logits.square().mean().backward()
        gradients.append(student.point_mlp.hidden.weight.grad)
    assert gradients[0][:, -1].abs().max() > 0
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-5)


def test_init_from_a_student_without_past_scans_computes_the_same_at_first(drive: Path, tmp_path: Path, capsys) -> None:
    single = past_student(past_scans=0)
    points, remission, age = timed_cloud()
    index = torch.zeros(len(points), dtype=torch.int64)
    with torch.no_grad():
        expected = single(points, remission, index).logits
        found = with_past_scans(single, 2).eval()(points, remission, index, age).logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)

    save_student(single, tmp_path / "single.safetensors")
    data = DataConfig(drive, sequences="00", batch_size=1, workers=0, past_scans=2, taxonomy=MULTISCAN)
    settings = student_run(drive, tmp_path / "run", data=data, steps=1, init=tmp_path / "single.safetensors")
    result = train(settings, progress=False)
    assert "the weights of its new input, the age, are 0" in capsys.readouterr().out
    assert load_student(result.last).config.past_scans == 2
    back = replace(settings, out=tmp_path / "back", init=result.last, data=replace(data, past_scans=0))
    with pytest.raises(ConfigError, match="expected a student of"):
        train(back, progress=False)


def test_student_files_without_past_scans_are_as_before(tmp_path: Path) -> None:
    save_student(past_student(past_scans=0), tmp_path / "single.safetensors")
    save_student(past_student(), tmp_path / "multi.safetensors")
    assert b"past_scans" not in (tmp_path / "single.safetensors").read_bytes()
    assert load_student(tmp_path / "multi.safetensors").config.past_scans == 2


# ---- runs -------------------------------------------------------------------------------------------------------


def test_losses_count_the_points_of_the_scan_only(drive: Path, tmp_path: Path) -> None:
    """With past points whose voxels are their own, the majority label of each other voxel is that of its own points."""
    data = DataConfig(drive, sequences="00", batch_size=1, workers=0, past_scans=2)
    student = replace(SMALL, past_scans=2)
    module, batch = module_and_batch(
        student_run(drive, tmp_path, data=data, student=student, distill=DistillConfig(student_heads=1.0))
    )
    output = module.student(batch.points, batch.remission, batch.batch_index, batch.age)
    found = module.losses(output, batch)
    own = batch.age == 0
    stages = [replace(stage, point_to_voxel=stage.point_to_voxel[own]) for stage in output.stages]
    alone = replace(output, logits=output.logits[own], stages=tuple(stages))
    of_scan = replace(
        batch, **{name: getattr(batch, name)[own] for name in ("points", "remission", "batch_index", "labels", "age")}
    )
    expected = module.losses(alone, of_scan)
    assert found.keys() == expected.keys()
    for name in found:
        torch.testing.assert_close(found[name], expected[name])


def test_train_with_past_scans_resumes_bit_identical_with_any_loader(drive: Path, tmp_path: Path, monkeypatch) -> None:
    data = DataConfig(
        drive,
        sequences="00",
        batch_size=2,
        workers=0,
        past_scans=2,
        taxonomy=MULTISCAN,
        label_fraction=0.5,
        label_unit="points",
    )
    settings = student_run(drive, tmp_path / "whole", data=data, steps=4, save_every=1)
    whole = replace(
        settings,
        augment=AugmentConfig(cutmix=CutmixConfig(objects=2)),
        self_training=SelfTrainingConfig(weight=0.5, confidence=0.2, start=0.2),
        optim=replace(settings.optim, average=0.9),
    )
    train(whole, progress=False)
    stopped = replace(whole, out=tmp_path / "stopped", data=replace(data, workers=2))
    run_with_stops(stopped, [1, 3], monkeypatch)
    one, two = read_checkpoint(stopped.out), read_checkpoint(whole.out)
    one["elite_config"]["data"]["workers"] = 0
    assert_identical(one, two)
    assert read_metrics(stopped.out) == read_metrics(whole.out)


# Learning map of the multi-scan benchmark as published (semantic-kitti-all.yaml of the SemanticKITTI tools).
OFFICIAL = {
    **{0: 0, 1: 0, 10: 1, 11: 2, 13: 5, 15: 3, 16: 5, 18: 4, 20: 5, 30: 6, 31: 7, 32: 8, 40: 9, 44: 10, 48: 11, 49: 12},
    **{50: 13, 51: 14, 52: 0, 60: 9, 70: 15, 71: 16, 72: 17, 80: 18, 81: 19, 99: 0},
    **{252: 20, 253: 21, 254: 22, 255: 23, 256: 24, 257: 24, 258: 25, 259: 24},
}


def official_miou(root: Path, predictions: Path, sequence: str) -> float:
    """Mean IoU by the rule of the benchmark's server: all 25 classes count, absent ones with 0."""
    confusion = np.zeros((26, 26))
    for path in sorted((root / "sequences" / sequence / "labels").glob("*.label")):
        truth, label = (
            [OFFICIAL[int(word) & 0xFFFF] for word in np.fromfile(file, "<u4")]
            for file in (path, predictions / "sequences" / sequence / "predictions" / path.name)
        )
        np.add.at(confusion, (label, truth), 1)
    confusion[:, 0] = 0
    tp = np.diag(confusion)
    return float((tp / (confusion.sum(0) + confusion.sum(1) - tp + 1e-15))[1:].mean())


def test_trained_multiscan_student_predicts_scores_and_submits(drive: Path, tmp_path: Path, monkeypatch) -> None:
    data = DataConfig(drive, sequences="00", batch_size=1, workers=0, past_scans=2, taxonomy=MULTISCAN)
    result = train(student_run(drive, tmp_path / "run", data=data, steps=8, val_every=8), progress=False)
    model, out = str(result.last), tmp_path / "predictions"
    common = ["--taxonomy", MULTISCAN]
    assert main(["evaluate", model, str(drive), *common, "--json", str(tmp_path / "score.json")]) == 0
    assert main(["predict", model, str(drive), *common, "-o", str(out)]) == 0
    score = json.loads((tmp_path / "score.json").read_text())
    assert score["miou"] == pytest.approx(official_miou(drive, out, "08"), abs=1e-12)
    assert score["miou"] == pytest.approx(result.miou, abs=1e-6)
    assert main(["evaluate", str(drive), *common, "--predictions", str(out)]) == 0
    assert (
        main(["bench", "latency", model, str(drive), *common, "--sequences", "08", "--rounds", "1", "--votes", "2"])
        == 0
    )
    assert main(["report", str(tmp_path / "run"), "--frames", "1"]) == 0
    monkeypatch.setattr(semantickitti, "TEST_SCANS", dict.fromkeys(map(str, range(11, 22)), 1))
    report = write_submission(out, drive, tmp_path / "multi.zip")
    assert report.accepted
    assert report.classes == MULTISCAN


def test_setting_of_the_student_follows_that_of_the_data(drive: Path, tmp_path: Path) -> None:
    settings = student_run(drive, tmp_path, student=replace(SMALL, past_scans=3))
    with pytest.raises(ConfigError, match=r"student.past_scans: expected 0, as data.past_scans, found 3"):
        train(settings, progress=False)
