"""Data sets that a dataset.yaml describes: compared with a reader of the same files, and with named faults."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from elite.cli import main
from elite.cli.scans import loose_scans
from elite.data.label_budget import labelled_scans
from elite.datasets import formats, open_dataset, resolved_cameras, taxonomy_of
from elite.datasets.described.poses import read_pose_table
from elite.datasets.described.times import nearest_in_time, read_times
from elite.errors import ConfigError, DataError, EliteError
from elite.taxonomy import IGNORE
from examples.tram_reader import Trams
from tests.support.trams import DRIVES, TRAMS_YAML


@pytest.fixture
def root(trams: Path, tmp_path: Path) -> Path:
    """A described copy to change."""
    shutil.copytree(trams, tmp_path / "trams")
    return _describe(tmp_path / "trams")


def _describe(root: Path, **changes: object) -> Path:
    values = {key: value for key, value in (TRAMS_YAML | changes).items() if value is not None}
    (root / "dataset.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    return root


def test_described_frames_equal_those_of_a_reader_of_the_same_files(root: Path) -> None:
    described = open_dataset(root)
    assert repr(described).startswith(f"<Described of {len(described)} frames in the sequences depot, ")
    trams = {str(frame_id): i for i, frame_id in enumerate(Trams(root).ids)}
    assert sorted(map(str, described.ids)) == sorted(trams)
    assert described.taxonomy.names == Trams.taxonomy.names
    for i, frame_id in enumerate(described.ids):
        found, expected = described[i], Trams(root)[trams[str(frame_id)]]
        np.testing.assert_array_equal(found.scan.points, expected.scan.points)
        np.testing.assert_array_equal(found.scan.remission, expected.scan.remission)
        np.testing.assert_array_equal(found.labels, expected.labels)
        assert found.images.keys() == expected.images.keys() == {"left", "right"}
        for camera, other in zip(found.cameras, expected.cameras, strict=True):
            np.testing.assert_allclose(camera.projection, other.projection, atol=1e-9)


def test_described_by_a_relative_path_has_the_same_frames(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = open_dataset(root)
    monkeypatch.chdir(root.parent)
    for path in (root.name, f"{root.name}/dataset.yaml"):
        found = open_dataset(path)
        assert found.ids == expected.ids
        assert len(found.images(0)) == len(expected.images(0)) == 2
        assert found.labelled() == expected.labelled()
    monkeypatch.chdir(root)
    assert open_dataset(".").ids == expected.ids


def test_default_camera_means_all_cameras_of_other_data_sets(root: Path, tiny_kitti: Path, trams: Path) -> None:
    assert resolved_cameras("image_2", root) == "left,right"
    assert resolved_cameras("right", root) == "right"
    assert resolved_cameras("image_2", tiny_kitti) == "image_2"
    assert resolved_cameras("image_2", trams, "examples.tram_reader:Trams") == "left,right"
    assert resolved_cameras("image_2", _describe(root, cameras=None)) == "none"


def test_described_splits_and_the_rest(root: Path) -> None:
    assert open_dataset(root, sequences="train").sequences == ("depot",)
    assert open_dataset(root, sequences="valid").sequences == ("market",)
    assert open_dataset(root, sequences="val").sequences == ("market",)
    assert set(open_dataset(root).sequences) == set(DRIVES)
    assert open_dataset(root / "dataset.yaml", sequences="harbour").ids[0].sequence == "harbour"
    assert taxonomy_of(root).name == "trams"


def test_described_sequence_listed_by_name_is_not_part_of_other_patterns(root: Path) -> None:
    _describe(root, train=["*"], val=["market"])
    assert open_dataset(root, sequences="valid").sequences == ("market",)
    assert open_dataset(root, sequences="val").sequences == ("market",)
    assert set(open_dataset(root, sequences="train").sequences) == set(DRIVES) - {"market"}


def test_training_without_a_validation_split_names_the_option(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _describe(root, val=None)
    assert main(["train", str(root), "-o", str(tmp_path / "run"), "--config", "synthetic-student"]) == 2
    assert "none to train without validation" in capsys.readouterr().err


def test_described_folders_with_one_name_are_refused(root: Path) -> None:
    """Names of sequences are those of nested folders, joined by _."""
    for folder in ("yard/a", "yard_a"):
        shutil.copytree(root / "depot", root / folder)
    _describe(root, train=["depot", "yard/a"])
    with pytest.raises(DataError, match=r"found .*yard/a and .*yard_a for 'yard_a'. Rename one"):
        open_dataset(root)


def test_described_labels_of_a_field_and_dropped_points(root: Path) -> None:
    for path in root.glob("*/scans/*.npy"):
        rows, labels = np.load(path), np.load(path.parents[1] / "labels" / path.name)
        rows[:7, :3] = 0
        names = ("x", "y", "z", "intensity", "beam")
        fields = np.empty(len(rows), [*((name, "f4") for name in names), ("class", "u1")])
        for k, name in enumerate(names):
            fields[name] = rows[:, k]
        fields["class"] = labels
        np.save(path, fields)
    _describe(root, scans={"glob": "scans/*.npy", "labels": "field:class"})
    dataset = open_dataset(root)
    frame, stored = dataset[0], np.load(dataset.scan_path(0))
    assert len(frame.scan) == len(stored) - 7
    np.testing.assert_array_equal(dataset.raw_labels(0), stored["class"][7:])
    assert dataset.count_points(0) == frame.scan.stored == len(stored)


def test_described_label_file_with_instances_is_read_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, instance, read = open_dataset(root), 7 << 16, list[str]()
    for i in range(len(plain)):
        path = plain.label_path(i)
        (plain.raw_labels(i).astype("<u4") + instance).tofile(path.with_suffix(".label"))
    _describe(root, scans=TRAMS_YAML["scans"] | {"labels": "labels/*.label"})
    read_part = formats.read_part
    monkeypatch.setattr(formats, "read_part", lambda path, *given: read.append(path.suffix) or read_part(path, *given))
    frame = open_dataset(root)[0]
    np.testing.assert_array_equal(frame.labels, plain[0].labels)
    assert {7} == set(frame.objects[frame.objects > 0] & 0xFFFF)
    assert read == [".label"]


def test_lifted_labels_have_the_length_of_files_with_dropped_points(root: Path) -> None:
    for path in root.glob("market/scans/*.npy"):
        rows = np.load(path)
        rows[:7, :3] = 0
        np.save(path, rows)
    assert main(["pseudo-label", str(root), "--sequences", "market", "--cameras", "left", "--lift"]) == 0
    given, lifted = (open_dataset(root, sequences="market", labels=labels) for labels in ("labels", "labels_pseudo"))
    for i in range(len(given)):
        assert lifted[i].scan.stored == len(lifted[i].scan) + 7
        found, expected = lifted[i].labels, given[i].labels
        assert found is not None
        assert expected is not None
        known = expected != IGNORE
        np.testing.assert_array_equal(found[known], expected[known])
        assert set(np.fromfile(lifted.label_path(i), "<u4")[:7]) == {lifted.taxonomy.classes[0].raw_ids[0]}


def test_described_reports_missing_labels_of_a_split_and_images(root: Path) -> None:
    (root / "depot" / "labels" / f"{DRIVES['depot'][0]}.npy").unlink()
    shutil.rmtree(root / "harbour" / "labels")
    (root / "market" / "left" / f"{DRIVES['market'][0]}.jpg").unlink()
    found, missing = open_dataset(root), f"depot: 1 of 3 scans have no labels (labels/{DRIVES['depot'][0]}.npy, ...)"
    assert found.unlabelled == (missing,)
    assert found.unused == (f"market: 1 of 2 scans have no image of left (left/{DRIVES['market'][0]}.jpg, ...)",)
    with pytest.raises(DataError, match=rf"labels .*\(files: {root}/harbour/labels/\*\.npy\), found none; training"):
        labelled_scans(open_dataset(root, sequences="harbour"), 1.0)


@pytest.mark.parametrize("late", [0.0, 0.2])
def test_described_pairs_by_time_and_moves_points_with_the_vehicle(root: Path, late: float) -> None:
    """Images are taken 0.03 s after the scans; the sensor moves along a curve of known poses.

    The stated times of the images are too early by ``late``.
    """
    still = open_dataset(root, sequences="depot").frame_cameras(0)[0].projection
    folder = root / "depot"
    tokens = sorted(DRIVES["depot"])
    scan_times = dict(zip(tokens, (10.0, 10.5, 11.0), strict=True))
    (folder / "scans.csv").write_text("name,time\n" + "".join(f"{t},{s}\n" for t, s in scan_times.items()))
    for k, token in enumerate(tokens):
        (folder / "left" / f"{token}.jpg").rename(folder / "left" / f"{10.03 - late + 0.5 * k:.2f}.jpg")
    (folder / "left" / "12.9.jpg").write_bytes((folder / "left" / f"{10.03 - late:.2f}.jpg").read_bytes())
    poses = [(9 + 0.1 * k, [2.0 * k, 0.1 * k, 0], Rotation.from_euler("z", 2 * k, degrees=True)) for k in range(40)]
    lines = [f"{t:.3f} {x} {y} {z} {' '.join(map(str, r.as_quat()))}" for t, (x, y, z), r in poses]
    (folder / "poses.txt").write_text("# time x y z qx qy qz qw\n" + "\n".join(lines))
    cameras = {"left": TRAMS_YAML["cameras"]["left"] | {"times": "name", "time_offset": late}}
    _describe(
        root,
        scans=TRAMS_YAML["scans"] | {"times": "scans.csv"},
        cameras=cameras,
        poses="poses.txt",
        sequences=["depot"],
        val=None,
        sync={"tolerance": 0.04},
    )
    dataset = open_dataset(root)
    names = [f"{10.03 - late + 0.5 * k:.2f}.jpg" for k in range(3)]
    assert [image.path.name for i in range(3) for image in dataset.images(i)] == names
    times = dataset.times(0)
    assert times is not None
    assert (times.scan, times.images["left"]) == (10.0, pytest.approx(10.03))
    table = read_pose_table(folder / "poses.txt")
    moved = np.linalg.inv(_at(poses, 10.03)) @ _at(poses, 10.0)
    np.testing.assert_allclose(table.at(10.03), _at(poses, 10.03), atol=1e-9)
    to_file = np.eye(4)
    to_file[:3, :3] = dataset.sensor.to_ours.T
    expected = still @ np.linalg.inv(to_file) @ moved @ to_file
    np.testing.assert_allclose(dataset.frame_cameras(0)[0].projection, expected, atol=1e-6)
    _describe(
        root,
        scans=TRAMS_YAML["scans"] | {"times": "scans.csv"},
        cameras=cameras,
        sequences=["depot"],
        val=None,
        sync={"tolerance": 0.02},
    )
    assert open_dataset(root).unused == ("depot: 3 of 3 scans have no image of left within 0.02 s",)


def test_described_time_offset_of_images_by_name_moves_points_with_the_poses_of_the_scans(root: Path) -> None:
    folder, settings = root / "depot", TRAMS_YAML["cameras"]["left"]
    (folder / "times.txt").write_text("10\n10.5\n11\n")
    lines = [" ".join(map(str, (1, 0, 0, x, 0, 1, 0, 0, 0, 0, 1, 0))) for x in (0, 2, 5)]
    (folder / "poses.txt").write_text("\n".join(lines))
    values = {"scans": TRAMS_YAML["scans"] | {"times": "times.txt"}, "poses": "poses.txt", "sequences": ["depot"]}
    _describe(root, **values, val=None, cameras={"left": settings})
    still = open_dataset(root).frame_cameras(1)[0].projection
    _describe(root, **values, val=None, cameras={"left": settings | {"time_offset": 0.1}})
    moved = np.eye(4)
    moved[:3, 3] = open_dataset(root).sensor.to_ours @ (-0.6, 0, 0)  # a fifth of the way to the next pose
    np.testing.assert_allclose(open_dataset(root).frame_cameras(1)[0].projection, still @ moved, atol=1e-6)


@pytest.mark.parametrize(
    ("offset", "message"),
    [
        (".nan", "a finite number"),
        ("40", "in -10..10, found 40"),
        ("0.1", "expected times of the scans"),
    ],
)
def test_described_time_offset_without_meaning_is_refused(root: Path, offset: str, message: str) -> None:
    _describe(root)
    text = (root / "dataset.yaml").read_text()
    (root / "dataset.yaml").write_text(text.replace("    images: left", f"    time_offset: {offset}\n    images: left"))
    with pytest.raises(ConfigError, match=f"line .*time_offset.*{message}"):
        open_dataset(root)


def _at(poses: list, time: float) -> np.ndarray:
    """Pose at a time: the second implementation interpolates the rotation vector of the step."""
    k = int((time - 9) / 0.1 + 1e-9)
    (t0, a, r0), (t1, b, r1) = poses[k], poses[k + 1]
    share = (time - t0) / (t1 - t0)
    pose = np.eye(4)
    pose[:3, :3] = (r0 * Rotation.from_rotvec(share * (r0.inv() * r1).as_rotvec())).as_matrix()
    pose[:3, 3] = (1 - share) * np.array(a) + share * np.array(b)
    return pose


def test_nearest_in_time_equals_a_search_of_all_pairs() -> None:
    rng = np.random.default_rng(0)
    scans = {f"s{i}": float(t) for i, t in enumerate(np.sort(rng.uniform(0, 10, 60)))}
    images = {f"i{i}": float(t) for i, t in enumerate(rng.uniform(0, 10, 50))}
    expected = {}
    for scan, time in scans.items():
        name = min(images, key=lambda image: abs(images[image] - time))
        if abs(images[name] - time) <= 0.05:
            expected[scan] = name, images[name]
    assert nearest_in_time(scans, images, 0.05) == expected
    assert nearest_in_time(scans, {}, 0.05) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name,time\nb.png,2.5\na.png,1.5\n", {"a": 1.5, "b": 2.5}),
        ("1.5\n2.5\n", {"a": 1.5, "b": 2.5}),
        ("1.5000000e+00\n2.5000000e+00\n", {"a": 1.5, "b": 2.5}),
        ("a 1581624663149000000\nb 1581624663249000000", {"a": 1581624663.149, "b": 1581624663.249}),
    ],
)
def test_read_times_of_each_form(tmp_path: Path, text: str, expected: dict[str, float]) -> None:
    (tmp_path / "times.txt").write_text(text)
    assert read_times("times.txt", tmp_path, ["a", "b"]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1581624663149000\n1581624663249000\n", "at least 0.001 s apart, found 0.0001 s. Convert microseconds"),
        ("a,1581624663149\nb,1581624663249\n", "at least 0.001 s apart, found 1e-07 s. Convert microseconds"),
        ("1.0\n1.1\n1.2\n", "expected 2 times, one for each file, found 3. Extract all files, or write lines"),
    ],
)
def test_read_times_of_other_units_or_files_is_refused(tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / "times.txt").write_text(text)
    with pytest.raises(DataError, match=found):
        read_times("times.txt", tmp_path, ["a", "b"])


def test_described_poses_of_other_scans_are_refused_and_absent_ones_reported(root: Path) -> None:
    pose = " ".join(map(str, np.eye(4)[:3].ravel())) + "\n"
    count = len(open_dataset(root, sequences="market"))
    (root / "market" / "poses.txt").write_text(pose * count)
    _describe(root, poses="poses.txt")
    market = open_dataset(root, sequences="market")
    np.testing.assert_array_equal(market.pose(0), market.sensor.from_ours)
    assert "depot: no poses (poses.txt)" in open_dataset(root, sequences="depot").unused
    (root / "market" / "poses.txt").write_text(pose * (count + 1))
    with pytest.raises(DataError, match=f"expected {count} poses, one for each scan, found {count + 1}"):
        open_dataset(root, sequences="market").pose(0)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"scan": {"glob": "a"}}, r"line \d+: settings: .* Replace 'scan' by 'scans'"),
        ({"scans": {"glob": "scans/"}}, r"line \d+: scans.glob: expected a path .* with one '\*'"),
        ({"scans": {"glob": "../*.bin"}}, "scans.glob: expected a path below the folder of a sequence"),
        ({"sensor": {"preset": "os-1"}}, r"line \d+: preset: expected hdl-32e"),
        ({"sensor": {"axes": "up-up-up"}}, "axes: expected the directions of x, y and z"),
        ({"names": {0: "a", 1: 5}}, r"line \d+: names.1: expected a text or"),
        ({"names": {255: "a"}}, "expected 2 to 255 classes"),
        ({"names": "no-taxonomy"}, "taxonomy: expected"),
        ({"volume": {"range": -3}}, r"line \d+: grid.range: expected a positive number"),
        ({"cameras": {"left": {"images": "left/*.jpg", "K": [1, 2]}}}, "expected one of T_cam_lidar and T_lidar_cam"),
        (
            {"cameras": {"left": TRAMS_YAML["cameras"]["left"] | {"K": [1.0, 2.0]}}},
            r"line \d+: K: expected fx, fy, cx, cy or 9 numbers, found 2",
        ),
        (
            {"cameras": {"left": TRAMS_YAML["cameras"]["left"] | {"T_cam_lidar": [2.0, *[0.0] * 11]}}},
            "T_cam_lidar: expected a rotation in the first three columns",
        ),
        ({"cameras": {"a/b": TRAMS_YAML["cameras"]["left"]}}, "cameras: expected names of letters"),
        ({"ignore": [-1]}, r"line \d+: ignore: expected ids in 0..65535, at least one, found -1. Map it to another id"),
        ({"ignore": []}, "ignore: expected ids in 0..65535, at least one, found none"),
        ({"train": ["/data"]}, "train: expected folders below path"),
        ({"train": ["nowhere*"]}, r"expected a folder 'nowhere\*' of the split train, found none"),
        ({"val": ["depot"]}, "found 'depot' in train and val"),
        ({"train": ["depot*"], "val": ["d*"]}, "found 'depot' in train and val"),
        ({"sequences": ["harb*"], "train": None, "val": None, "scans": {"glob": "lidar/*.pcd"}}, "found none"),
        ({"scans": TRAMS_YAML["scans"] | {"times": "none.csv"}}, "none.csv: expected times, found No such file"),
    ],
)
def test_described_fault_is_named(root: Path, changes: dict, found: str) -> None:
    _describe(root, **changes)
    with pytest.raises((ConfigError, DataError), match=found):
        open_dataset(root)


@pytest.mark.parametrize("number", range(60))
def test_described_yaml_with_any_value_replaced_never_ends_in_another_error(root: Path, number: int) -> None:
    """Mutation of each value of the description: a named error, or a data set."""
    rng = np.random.default_rng(number)
    text = yaml.safe_dump(TRAMS_YAML, sort_keys=False).splitlines()
    line = rng.integers(len(text))
    values = ["~", "[]", "{}", "-1", "1e400", ".nan", "'*'", "[[1]]", "!!python/none", "\x07", "x: y: z", "'\\0'"]
    key, colon, _ = text[line].partition(":")
    text[line] = f"{key}{colon or ':'} {rng.choice(values)}"
    (root / "dataset.yaml").write_text("\n".join(text))
    try:
        dataset = open_dataset(root)
        for i in range(min(2, len(dataset))):
            dataset[i]
    except EliteError:
        pass


def test_loose_scans_of_two_formats_are_refused(tmp_path: Path) -> None:
    for name in ("a.pcd", "a.npy"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"expected scans of one format, found \.npy and \.pcd\. Put each format"):
        loose_scans(tmp_path)


def test_read_pose_table_of_matrices_skips_comments(tmp_path: Path) -> None:
    rows = np.tile(np.eye(4)[:3].ravel(), (2, 1))
    rows[1, 3] = 2.5
    (tmp_path / "poses.txt").write_text("# T_world_lidar\n" + "\n".join(" ".join(map(str, row)) for row in rows))
    np.testing.assert_array_equal(read_pose_table(tmp_path / "poses.txt").of(1, None)[:3].ravel(), rows[1])
