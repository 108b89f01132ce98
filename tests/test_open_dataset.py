"""Opening of a data set: recognised formats, and classes of other packages."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from elite.datasets import Dataset, NuScenes, SemanticKITTI, open_dataset, taxonomy_of
from elite.datasets.records import Selection
from elite.errors import ConfigError, DataError
from tests.support.nuscenes import write_nuscenes
from tests.support.scans import random_scan, write_frame


class Own(SemanticKITTI):
    """A reader of another package."""


class Incomplete:
    """A class that lacks nearly all of the protocol."""

    def __init__(self, root: Path, sequences: str | None = None) -> None:
        self.ids = [root]


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("other_readers")
    module.Own, module.Incomplete = Own, Incomplete  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "other_readers", module)


@pytest.mark.parametrize("given", ["", "sequences"])
def test_open_dataset_recognises_semantickitti(tiny_kitti: Path, given: str) -> None:
    dataset = open_dataset(tiny_kitti / given, sequences="00", cameras=())
    assert type(dataset) is SemanticKITTI
    assert len(dataset) == 2


def test_open_dataset_with_stated_splits_is_semantickitti_with_these(tiny_kitti: Path) -> None:
    description = tiny_kitti / "dataset.yaml"
    description.write_text("layout: semantickitti\ntrain: ['00', '22']\nval: ['23']\n")
    for name in ("22", "23", "24"):
        write_frame(tiny_kitti, name, "000000", random_scan(np.random.default_rng(0)))
    training = open_dataset(tiny_kitti, sequences="train")
    assert type(training) is SemanticKITTI
    assert (training.sequences, training.absent) == (("00", "22"), ())
    assert training.select(Selection("valid")).sequences == ("23",)
    assert open_dataset(description, sequences="22-24", without="train").sequences == ("23", "24")
    assert training.unselected(training.sequences) == ("08", "23", "24")
    assert taxonomy_of(description) == training.taxonomy
    description.write_text("layout: semantickitti\ntrain: ['00']\nval: ['00']\n")
    with pytest.raises(ConfigError, match=r"dataset.yaml: expected each sequence in one split, found 00 twice"):
        open_dataset(tiny_kitti)
    description.write_text("layout: semantickitti\ntrains: ['00']\n")
    with pytest.raises(ConfigError, match=r"dataset.yaml, line 2: .*found 'trains'. Replace 'trains' by 'train'"):
        open_dataset(tiny_kitti)


def test_open_dataset_recognises_nuscenes(tmp_path: Path) -> None:
    dataset = open_dataset(str(write_nuscenes(tmp_path)), sequences="mini_val")
    assert type(dataset) is NuScenes
    assert len(dataset) == 2
    assert isinstance(dataset, Dataset)


def test_open_dataset_of_two_formats_requires_one(tiny_kitti: Path) -> None:
    write_nuscenes(tiny_kitti)
    with pytest.raises(DataError, match=r"one known format.*Found semantickitti and nuscenes.*give the format"):
        open_dataset(tiny_kitti)
    assert len(open_dataset(tiny_kitti, "nuscenes")) == 4
    assert type(open_dataset(tiny_kitti, "semantickitti")) is SemanticKITTI


@pytest.mark.parametrize("name", ["empty", "absent"])
def test_open_dataset_of_another_folder_names_the_formats(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"semantickitti \(sequences/.*nuscenes \(v1.0-trainval/.*none of them"):
        open_dataset(tmp_path / name)


def test_open_dataset_of_an_unknown_format_names_the_others(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"expected described, semantickitti, nuscenes or package\.module:Class, found 'waymo'"
    ):
        open_dataset(tmp_path, "waymo")


def test_taxonomy_of_an_unknown_format_names_the_others(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"expected described, semantickitti, nuscenes or package\.module:Class, found 'foo'"
    ):
        taxonomy_of(tmp_path, "foo")


def test_open_dataset_makes_a_class_of_another_package(tiny_kitti: Path) -> None:
    dataset = open_dataset(tiny_kitti, "other_readers:Own", sequences="08", cameras=())
    assert type(dataset) is Own
    assert len(dataset) == 1


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("other_readers:Missing", {}, "has no attribute 'Missing'"),
        ("nothing_there:Own", {}, "No module named 'nothing_there'"),
        ("other_readers:Own", {"colour": 1}, r"unexpected keyword argument 'colour'.*made with \('.*kitti', colour\)"),
        ("other_readers:Incomplete", {"sequences": "08"}, "is not a Dataset .it lacks taxonomy, sensor"),
    ],
)
def test_open_dataset_of_an_unusable_class_is_refused(tiny_kitti: Path, name: str, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_dataset(tiny_kitti, name, **options)
