"""Readers of own formats: conversion of what their methods return, selections, and named faults."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from elite.data.label_budget import labelled_scans
from elite.datasets import Dataset, FrameFiles, FrameId, Reader, Selection, open_dataset
from elite.datasets.dense_labels import read_dense_files
from elite.errors import ConfigError, DataError
from elite.occlusion import point_pixel_pairs
from elite.sensor import SensorSpec
from elite.taxonomy import load_taxonomy
from elite.types import Camera
from examples.tram_reader import Trams
from tests.support.trams import DRIVES, RAW, SIZES, STEP

DEPOT, MARKET = DRIVES["depot"], DRIVES["market"]


@pytest.fixture
def root(trams: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return shutil.copytree(trams, tmp_path / "trams")


def stored(root: Path, part: str) -> np.ndarray:
    """Contents of a file of the first frame."""
    return np.load(root / "depot" / part / f"{DEPOT[0]}.npy")


def test_sensor_keeps_nan_and_infinity_in_their_axis() -> None:
    rows = np.array([[np.inf, 2, 3, 0, 0], [1, np.nan, 3, 0, 0]], np.float32)
    np.testing.assert_array_equal(Trams.sensor.points_of(rows), [[2, -np.inf, 3], [np.nan, -1, 3]])


def test_reader_scan_has_our_axes_and_units(trams: Path) -> None:
    rows, scan = stored(trams, "scans"), Trams(trams).scan(0)
    np.testing.assert_array_equal(scan.points, np.column_stack([rows[:, 1], -rows[:, 0], rows[:, 2]]))
    np.testing.assert_array_equal(scan.remission, rows[:, 3] / np.float32(255))


def test_reader_labels_are_train_ids_and_raw_labels_are_ids_of_the_files(trams: Path) -> None:
    dataset, raw = Trams(trams), stored(trams, "labels")
    labels = dataset.labels(0)
    assert labels is not None
    np.testing.assert_array_equal(RAW[labels.classes], raw)
    np.testing.assert_array_equal(dataset.raw_labels(0), raw)
    assert not labels.objects.any()


def test_reader_instances_become_objects_of_their_classes(trams: Path) -> None:
    class WithInstances(Trams):
        def read_instances(self, i: int) -> np.ndarray:
            return np.arange(self.count_points(i)) % 3

    labels = WithInstances(trams).labels(0)
    assert labels is not None
    instance = np.arange(len(labels.classes)) % 3
    expected = np.where((instance > 0) & (labels.classes > 0), (labels.classes.astype(int) << 16) | instance, 0)
    np.testing.assert_array_equal(labels.objects, expected)


@pytest.mark.parametrize(
    ("instances", "message"),
    [
        (lambda n: np.arange(n) + 65_000, r"expected instance ids in 0\.\.65535, found 65000 to \d+"),
        (lambda n: np.arange(n) - 1, "expected instance ids in .* found -1"),
        (lambda n: np.arange(n - 1), r"expected an instance id for each of \d+ labels, found \d+"),
        (lambda n: np.zeros(n), r"expected a whole number for each point, found \d+ float64"),
        (lambda n: 3, "expected a whole number for each point, found a single value int64"),
    ],
)
def test_reader_refuses_impossible_instances(
    trams: Path, instances: Callable[[int], object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trams, "read_instances", lambda dataset, i: instances(dataset.count_points(i)))
    with pytest.raises(DataError, match=message):
        Trams(trams).labels(0)


def test_reader_cameras_project_points_onto_pixels_of_their_class(trams: Path) -> None:
    dataset = Trams(trams)
    for i in range(len(dataset)):
        frame = dataset[i]
        assert frame.labels is not None
        assert {name: image.shape for name, image in frame.images.items()} == {c: (*SIZES[c], 3) for c in SIZES}
        for camera in frame.cameras:
            pairs = point_pixel_pairs(frame.scan.points, camera, *SIZES[camera.name])
            raw, _ = read_dense_files(dataset.derived(i, "labels", camera.name))
            seen, labels = dataset.taxonomy.to_train(raw)[tuple(pairs.pixel.T)], frame.labels[pairs.point]
            assert (seen == labels)[labels > 0].mean() > 0.95


def test_reader_poses_move_points_of_all_frames_into_one_world(trams: Path) -> None:
    dataset = Trams(trams, "depot")
    for i in range(len(dataset)):
        frame, pose = dataset[i], dataset.pose(i)
        assert frame.labels is not None
        assert pose is not None
        world = frame.scan.points @ pose[:3, :3].T + pose[:3, 3]
        assert abs(world[frame.labels == 1, 2]).max() < 0.1  # the track is level
        np.testing.assert_allclose(pose[:3, 3], [0, STEP * i, 3.2])


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection("train", cameras=()), [f"depot/{name}" for name in DEPOT]),
        (Selection("market,train", "1", cameras=()), [f"market/{MARKET[1]}", f"depot/{DEPOT[1]}"]),
        (Selection(None, "0", cameras=(), without="train"), ["harbour/e00-0001", f"market/{MARKET[0]}"]),
    ],
)
def test_reader_selects_by_split_name_and_position_in_time(
    trams: Path, selection: Selection, expected: list[str]
) -> None:
    dataset = Trams(trams).select(selection)
    assert [str(frame_id) for frame_id in dataset.ids] == expected
    assert dataset.unselected(dataset.sequences) == tuple(sorted(DRIVES.keys() - {*dataset.sequences}))


def test_reader_lists_frames_once_for_all_selections(trams: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Trams(trams, cameras=("left",))
    monkeypatch.setattr(Trams, "list_frames", None)
    other = dataset.select(Selection("valid", cameras=("right",)))
    assert (other.cameras, dataset.cameras, Trams.cameras) == (("right",), ("left",), ("left", "right"))
    assert len(other) == 2


def test_reader_frames_lack_files_that_do_not_exist(root: Path) -> None:
    folder = root / "depot"
    (folder / "labels" / f"{DEPOT[0]}.npy").unlink()
    (folder / "left" / f"{DEPOT[1]}.jpg").unlink()
    (folder / "scans" / f"{DEPOT[2]}.npy").unlink()
    dataset = Trams(root, "depot")
    assert [dataset.has_labels(i) for i in range(len(dataset))] == [False, True]
    assert [dataset.image_cameras(i) for i in range(len(dataset))] == [("left", "right"), ("right",)]
    assert dataset.unused == ("1 of 3 frames have no scan and are skipped",)
    assert len(Trams(root, "depot", frame_files="images")) == 3


def test_reader_reads_generated_labels_in_place_of_its_own(trams: Path, tmp_path: Path) -> None:
    path = tmp_path / "sequences" / "depot" / "labels_pseudo" / f"{DEPOT[0]}.label"
    path.parent.mkdir(parents=True)
    np.full(len(stored(trams, "scans")), 90 | 5 << 16, "<u4").tofile(path)
    dataset = Trams(trams, "depot", labels="labels_pseudo", derived=tmp_path)
    assert dataset.labelled() == [0]
    labels = dataset.labels(0)
    assert labels is not None
    assert {*labels.classes} == {5}
    assert {*labels.objects} == {5 << 16 | 5}


def test_share_of_the_labels_is_evenly_spaced_in_time_whatever_the_names(trams: Path) -> None:
    dataset = Trams(trams, "market,depot")
    expected = [f"depot/{DEPOT[0]}", f"depot/{DEPOT[2]}", f"market/{MARKET[1]}"]
    assert [str(dataset.ids[i]) for i in labelled_scans(dataset, 0.5)] == expected


def save(part: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], object]:
    """Damage: change an array of the first frame."""
    return lambda root: np.save(root / "depot" / part / f"{DEPOT[0]}.npy", change(stored(root, part)))


def truncate(root: Path) -> None:
    path = root / "depot" / "scans" / f"{DEPOT[0]}.npy"
    path.write_bytes(path.read_bytes()[:-7])


def edit_drive(change: Callable[[dict], object]) -> Callable[[Path], object]:
    """Damage: change the drive.json of the first drive."""

    def damage(root: Path) -> None:
        path = root / "depot" / "drive.json"
        values = json.loads(path.read_text())
        change(values)
        path.write_text(json.dumps(values))

    return damage


def nan(rows: np.ndarray) -> np.ndarray:
    return np.where(np.arange(len(rows))[:, None] == 3, np.nan, rows)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, rf"{DEPOT[0]}\.npy: expected a scan, found ValueError: "),
        (
            save("scans", lambda rows: rows[:, :4]),
            r"5 numbers for each point \(x y z remission ring\), found \d+ x 4 float32",
        ),
        (save("scans", nan), r"expected finite numbers, found NaN or infinity in 1 of"),
        (save("scans", lambda rows: rows[:0]), "expected at least one point, found none"),
        (save("labels", lambda labels: labels[:-1]), r"labels.*expected \d+ labels, one for each point of .*found \d+"),
        (
            save("labels", lambda labels: labels.astype(float)),
            r"a whole number for each point, found \d+ float64",
        ),
        (
            save("labels", lambda labels: labels + 1),
            r"labels.*expected raw label ids of trams.*found \[1, 8",
        ),
        (
            edit_drive(lambda drive: drive.pop("left")),
            f"camera left of depot/{DEPOT[0]}: expected a calib",
        ),
        (edit_drive(lambda drive: drive["left"]["K"][0].__setitem__(0, 10**400)), "camera left .*found OverflowError"),
        (edit_drive(lambda drive: drive["left"]["K"][0].__setitem__(0, np.inf)), "camera left .*found NaN or infinity"),
        (
            edit_drive(lambda drive: drive["left"].update(K=np.zeros((3, 3)).tolist())),
            "camera left of depot/.*expected a projection of rank 3",
        ),
    ],
)
def test_reader_names_the_damaged_file(root: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(root)
    with pytest.raises(DataError, match=message):
        _ = Trams(root, "depot")[0]


@pytest.mark.parametrize(
    ("pose", "message"),
    [
        ([[1, 2], [3, 4]], "expected 4 x 4 finite numbers, found 2 x 2 int64"),
        (np.full((4, 4), 1e999).tolist(), "found NaN"),
    ],
)
def test_reader_names_the_damaged_pose(root: Path, pose: list, message: str) -> None:
    edit_drive(lambda drive: drive["poses"].update({DEPOT[0]: pose}))(root)
    with pytest.raises(DataError, match=rf"pose of depot/{DEPOT[0]}: .*{message}"):
        Trams(root).pose(0)


def test_reader_of_another_folder_or_a_damaged_list_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected frames of a data set, found none\. Check the path"):
        Trams(tmp_path / "nowhere")
    (root / "market" / "drive.json").write_text("{")
    with pytest.raises(DataError, match="expected a data set for Trams, found JSONDecodeError"):
        Trams(root)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sequences": "test"}, "sequences 'test': expected train, valid, or names of sequences, found 'test'.*market"),
        ({"cameras": ("image_2",)}, "expected some of left, right, found image_2"),
        ({"sequences": "none"}, "expected at least one, found none"),
        ({"frames": "7"}, "expected frames with a scan in sequences all, frames 7, found none"),
    ],
)
def test_reader_refuses_impossible_selections(trams: Path, options: dict, message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        Trams(trams, **options)


class Unfinished(Reader):
    """Everything but list_frames and the labels."""

    taxonomy, sensor = load_taxonomy("rellis"), SensorSpec("own")

    def read_points(self, i: int) -> np.ndarray:
        return np.zeros((1, 4))


class Nameless(Unfinished):
    """All methods, and the given names of frames."""

    names: tuple[str, ...] = ("..",)

    def list_frames(self) -> Iterator[FrameFiles]:
        return (FrameFiles(FrameId("street", name), self.root / name) for name in self.names)

    def read_labels(self, i: int) -> np.ndarray:
        return np.zeros(1, int)


class WithCameras(Nameless):
    cameras = ("left",)


def test_unfinished_reader_is_refused_with_the_missing_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"is not a Dataset .it does not define list_frames, read_labels"):
        open_dataset(tmp_path, "tests.test_reader:Unfinished")
    with pytest.raises(ConfigError, match="WithCameras: expected a reader with read_camera, found none"):
        WithCameras(tmp_path)
    monkeypatch.delattr(Unfinished, "sensor")
    with pytest.raises(ConfigError, match="Nameless: expected a reader with sensor, found none"):
        Nameless(tmp_path)
    monkeypatch.delattr(Unfinished, "read_points")
    with pytest.raises(ConfigError, match="Nameless: expected a reader with sensor and read_points, found none"):
        Nameless(tmp_path)


@pytest.mark.parametrize("names", [("..",), ("a/b",), ("",), ("a", "b", "a")])
def test_reader_refuses_names_that_are_no_files_or_occur_twice(
    tmp_path: Path, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Nameless, "names", names)
    with pytest.raises(DataError, match="expected frames with names that differ and contain no slash"):
        Nameless(tmp_path)


def test_reader_by_name_is_a_dataset_and_takes_another_taxonomy(trams: Path) -> None:
    dataset = open_dataset(trams, "examples.tram_reader:Trams", taxonomy="rellis", sequences="valid")
    assert isinstance(dataset, Dataset)
    assert dataset.taxonomy.name == "rellis"
    assert Trams.taxonomy.name == "trams"
    assert isinstance(Trams(trams, sensor=SensorSpec("other", columns=tuple("xyzab"))).frame_cameras(0)[0], Camera)
