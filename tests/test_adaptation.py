"""Adaptation of batch norms to unlabelled scans."""

import re
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from elite.adaptation import adapt_batch_norms
from elite.cli import main
from elite.errors import DataError
from elite.inference import Segmenter
from elite.student import SPVCNN, load_student, save_student
from elite.types import Scan
from tests.support.recordings import PERIOD, START, cloud, cloud_item, write_recording
from tests.support.runs import SMALL
from tests.support.scans import random_scan
from tests.support.students import with_random_norms


def scans(count: int, seed: int = 0) -> list[tuple[object, Scan]]:
    rows = [random_scan(np.random.default_rng((seed, i)), 3000) for i in range(count)]
    return [(f"scan {i}", Scan(points[:, :3], points[:, 3])) for i, points in enumerate(rows)]


def adapted(student: SPVCNN, given: list[tuple[object, Scan]], weight: float) -> SPVCNN:
    return adapt_batch_norms(Segmenter(deepcopy(student)), given, weight).student


@pytest.fixture
def student() -> SPVCNN:
    return with_random_norms(SPVCNN.from_config(SMALL), 0.3)


def assert_near(a: SPVCNN, b: SPVCNN) -> None:
    for name, value in a.state_dict().items():
        torch.testing.assert_close(value, b.state_dict()[name], msg=name)


def test_adapt_statistics_of_the_first_norm_are_those_of_its_inputs(student) -> None:
    inputs: list[torch.Tensor] = []
    norm = student.get_submodule("stages.0.voxel.0.norm1")
    norm.register_forward_hook(lambda _, args, __: inputs.append(args[0]))
    segmenter = Segmenter(student, backend="torch")
    for _, scan in scans(3):
        segmenter(scan)
    norm._forward_hooks.clear()
    found = adapted(student, scans(3), 1.0).get_buffer("stages.0.voxel.0.norm1.running_mean")
    torch.testing.assert_close(found, torch.stack([x.mean(dim=0) for x in inputs]).mean(dim=0))
    found = adapted(student, scans(3), 1.0).get_buffer("stages.0.voxel.0.norm1.running_var")
    torch.testing.assert_close(found, torch.stack([x.var(dim=0) for x in inputs]).mean(dim=0))


def test_adapt_recovers_perturbed_statistics_of_the_scans(student) -> None:
    fitted = adapted(student, scans(3), 1.0)
    perturbed = deepcopy(fitted)
    for name, values in perturbed.named_buffers():
        if name.endswith("running_mean"):
            values.add_(0.5)
        elif name.endswith("running_var"):
            values.mul_(3.0)
    assert_near(adapted(perturbed, scans(3), 1.0), fitted)
    half = adapted(perturbed, scans(3), 0.5).get_buffer("stages.0.voxel.0.norm1.running_mean")
    torch.testing.assert_close(half, fitted.get_buffer("stages.0.voxel.0.norm1.running_mean") + 0.25)


def test_adapt_changes_few_labels_of_a_student_of_such_scans(student) -> None:
    fitted, (_, other) = adapted(student, scans(3), 1.0), scans(1, seed=1)[0]
    labels = [Segmenter(made)(other).labels for made in (fitted, adapted(fitted, scans(5, seed=2), 0.5), student)]
    assert np.mean(labels[0] == labels[1]) > 0.95
    assert np.mean(labels[0] == labels[2]) < 0.9
    assert adapt_batch_norms(Segmenter(fitted), scans(5, seed=2)).shift < 0.1


def test_adapt_keeps_the_given_student_and_everything_except_statistics(student) -> None:
    before = deepcopy(student)
    result = adapted(student, scans(2), 0.5)
    changed = {name for name, value in result.state_dict().items() if not torch.equal(value, before.state_dict()[name])}
    assert changed
    assert {name.rpartition(".")[2] for name in changed} == {"running_mean", "running_var"}
    assert_near(student, before)
    assert not result.training


def test_adapt_scan_of_few_points_is_refused(student) -> None:
    few = Scan(np.full((3, 3), 1.0, np.float32), np.zeros(3, np.float32))
    with pytest.raises(DataError, match=r"few: expected points in several cells .*Give scans with more points"):
        adapted(student, [("few", few)], 0.5)


# ---- command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(student, tmp_path: Path) -> Path:
    save_student(student, tmp_path / "student.safetensors")
    return tmp_path / "student.safetensors"


def test_command_reads_folders_data_sets_and_recordings_alike(saved, tmp_path, capsys) -> None:
    folder = tmp_path / "kitti" / "sequences" / "00" / "velodyne"
    folder.mkdir(parents=True)
    rows = [random_scan(np.random.default_rng(i), 3000) for i in range(4)]
    for i, points in enumerate(rows):
        points.tofile(folder / f"{i:06d}.bin")
    names = [*"xyz", "intensity"]
    fields = [dict(zip(names, points.T, strict=True)) for points in rows]
    clouds = [cloud("XYZI", values, stamp=START + i * PERIOD) for i, values in enumerate(fields)]
    write_recording(tmp_path / "drive.mcap", [cloud_item("/points", record) for record in clouds])
    written = []
    for data in (folder, tmp_path / "kitti", tmp_path / "drive.mcap"):
        written.append(tmp_path / f"{data.stem}.safetensors")
        assert main(["adapt", str(saved), str(data), "-o", str(written[-1]), "--scans", "4", "--weight", "1"]) == 0
    assert re.search(r"means of 4 scans differ by \d\.\d\d standard deviations", capsys.readouterr().out)
    assert len({path.read_bytes() for path in written}) == 1
    assert_near(load_student(written[0]), adapted(load_student(saved), [(0, Scan(r[:, :3], r[:, 3])) for r in rows], 1))


def test_command_chooses_evenly_spaced_scans_and_reports_fewer(saved, tmp_path, capsys) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for i in range(4):
        random_scan(np.random.default_rng(i), 3000).tofile(folder / f"{i}.bin")
    (folder / "0.bin").write_bytes(b"damaged")  # neither the first nor the last one is read
    (folder / "2.bin").write_bytes(b"damaged")
    assert main(["adapt", str(saved), str(folder), "-o", str(tmp_path / "a.safetensors"), "--scans", "2"]) == 0
    assert main(["adapt", str(saved), str(folder), "-o", str(tmp_path / "b.safetensors")]) == 2
    assert not (tmp_path / "b.safetensors").exists()
    assert main(["adapt", str(saved), str(folder / "1.bin"), "-o", str(tmp_path / "b.safetensors")]) == 0
    assert "DATA has 1 of 5 scans; all are used." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--weight", "2"], "expected a share from 0 to 1, found '2'"),
        (["--topic", "/points"], "--topic: expected a recording"),
        (["-o", "adapted.ckpt"], "expected a name that ends in .safetensors, found '.ckpt'"),
    ],
)
def test_command_refuses_impossible_options(options, message, saved, tmp_path, capsys) -> None:
    scan = tmp_path / "scan.bin"
    random_scan(np.random.default_rng(0)).tofile(scan)
    given = options if "-o" in options else [*options, "-o", str(tmp_path / "adapted.safetensors")]
    assert main(["adapt", str(saved), str(scan), *given]) == 2
    assert message in capsys.readouterr().err
