"""Packaged configurations on small data: the benchmark's, and training from scribbles."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from elite.cli import main
from elite.config import (
    DataConfig,
    RemissionAugmentConfig,
    SensorAugmentConfig,
    StudentConfig,
    TeacherConfig,
    TrainConfig,
)
from elite.data.datamodule import DataModule
from elite.data.unused_data import unused_data
from elite.datasets import SemanticKITTI
from elite.datasets.nuscenes.tables import CAMERAS
from elite.errors import ConfigError
from elite.student import SPVCNN, load_student, save_student
from tests.support.scans import RAW_IDS, random_scan, write_frame
from tests.support.settings import parse_settings
from tests.support.streets import small_drive
from tests.support.trams import TRAMS_YAML

RECIPES = (
    *("semantickitti", "semantickitti-student", "nuscenes", "nuscenes-student", "synthetic", "synthetic-student"),
    "zero-shot",
)
SHAPE = ("--student.channels", "8", "--student.cells", "[50,50,10]")
SMALL = (*SHAPE, "--image.crop", "[32,64]", "--data.workers", "0", "--accelerator", "cpu")
TEACHER = ("--teacher.weights", "random", "--teacher.model", "resnet-tiny", "--teacher.adapter.method", "frozen")


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    return shutil.copytree(small_drive(), tmp_path / "drive")


def test_benchmark_configuration_equals_the_published_recipe() -> None:
    config = parse_settings(["--config", "semantickitti-benchmark"], TrainConfig)
    assert (config.epochs, config.data.batch_size, config.steps) == (128, 2, None)
    assert (config.optim.lr, config.optim.final_lr, config.optim.anneal) == (0.24, 1e-5, "epoch")
    assert (config.optim.momentum, config.optim.weight_decay, config.optim.clip) == (0.9, 1e-4, 1.0)
    assert config.augment.enabled
    assert config.augment.cutmix.objects > 0
    assert (config.data.dense_labels, config.data.label_fraction) == ("image_2_pseudo", 1)
    assert (config.data.sequences, config.data.val_sequences) == ("train,valid", "none")
    assert (config.teacher.adapter.method, config.teacher.weights) == ("adalora", None)


def test_nuscenes_configurations_have_the_same_student_and_optimiser() -> None:
    """The baseline differs in the teacher and its images only."""
    ours, baseline = (parse_settings(["--config", name], TrainConfig) for name in ("nuscenes", "nuscenes-student"))
    names = ("epochs", "grid", "student", "augment", "loss", "optim", "accumulate")
    assert [getattr(ours, name) for name in names] == [getattr(baseline, name) for name in names]
    assert (ours.data.batch_size, ours.data.cameras_per_frame) == (baseline.data.batch_size, 1)
    assert ours.data.cameras == ",".join(CAMERAS)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("length", [("--steps", "7"), ("--epochs", "3")])
def test_packaged_configuration_with_another_length_is_valid(name: str, length: tuple[str, str]) -> None:
    assert parse_settings(["--config", name, *length], TrainConfig).val_every is None


@pytest.mark.parametrize("name", RECIPES)
def test_other_configurations_use_no_cutmix(name: str) -> None:
    config = parse_settings(["--config", name], TrainConfig)
    assert config.augment.cutmix.objects == 0


def test_zero_shot_configuration_trains_the_published_network_and_other_ones_vary_no_sensor() -> None:
    configs = {name: parse_settings(["--config", name], TrainConfig) for name in (*RECIPES, "semantickitti-benchmark")}
    ours = configs.pop("zero-shot")
    assert replace(ours.student, remission_gain=1) == StudentConfig()
    assert ours.teacher.weights == "none"
    for config in configs.values():
        assert config.student.remission_gain == 1
        assert (config.augment.sensor, config.augment.remission) == (SensorAugmentConfig(), RemissionAugmentConfig())


@pytest.mark.parametrize("name", [*RECIPES, "semantickitti-benchmark"])
def test_few_labels_configuration_overrides_another_one(name: str, drive: Path) -> None:
    """One scan in a hundred shows its labels, no teacher. An epoch has as many scans without labels as with labels."""
    given = ["--data.root", str(drive)]
    base = parse_settings(["--config", name, *given, "--teacher.weights", "none"], TrainConfig)
    share = ["--data.label-fraction", "0.01"]
    config = parse_settings(["--config", name, "--config", "few-labels", *given, *share], TrainConfig)
    assert (config.student, config.steps, config.epochs) == (base.student, base.steps, base.epochs)
    assert (config.data.unlabelled, config.teacher.weights, config.self_training.weight) == ("rest", "none", 1)
    assert config.loss.class_weights == "data"  # a data set of one's own has no counts
    whole = DataModule(replace(base, data=replace(base.data, dense_labels="none")))
    few = DataModule(config)
    assert len(few.train_set.budget.labelled) == 1
    hidden = len(whole.train_set) - 1
    assert len(few.train_set) == hidden * 2
    assert config.steps in (None, few.total_steps(1))


def test_few_labels_configuration_uses_sequences_in_no_split_without_their_labels(trams: Path, tmp_path: Path) -> None:
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(TRAMS_YAML | {"path": str(trams)}))
    given = ["--config", "few-labels", "--data.root", str(tmp_path), "--data.batch-size", "1", "--epochs", "5"]
    module = DataModule(parse_settings(given, TrainConfig))
    ids, budget = module.frames.ids, module.train_set.budget
    assert {ids[i].sequence for i in budget.labelled} == {"depot"}
    assert [ids[i].sequence for i in budget.unlabelled] == ["harbour"]
    assert module.train_set.budget.usable(budget.unlabelled[0], "", np.ones(3, np.uint8), 3).tolist() == [0, 0, 0]
    assert module.val_set is not None
    assert {frame_id.sequence for frame_id in module.val_set.frames.ids} == {"market"}
    assert module.total_steps(1) == 5 * (3 + 1)  # from the data: three labelled scans and one without labels
    assert "3 labelled, 1 unlabelled training scans; all are used" in unused_data(module.train_set, module.val_set)
    few = DataModule(parse_settings(["--data.root", str(tmp_path), "--teacher.weights", "none"], TrainConfig))
    assert {few.frames.ids[i].sequence for i in few.train_set.budget.frames} == {"depot"}


@pytest.mark.parametrize("sequences", ["00-10", "train,valid"])
def test_benchmark_configuration_trains_on_the_validation_sequence(tmp_path: Path, sequences: str) -> None:
    rng = np.random.default_rng(0)
    for number in range(12):
        write_frame(tmp_path, f"{number:02d}", "000000", random_scan(rng, 300), rng.choice(RAW_IDS, 300))
    data = DataConfig(root=tmp_path, sequences=sequences, val_sequences="none", workers=0)
    alone = DataModule(TrainConfig(data=data, teacher=TeacherConfig(weights="none")))
    ids = {alone.train_set[(0, i)].id for i in range(len(alone.train_set))}
    assert ids == {f"{number:02d}/000000" for number in range(11)}
    assert alone.val_set is None
    assert alone.val_dataloader() == []


def test_benchmark_configuration_runs(drive: Path, tmp_path: Path) -> None:
    """Pseudo-labels of train and val, a student to start from, two steps with cutmix and a teacher."""
    assert main(["pseudo-label", str(drive), "--sequences", "train,valid"]) == 0
    start = tmp_path / "start.safetensors"
    save_student(SPVCNN(channels=8, cells=(50, 50, 10)), start)
    run = ["train", "--config", "semantickitti-benchmark", "--data.root", str(drive), "--out", str(tmp_path / "run")]
    assert main([*run, "--init", str(start), "--steps", "2", *TEACHER, *SMALL]) == 0
    settings = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert settings["augment"]["cutmix"]["objects"] == 10
    trained = load_student(tmp_path / "run" / "checkpoints" / "last.ckpt").state_dict()
    assert any((trained[k] != v).any() for k, v in load_student(start).state_dict().items())


def scribble(drive: Path, share: float = 0.08) -> None:
    """ScribbleKITTI's layout: a folder scribbles with the labels of some points of the training sequence."""
    rng = np.random.default_rng(0)
    for path in sorted((drive / "sequences" / "00" / "labels").glob("*.label")):
        words = np.fromfile(path, "<u4") & 0xFFFF
        words[rng.random(len(words)) > share] = 0
        folder = path.parents[1] / "scribbles"
        folder.mkdir(exist_ok=True)
        words.tofile(folder / path.name)


def test_train_on_scribbles_scores_on_full_labels(drive: Path, tmp_path: Path) -> None:
    scribble(drive)
    data = DataConfig(root=drive, labels="scribbles", batch_size=1, workers=0)
    module = DataModule(TrainConfig(data=data, teacher=TeacherConfig(weights="none")))
    assert module.val_set is not None
    share = [(module.train_set[(0, i)].labels > 0).mean() for i in range(2)]
    assert max(share) < 0.1 < 0.5 < (module.val_set[0].labels > 0).mean()
    out, report = tmp_path / "run", tmp_path / "score.json"
    run = ["train", "--config", "semantickitti-student", "--data.root", str(drive), "--data.labels", "scribbles"]
    assert main([*run, "--data.batch_size", "1", "--steps", "2", "--out", str(out), *SMALL]) == 0
    assert "val/miou" in (out / "metrics.csv").read_text().splitlines()[0]
    assert main(["evaluate", str(out / "checkpoints" / "best.ckpt"), str(drive), "--json", str(report)]) == 0
    full = SemanticKITTI(drive, "08", cameras=())
    labelled = sum((full[i].labels > 0).sum() for i in range(len(full)))
    assert sum(map(sum, json.loads(report.read_text())["confusion"])) >= labelled


def test_pseudo_labels_of_scribbles_use_scribbles_only(drive: Path) -> None:
    """Labels made from all labels, or true ones, are refused; those of the scribbles, and lifted ones, are accepted."""
    scribble(drive)

    def module(labels: str, dense: str) -> DataModule:
        data = DataConfig(root=drive, labels=labels, dense_labels=dense, workers=0)
        return DataModule(TrainConfig(data=data, teacher=TeacherConfig(weights="random")))

    make = ["pseudo-label", str(drive), "--sequences", "train", "--lift", "true"]
    assert main(make) == 0
    for dense in ("image_2_pseudo", "image_2_labels"):
        with pytest.raises(ConfigError, match=r"generated from 'scribbles'.*--labels scribbles"):
            module("scribbles", dense)
    module("labels_pseudo", "image_2_pseudo")  # both from all labels
    assert main([*make, "--labels", "scribbles"]) == 0  # regenerated, because the source changed
    assert module("scribbles", "image_2_pseudo").train_set.dense_images == 4
    assert module("labels_pseudo", "image_2_pseudo").train_set.dense_images == 4
    with pytest.raises(ConfigError, match=r"generated from 'scribbles'"):
        module("labels_pseudo", "image_2_labels")
    record = json.loads((drive / "sequences/00/image_2_pseudo/000000.json").read_text())
    assert record["settings"]["labels"] == "scribbles"
