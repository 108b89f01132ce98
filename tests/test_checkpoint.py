"""Student files and published checkpoints: exact round trips, and refusals of any other file."""

import json
import pickle
import re
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from elite.config import StudentConfig, plain
from elite.datasets.scan_files import read_scan
from elite.errors import CheckpointError
from elite.geometry import in_volume
from elite.sensor import SensorSpec
from elite.student import SPVCNN, load_student, save_student
from elite.student.published import ImportReport, import_published
from elite.taxonomy import load_taxonomy
from tests.support.published import UNUSED_ENTRIES, published_state
from tests.support.semantickitti import HDL_64E
from tests.support.torch_files import published_bytes

NUSCENES = load_taxonomy("nuscenes-lidarseg")
LAYOUTS = ("KRSC", "RSKC", "RSCK")
SMALL = {"channels": 2, "strides": (1, 2)}


def student(**settings) -> SPVCNN:
    """A small student whose every weight and buffer is random."""
    made = SPVCNN(**{"channels": 8, **settings}).eval()
    for value in made.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.1, 1)
    return made


@pytest.fixture
def save_published(tmp_path: Path) -> Callable[[dict[str, Tensor]], Path]:
    def save(state: dict[str, Tensor]) -> Path:
        torch.save({"state_dict": state, "epoch": 3}, tmp_path / "published.ckpt")
        return tmp_path / "published.ckpt"

    return save


def assert_same_student(a: SPVCNN, b: SPVCNN) -> None:
    assert a.config == b.config
    ours, theirs = a.state_dict(), b.state_dict()
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert value.dtype == theirs[name].dtype
        assert torch.equal(value, theirs[name]), name


# ---- published checkpoints ------------------------------------------------------------------------------------


def test_import_published_fixture_gives_the_published_logits(real_data):
    published = real_data / "published-student"
    imported, report = import_published(published / "random_weights.ckpt")
    assert report.weight_layout == "KRSC"
    expected = np.load(published / "expected.npz")
    scan = read_scan(real_data / "semantickitti" / "sequences" / "00" / "velodyne" / "000000.bin", HDL_64E)
    inside = in_volume(scan.points, imported.config.volume)
    assert np.array_equal(np.flatnonzero(inside), expected["in_volume"])
    points, remission = torch.from_numpy(scan.points[inside]), torch.from_numpy(scan.remission[inside])
    with torch.no_grad():
        logits = imported(points, remission, torch.zeros(len(points), dtype=torch.int64)).logits.numpy()
    row = np.searchsorted(expected["in_volume"], expected["point_index"])
    assert np.abs(logits[row] - expected["logits"]).max() < 1e-4
    assert (logits[:, 1:].argmax(axis=1) + 1 == expected["argmax_1_19"]).mean() >= 0.9999


@pytest.mark.parametrize("layout", LAYOUTS)
def test_import_published_any_weight_layout_gives_the_same_student(layout, save_published):
    original = student()
    state = published_state(original, layout)
    imported, report = import_published(save_published(state), layout=None if layout == "KRSC" else layout)
    assert_same_student(imported, original)
    assert not imported.training
    assert report.weight_layout == layout
    assert set(report.skipped) == set(UNUSED_ENTRIES)
    assert set(report.imported) | set(report.skipped) == set(state)
    assert sorted(report.imported.values()) == sorted(original.state_dict())
    assert any("ce_loss" in line and "loss" in line.split(": ")[1] for line in report.lines())


def test_import_published_infers_channels_classes_and_stages(save_published):
    original = student(channels=6, classes=9, strides=(1, 2, 4))
    imported, _ = import_published(save_published(published_state(original, "KRSC")))
    assert_same_student(imported, original)


def test_import_published_ambiguous_layout_requires_one(save_published):
    path = save_published(published_state(student(), "RSCK"))
    with pytest.raises(CheckpointError, match="--weight-layout"):
        import_published(path)


@pytest.mark.parametrize(("stored", "claimed"), [("KRSC", "RSKC"), ("KRSC", "RSCK"), ("RSCK", "KRSC")])
def test_import_published_layout_against_the_shapes_is_refused(stored, claimed, save_published):
    original = student()
    path = save_published(published_state(original, stored))
    with pytest.raises(CheckpointError, match="Omit --weight-layout, or give another"):
        import_published(path, layout=claimed)
    assert_same_student(import_published(path, layout=None if stored == "KRSC" else stored)[0], original)


@pytest.mark.parametrize("packed", [True, False], ids=["archive", "stream"])
def test_import_published_of_a_training_checkpoint_reads_weights_and_names_other_classes(
    packed: bool, tmp_path: Path
) -> None:
    """With EasyDict settings, callbacks by class and the optimiser's state; also in torch's format before 1.6."""
    original, path = student(**SMALL), tmp_path / "published.ckpt"
    path.write_bytes(published_bytes(published_state(original, "KRSC"), packed=packed))
    imported, report = import_published(path)
    assert_same_student(imported, original)
    *_, where, opened = report.lines()
    assert where == "weights found in 'state_dict'"
    assert re.search(r"^\d+ classes and functions of other code were not opened: .*easydict\.EasyDict", opened)
    with pytest.raises(CheckpointError, match=r"Convert a published checkpoint with 'elite import' first"):
        load_student(path)
    save_student(imported, path)  # what that command does
    assert_same_student(load_student(path), original)


PREFIXES = {
    "DistributedDataParallel": "module.",
    "torch.compile": "_orig_mod.",
    "a wrapper": "model.",
    "all of them": "module._orig_mod.model.",
    "in another order": "model.module._orig_mod.network.",
}


@pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES)
@pytest.mark.parametrize("nested", [True, False], ids=["nested", "alone"])
def test_import_published_of_prefixed_names_takes_the_prefix_off(prefix: str, nested: bool, tmp_path: Path) -> None:
    original, path = student(**SMALL), tmp_path / "published.ckpt"
    state = {f"{prefix}{name}": value for name, value in published_state(original, "KRSC").items()}
    torch.save({"checkpoint": {"model": state}} if nested else state, path)
    imported, report = import_published(path)
    assert_same_student(imported, original)
    assert set(report.imported) | set(report.skipped) == set(state)
    assert f"removed from {len(state)} of {len(state)} names" in report.notes[-1]
    assert all(f"'{part}." in report.notes[-1] or f"{part}." in report.notes[-1] for part in prefix.split(".")[:-1])
    assert ("weights found in 'checkpoint.model'" in report.notes) == nested


def test_import_published_of_a_compiled_part_takes_its_prefix_off(tmp_path: Path) -> None:
    original, path = student(**SMALL), tmp_path / "published.ckpt"
    state = published_state(original, "KRSC")
    torch.save({name.replace("spv_enc.", "spv_enc._orig_mod."): value for name, value in state.items()}, path)
    imported, report = import_published(path)
    assert_same_student(imported, original)
    assert re.fullmatch(r"'_orig_mod\.' removed from \d+ of \d+ names", report.notes[-1])


AMBIGUOUS = {
    "two dictionaries": (
        lambda s: {"model": s, "model_ema": s},
        "names without a prefix in 'model' and names without a prefix in 'model_ema'",
    ),
    "two prefixes": (
        lambda s: s | {f"ema.{name}": value for name, value in s.items()},
        "names without a prefix and names that begin with 'ema.'",
    ),
    "with and without a wrapper": (
        lambda s: s | {f"module.{name}": value for name, value in s.items()},
        "each weight once",
    ),
}


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_import_published_of_two_students_is_refused_until_one_is_saved_alone(kind: str, tmp_path: Path) -> None:
    original, path = student(**SMALL), tmp_path / "published.ckpt"
    state = published_state(original, "KRSC")
    change, found = AMBIGUOUS[kind]
    torch.save(change(state), path)
    with pytest.raises(CheckpointError, match=f"{found}.*Save only the wanted ones with torch.save"):
        import_published(path)
    torch.save(state, path)
    assert_same_student(import_published(path)[0], original)


REMEDIES = {
    "a value that is not a tensor": (
        lambda s: s | {"model_3d.args": Namespace(lr=0.1)},
        r"as 'model_3d\.args', found an object of argparse\.Namespace\. Save only the student's state_dict",
    ),
    "a key of another network": (
        lambda s: s | {"module.model_3d.head.weight": torch.ones(1)},
        r"found 'model_3d\.head\.weight'\. Save the student's weights without it",
    ),
}


@pytest.mark.parametrize("kind", REMEDIES)
def test_import_published_remedies_work(kind: str, save_published) -> None:
    original = student(**SMALL)
    state = published_state(original, "KRSC")
    change, message = REMEDIES[kind]
    with pytest.raises(CheckpointError, match=message):
        import_published(save_published(change(state)))
    assert_same_student(import_published(save_published(state))[0], original)


def without(state: dict[str, Tensor], *names: str) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if name not in names}


UNFIT = {
    "unknown student key": (lambda s: s | {"model_3d.extra.weight": torch.ones(1)}, r"model_3d\.extra\.weight"),
    "unknown other key": (lambda s: s | {"head.weight": torch.ones(1)}, r"head\.weight"),
    "missing key": (lambda s: without(s, "model_3d.spv_enc.2.p_enc.layer_out.2.bias"), r"stages\.2\.point\.out\.bias"),
    "missing classifier": (lambda s: without(s, "model_3d.classifier.2.weight"), "classifier"),
    "missing point MLP": (lambda s: without(s, "model_3d.voxel_3d_generator.PPmodel.2.weight"), "point MLP"),
    "wrong shape": (lambda s: s | {"model_3d.classifier.0.bias": torch.ones(5)}, r"classifier\.0\.bias.*\(5,\)"),
    "wrong kernel": (
        lambda s: s | {"model_3d.spv_enc.0.v_enc.0.layers.0.weight": torch.ones(8, 3, 3, 5, 8)},
        r"spv_enc\.0\.v_enc\.0\.layers\.0",
    ),
    "no student": (lambda s: {"model_2d.conv1.weight": torch.ones(3)}, r"model_3d"),
    "no stages": (lambda s: {k: v for k, v in s.items() if "spv_enc" not in k}, "strides"),
    "odd channels": (lambda s: s | {"model_3d.voxel_3d_generator.PPmodel.2.weight": torch.ones(7, 7)}, "channels"),
    "numbered keys": (lambda s: {0: torch.ones(3)}, "state_dict"),
}


@pytest.mark.parametrize("fault", UNFIT)
def test_import_published_changed_weights_are_refused(fault, save_published):
    change, message = UNFIT[fault]
    path = save_published(change(published_state(student(), "KRSC")))
    with pytest.raises(CheckpointError, match=message):
        import_published(path)


def test_import_published_of_other_class_count_is_refused(save_published):
    path = save_published(published_state(student(classes=17), "KRSC"))
    with pytest.raises(CheckpointError, match=r"20 classes"):
        import_published(path, config=StudentConfig(channels=8))


def test_import_report_counts_unused_entries():
    report = ImportReport(imported={"a": "b"}, skipped={"c": "reason"}, weight_layout="KRSC")
    assert report.lines() == [
        "1 keys imported (3x3x3 weights stored as KRSC)",
        "  a -> b",
        "1 keys skipped",
        "  c: reason",
    ]


# ---- files that are not checkpoints ----------------------------------------------------------------------------


class Payload:
    """Unpickling it would run a call."""

    def __reduce__(self):
        return (print, ("must never run",))


def test_import_published_with_pickled_calls_names_and_never_runs_them(tmp_path, capsys):
    path, original = tmp_path / "object.ckpt", student(**SMALL)
    torch.save({"state_dict": published_state(original, "KRSC"), "hyper_parameters": Payload()}, path)
    imported, report = import_published(path)
    assert_same_student(imported, original)
    assert "__builtin__.print" in report.notes[-1]
    with pytest.raises(CheckpointError, match="elite import"):
        load_student(path)
    assert "must never run" not in capsys.readouterr().out


def foreign_files() -> dict[str, bytes]:
    junk = np.random.default_rng(0)
    files = {f"junk {n}": junk.integers(0, 256, n, np.uint8).tobytes() for n in (1, 2, 7, 64, 1000)}
    files |= {f"zip start {n}": b"PK\x03\x04" + files[f"junk {n}"] for n in (2, 64, 1000)}
    files |= {f"pickle start {n}": b"\x80\x02" + files[f"junk {n}"] for n in (2, 64, 1000)}
    return files | {
        "empty": b"",
        "text": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "page": b"<!DOCTYPE html><html><body>Not found</body></html>",
        "lone pickle op": b".",
        "pickled list": pickle.dumps([1, 2]),
        "huge header": b"\xff" * 16,
    }


@pytest.mark.parametrize("content", foreign_files().values(), ids=foreign_files())
@pytest.mark.parametrize("read", [import_published, load_student])
def test_load_student_of_another_file_type_is_refused(read, content, tmp_path):
    path = tmp_path / "file.ckpt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"file\.ckpt"):
        read(path)


@pytest.mark.parametrize("read", [import_published, load_student])
def test_load_student_of_missing_files_or_folders_is_refused(read, tmp_path):
    for path in (tmp_path / "absent.ckpt", tmp_path):
        with pytest.raises(CheckpointError, match=path.name):
            read(path)


@pytest.mark.parametrize(
    "checkpoint",
    [
        {"state_dict": [1, 2]},
        {"state_dict": {"model_3d.a": 3}},
        {"weights": {}},
        {"elite_config": {}, "state_dict": {}},
        {"elite_config": {"student": {"channels": 8}}, "state_dict": {"student.point_mlp.out.weight": 3}},
        {"elite_config": {"student": {"channels": 7}}, "state_dict": {}},
        {"elite_config": {"student": {"depth": 7}}, "state_dict": {}},
        {"elite_config": {"student": {"strides": 4}}, "state_dict": {}},
        {"elite_config": {"student": 4}, "state_dict": {}},
        [torch.ones(1)],
    ],
    ids=str,
)
@pytest.mark.parametrize("read", [import_published, load_student])
def test_load_student_of_other_torch_files_is_refused(read, checkpoint, tmp_path):
    torch.save(checkpoint, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match=r"other\.ckpt"):
        read(tmp_path / "other.ckpt")


def cut_points(size: int) -> list[int]:
    return sorted({0, 1, 2, 7, 8, 9, 60, *range(100, size, size // 25), size - 23, size - 1})


def test_import_published_truncated_anywhere_is_refused(tmp_path, save_published):
    whole = save_published(published_state(student(channels=2), "KRSC")).read_bytes()
    path = tmp_path / "cut.ckpt"
    for size in cut_points(len(whole)):
        path.write_bytes(whole[:size])
        for read in (import_published, load_student):
            with pytest.raises(CheckpointError):
                read(path)


# ---- our own files --------------------------------------------------------------------------------------------


def test_student_file_round_trip_is_bit_identical(tmp_path):
    original = student(channels=4, strides=(1, 3, 9), volume=((-20.5, -20.0, -2.0), (20.0, 20.0, 3.25)), classes=5)
    save_student(original, tmp_path / "student.safetensors")
    loaded = load_student(tmp_path / "student.safetensors")
    assert_same_student(loaded, original)
    assert not loaded.training


def test_student_file_contains_taxonomy_and_sensor(tmp_path):
    sensor = SensorSpec("own", ("x", "y", "z"), height=1.2)
    original = SPVCNN(
        channels=4, cells=(50, 50, 10), classes=17, taxonomy=NUSCENES, sensor=sensor, remission=(0.0, 0.25, 0.99)
    )
    save_student(original, tmp_path / "student.safetensors")
    loaded = load_student(tmp_path / "student.safetensors")
    assert (loaded.taxonomy, loaded.sensor, loaded.remission) == (NUSCENES, sensor, (0.0, 0.25, 0.99))


def test_student_file_of_an_earlier_version_means_semantickitti(tmp_path):
    original = student(channels=4)
    about = json.dumps({"config": plain(original.config), "version": "0.1"})
    save_file(original.state_dict(), tmp_path / "student.safetensors", {"elite-student-1": about})
    loaded = load_student(tmp_path / "student.safetensors")
    assert (loaded.taxonomy.name, loaded.sensor.name, loaded.remission) == ("semantickitti", "hdl-64e", None)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"taxonomy": {"name": "own"}}, "expected settings among name, classes"),
        ({"taxonomy": NUSCENES.to_dict()}, "expected 17 logits, the classes of nuscenes-lidarseg .* Give a student"),
        ({"sensor": {"name": "own", "columns": ["x"]}}, "columns with x, y and z"),
        ({"remission": [0, 1, 0.5]}, "expected ascending quantiles of remission"),
        ({"remission": [0, "1"]}, "expected ascending quantiles of remission"),
    ],
)
def test_load_student_of_another_taxonomy_or_sensor_is_refused(entry, message, tmp_path):
    original = student(channels=4)
    about = json.dumps({"config": plain(original.config), **entry})
    save_file(original.state_dict(), tmp_path / "student.safetensors", {"elite-student-1": about})
    with pytest.raises(CheckpointError, match=message):
        load_student(tmp_path / "student.safetensors")


def test_load_student_of_a_training_checkpoint_gives_its_student(tmp_path):
    original = student(channels=4, classes=5)
    state = {f"student.{name}": value for name, value in original.state_dict().items()}
    config = {"student": {"channels": 4, "classes": 5, "strides": [1, 2, 4, 8, 16]}, "seed": 1}
    path = tmp_path / "last.ckpt"
    torch.save({"elite_config": config, "state_dict": state | {"teacher.weight": torch.ones(3)}}, path)
    assert_same_student(load_student(path), original)

    torch.save({"elite_config": config, "state_dict": without(state, "student.classifier.0.bias")}, path)
    with pytest.raises(CheckpointError, match=r"no 'classifier\.0\.bias'"):
        load_student(path)


def test_load_student_truncated_anywhere_is_refused(tmp_path):
    path = tmp_path / "student.safetensors"
    save_student(student(channels=2), path)
    whole = path.read_bytes()
    for size in cut_points(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError):
            load_student(path)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"format": "pt"},
        {"format": "elite-student-1"},
        {"format": "elite-student-1", "config": "{"},
        {"format": "elite-student-1", "config": "[]"},
        {"format": "elite-student-1", "config": '{"volume": [1]}'},
        {"format": "elite-student-1", "config": '{"channels": 7}'},
        {"format": "elite-student-1", "config": '{"channels": "64"}'},
        {"format": "elite-student-1", "config": "{}"},
    ],
    ids=str,
)
def test_load_student_of_other_safetensors_files_is_refused(metadata, tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.ones(2)}, path, metadata)
    with pytest.raises(CheckpointError, match=r"other\.safetensors"):
        load_student(path)


def test_load_student_of_a_future_format_names_both_versions(tmp_path):
    path = tmp_path / "student.safetensors"
    save_file({"a": torch.ones(2)}, path, {"elite-student-2": "{}"})
    message = r"expected version 1 of the format elite-student, .*found version 2\. Update elite\."
    with pytest.raises(CheckpointError, match=message):
        load_student(path)
