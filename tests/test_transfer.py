"""Start from a student of other classes: the rows that are kept, and runs with --init-classes match."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from elite.config import DistillConfig, LossConfig, TrainConfig, from_plain
from elite.errors import ConfigError
from elite.sensor import load_sensor
from elite.student import SPVCNN, load_student, save_student
from elite.student.transfer import shared_classes, transfer_to
from elite.taxonomy import ClassSpec, Taxonomy
from elite.training import train
from elite.training.build import initial_student
from tests.support.runs import SMALL, assert_identical, read_checkpoint, student_run
from tests.support.semantickitti import KITTI, RAW_TO_TRAIN

# Two names of SemanticKITTI in another order, and three others: one is that of its ignored class.
NAMES = ("void", "road", "unlabelled", "car", "kiosk", "tree")
GARDEN = Taxonomy("garden", tuple(ClassSpec(name, (i,)) for i, name in enumerate(NAMES)))
SHARED = {0: 0, 1: KITTI.train_id["road"], 3: KITTI.train_id["car"]}


@pytest.fixture
def kitti_student(tmp_path: Path) -> Path:
    torch.manual_seed(7)
    save_student(SPVCNN.from_config(SMALL), tmp_path / "kitti.safetensors")
    return tmp_path / "kitti.safetensors"


@pytest.fixture
def garden_file(tmp_path: Path) -> Path:
    """Taxonomy GARDEN whose classes are spread over the raw ids of SemanticKITTI."""
    classes = [{"name": n, "raw_ids": [r for r, t in RAW_TO_TRAIN.items() if t % 6 == i]} for i, n in enumerate(NAMES)]
    path = tmp_path / "garden.yaml"
    path.write_text(yaml.safe_dump({"name": "garden", "classes": classes}))
    return path


def started(config: TrainConfig, taxonomy: Taxonomy = GARDEN) -> SPVCNN:
    """Student of a run before its first step."""
    torch.manual_seed(config.seed)
    return initial_student(config, taxonomy, load_sensor("hdl-64e"))


def test_shared_classes_have_equal_names_and_the_ignored_ones_correspond() -> None:
    assert shared_classes(KITTI, GARDEN) == SHARED
    assert shared_classes(GARDEN, KITTI) == {old: new for new, old in SHARED.items()}
    assert shared_classes(KITTI, KITTI) == {i: i for i in range(20)}


def test_transfer_keeps_the_network_and_the_rows_of_shared_classes() -> None:
    torch.manual_seed(1)
    old = SPVCNN.from_config(SMALL)
    torch.manual_seed(2)
    untrained = SPVCNN.from_config(replace(SMALL, classes=6), GARDEN).state_dict()
    torch.manual_seed(2)
    new = transfer_to(old, GARDEN)
    assert (new.taxonomy, new.config) == (GARDEN, replace(SMALL, classes=6))
    before = old.state_dict()
    for name, value in new.state_dict().items():
        if not name.startswith("classifier.2."):
            assert torch.equal(value, before[name]), name
            continue
        for row in range(6):
            expected = before[name][SHARED[row]] if row in SHARED else untrained[name][row]
            assert torch.equal(value[row], expected), (name, row)


def test_init_with_other_classes_is_refused_with_both_names_and_the_option(kitti_student, tmp_path) -> None:
    config = TrainConfig(out=tmp_path, student=replace(SMALL, classes=6), init=kitti_student)
    with pytest.raises(ConfigError, match=r"the data, garden, found those of semantickitti .*--init-classes"):
        started(config)


def test_init_with_matching_classes_reports_kept_and_new_ones(kitti_student, tmp_path, capsys) -> None:
    student = replace(SMALL, classes=6)
    config = TrainConfig(out=tmp_path, student=student, init=kitti_student, init_classes="match")
    first, again, other_seed = started(config), started(config), started(replace(config, seed=1))
    said = capsys.readouterr().out.splitlines()[0]
    assert said.endswith("3 classes of semantickitti taken over (void, road, car); 3 new (unlabelled, kiosk, tree)")
    weight, same, other = (s.classifier[2].weight for s in (first, again, other_seed))
    assert torch.equal(weight, same)
    assert [i for i in range(6) if torch.equal(weight[i], other[i])] == list(SHARED)
    assert first.training
    with pytest.raises(ConfigError, match="Set the student"):
        started(replace(config, student=replace(student, channels=16)))


def test_init_with_equal_classes_is_bit_identical_with_and_without_match(kitti_student, tiny_kitti, tmp_path) -> None:
    """The heads are drawn after the student, so they show whether it has used the same random numbers."""
    runs = []
    for choice in ("equal", "match"):
        heads = DistillConfig(student_heads=1)
        run = student_run(tiny_kitti, tmp_path / choice, distill=heads, init=kitti_student, init_classes=choice)
        train(run, progress=False)
        runs.append(read_checkpoint(run.out))
        assert runs[-1]["elite_config"].pop("init_classes") == choice
    assert_identical(*runs)


def test_train_from_a_student_of_other_classes(kitti_student, garden_file, tiny_kitti, tmp_path, monkeypatch) -> None:
    """Paths are relative; the settings of the run are valid in any working folder."""
    monkeypatch.chdir(tmp_path)
    heads, loss = DistillConfig(student_heads=1), LossConfig(class_weights="none")
    root, student = tiny_kitti.relative_to(tmp_path), Path(kitti_student.name)
    base = student_run(root, tmp_path / "run", distill=heads, loss=loss, init=student)
    run = replace(base, init_classes="match", data=replace(base.data, taxonomy=garden_file.name))
    with pytest.raises(ConfigError, match="--init-classes match"):
        train(replace(run, init_classes="equal"), progress=False)
    with pytest.raises(ConfigError, match=r"found classifier, where those of new classes \(unlabelled, kiosk, tree\)"):
        train(replace(run, freeze="stages.0,classifier"), progress=False)
    train(run, progress=False)
    trained = load_student(run.out / "checkpoints" / "last.ckpt")
    assert trained.taxonomy.names == NAMES
    train(replace(run, resume="last"), progress=False)
    monkeypatch.chdir("/")
    recorded = from_plain(TrainConfig, yaml.safe_load((run.out / "config.yaml").read_text()))
    assert (recorded.data.root, recorded.init) == (tiny_kitti, kitti_student)
    assert recorded.data.taxonomy == str(garden_file)
    moved = garden_file.rename(tmp_path / "moved.yaml")
    train(replace(recorded, resume="last", data=replace(recorded.data, taxonomy=str(moved))), progress=False)


@pytest.mark.parametrize("frozen", ["classifier.2", "classifier.0"])
def test_init_with_all_classes_or_a_trained_output_layer_may_be_frozen(frozen, kitti_student, tmp_path, capsys) -> None:
    """Nothing random is frozen: the rows of three of the twenty classes are copied, or only the first layer is."""
    names = ("unlabelled", "road", "car") if frozen == "classifier.2" else NAMES
    taxonomy = Taxonomy("some", tuple(ClassSpec(name, (i,)) for i, name in enumerate(names)))
    student = replace(SMALL, classes=len(names))
    started(TrainConfig(tmp_path, student=student, init=kitti_student, init_classes="match", freeze=frozen), taxonomy)
    assert "random" not in capsys.readouterr().out
    started(TrainConfig(tmp_path, student=student, freeze=frozen), taxonomy)
    assert f"{frozen}: frozen with random weights, since there is no --init" in capsys.readouterr().out
