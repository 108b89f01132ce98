"""The nuScenes reader: selections, scans, labels, cameras and sweeps, and faults of the files."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from elite.data.unused_data import shared_scans
from elite.datasets import NuScenes, Selection, open_dataset
from elite.datasets.nuscenes.categories import CATEGORIES
from elite.datasets.nuscenes.splits import splits
from elite.datasets.nuscenes.tables import CAMERAS
from elite.errors import ConfigError, DataError
from elite.geometry import project
from elite.layout import Layout
from elite.taxonomy import load_taxonomy
from tests.support.nuscenes import POINTS, SIZE, make_tables, quaternion, token, write_nuscenes

# Train id of each category, in the order of the devkit.
FINE_TO_COARSE = [0, 0, 7, 7, 7, 0, 7, 0, 0, 1, 0, 0, 8, 0, 2, 3, 3, 4, 5, 0, 0, 6, 9, 10, 11, 12, 13, 14, 15, 0, 16, 0]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_nuscenes(tmp_path / "nuscenes")


@pytest.fixture
def dataset(root: Path) -> NuScenes:
    return NuScenes(root)


# ---- splits and selections --------------------------------------------------------------------------------------


def test_splits_have_the_published_sizes() -> None:
    sizes = {name: (len(split.scenes), split.keyframes) for name, split in splits().items()}
    assert sizes["train"] == (700, 28_130)
    assert sizes["val"] == (150, 6_019)
    assert sizes["test"] == (150, 6_008)
    assert sizes["mini_train"] == (8, 323)
    assert sizes["mini_val"] == (2, 81)
    scenes = [scene for name in ("train", "val", "test") for scene in splits()[name].scenes]
    assert len(set(scenes)) == 1000


def test_overlap_of_mini_train_and_val_is_two_scenes() -> None:
    assert {*splits()["mini_train"].scenes} & {*splits()["val"].scenes} == {"scene-0553", "scene-0796"}


def test_training_on_mini_train_and_validation_on_val_is_reported(tmp_path: Path) -> None:
    """The scenes are in two tables, and the same."""
    write_nuscenes(tmp_path, "v1.0-trainval", ("scene-0003", "scene-0553"))
    training = NuScenes(write_nuscenes(tmp_path, scenes=("scene-0061", "scene-0553")), "mini_train")
    (line,) = shared_scans(training, NuScenes(tmp_path, "val"))
    assert line.startswith("2 training scans are also validation scans (sequences scene-0553)")
    assert list(shared_scans(training, NuScenes(tmp_path, "scene-0003"))) == []


def test_frames_are_named_by_the_token_of_the_scan(dataset: NuScenes) -> None:
    samples = [token(scene, i) for scene in ("scene-0061", "scene-0103") for i in range(2)]
    scans = [row["token"] for row in make_tables()["lidarseg"]]
    assert [frame_id.name for frame_id in dataset.ids] == scans
    assert not set(scans) & set(samples)  # which the devkit's predictions are not named by
    assert [frame_id.sequence for frame_id in dataset.ids] == ["scene-0061"] * 2 + ["scene-0103"] * 2


def test_split_with_absent_scenes_reports_them(root: Path) -> None:
    dataset = NuScenes(root, "mini_train")
    assert dataset.sequences == ("scene-0061",)
    assert len(dataset.absent) == 7
    assert "scene-0553" in dataset.absent


@pytest.mark.parametrize(
    ("selection", "numbers"),
    [
        ({"sequences": "mini_val"}, [2, 3]),
        ({"sequences": "mini_val,mini_train"}, [2, 3, 0, 1]),
        ({"sequences": "scene-0103", "frames": "1"}, [3]),
        ({"frames": "0"}, [0, 2]),
        ({"without": "mini_val"}, [0, 1]),
        ({"frame_files": "images", "cameras": ("CAM_FRONT",)}, [0, 1]),
    ],
)
def test_selection_lists_its_frames(root: Path, selection: dict, numbers: list[int]) -> None:
    every = NuScenes(root)
    assert NuScenes(root, **selection).ids == [every.ids[i] for i in numbers]
    given = {"cameras": CAMERAS} | selection
    assert every.select(Selection(**given)).ids == [every.ids[i] for i in numbers]


@pytest.mark.parametrize(
    ("selection", "error", "message"),
    [
        (
            {"sequences": "scene-0105"},
            DataError,
            "found tables without it. Select some of mini_train, mini_val, scene-0061, scene-0103",
        ),
        ({"sequences": "validation"}, ConfigError, "train, val, test, mini_train, mini_val.*'validation'.*scene-0061"),
        ({"sequences": ""}, ConfigError, "expected at least one"),
        ({"frames": "7"}, DataError, "frames 7, found none among 0 keyframes"),
        ({"cameras": ("image_2",)}, ConfigError, "CAM_FRONT.*found image_2"),
        ({"cameras": (), "frame_files": "images"}, ConfigError, "found no camera"),
        ({"sweeps": 11}, ConfigError, "0 to 10"),
    ],
)
def test_impossible_selection_is_refused(root: Path, selection: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        NuScenes(root, **selection)


def test_split_without_any_scene_is_refused(root: Path) -> None:
    with pytest.raises(
        DataError,
        match=r"scan in test.*v1.0-mini lack 150 scenes.*select some of mini_train, mini_val, scene-0061, scene-0103",
    ):
        NuScenes(root, "test")


def test_mini_tables_are_not_a_part_of_train_and_val(tmp_path: Path) -> None:
    """Scene 0553 of mini_train is a scene of val: after training on it, a score of val says nothing."""
    root = write_nuscenes(tmp_path, scenes=("scene-0061", "scene-0553"))
    for split in ("train", "val"):
        with pytest.raises(DataError, match=f"scan in {split}.*v1.0-mini lack"):
            NuScenes(root, split)
    assert NuScenes(root, "mini_train").sequences == ("scene-0061", "scene-0553")
    assert NuScenes(root, "mini_train", without="val").sequences == ("scene-0061",)
    assert NuScenes(root, "scene-0553").sequences == ("scene-0553",)


def test_scene_in_two_tables_is_read_once(root: Path) -> None:
    write_nuscenes(root, "v1.0-trainval", ("scene-0061", "scene-0001"))
    assert len(NuScenes(root)) == 6
    label = NuScenes(root, "mini_train").label_path(0)
    assert label.parent.name == "v1.0-mini"
    assert NuScenes(root, "train").label_path(2).parent.name == "v1.0-trainval"


def test_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected tables of nuScenes \(v1.0-trainval/sample_data.json"):
        NuScenes(tmp_path)


# ---- scans and labels -------------------------------------------------------------------------------------------


def test_scan_has_turned_axes_and_scaled_intensity(dataset: NuScenes) -> None:
    rows = np.fromfile(dataset.scan_path(1), "<f4").reshape(-1, 5)
    scan = dataset.scan(1)
    assert len(scan) == dataset.count_points(1) == POINTS
    np.testing.assert_array_equal(scan.points[:, 0], rows[:, 1])  # forward
    np.testing.assert_array_equal(scan.points[:, 1], -rows[:, 0])  # left
    np.testing.assert_array_equal(scan.points[:, 2], rows[:, 2])
    np.testing.assert_array_equal(scan.remission, rows[:, 3] / np.float32(255))
    assert (scan.points[:2] == 0).all()  # missing returns need a prediction too
    assert scan.points.flags.c_contiguous


def test_labels_are_bytes_of_fine_categories(dataset: NuScenes) -> None:
    raw = np.fromfile(dataset.label_path(0), np.uint8)
    labels = dataset.labels(0)
    assert labels is not None
    np.testing.assert_array_equal(labels.classes, np.array(FINE_TO_COARSE)[raw])
    assert raw.max() > 16


def test_categories_are_those_of_the_label_files_and_not_of_the_instructions() -> None:
    taxonomy = load_taxonomy("nuscenes-lidarseg")
    np.testing.assert_array_equal(taxonomy.to_train(np.arange(32)), FINE_TO_COARSE)
    for name, fine in (("other_flat", 25), ("sidewalk", 26), ("terrain", 27), ("vegetation", 30)):
        assert CATEGORIES[fine] == {"other_flat": "flat.other", "vegetation": "static.vegetation"}.get(
            name, f"flat.{name}"
        )
        assert taxonomy.names[FINE_TO_COARSE[fine]] == name
    assert CATEGORIES[29] == "static.other"


def test_objects_of_merged_categories_differ(root: Path) -> None:
    dataset = NuScenes(root, "mini_train")
    label = dataset.label_path(0)
    panoptic = root / "panoptic" / "v1.0-mini" / label.name.replace("lidarseg.bin", "panoptic.npz")
    raw = np.full(POINTS, 24, np.uint8)  # road, without objects
    raw[:3] = 2, 3, 2  # adults and a child, all of them pedestrians
    raw.tofile(label)
    np.savez(panoptic, data=np.array([2001, 3001, 2002, *[24000] * (POINTS - 3)], np.uint16))
    labels = dataset.labels(0)
    assert labels is not None
    assert list(labels.classes[:3]) == [7, 7, 7]
    assert len(set(labels.objects[:3].tolist())) == 3
    assert set((labels.objects[:3] >> 16).tolist()) == {7}
    assert not labels.objects[3:].any()


def test_points_in_no_box_have_no_object(root: Path) -> None:
    dataset = NuScenes(root, "mini_train")
    path = root / "panoptic" / "v1.0-mini" / dataset.label_path(0).name.replace("lidarseg.bin", "panoptic.npz")
    np.savez(path, data=np.zeros(POINTS, np.uint16))
    labels = dataset.labels(0)
    assert labels is not None
    assert not labels.objects.any()


def test_frames_without_label_tables_are_unlabelled(root: Path) -> None:
    for name in ("lidarseg", "panoptic", "category"):
        (root / "v1.0-mini" / f"{name}.json").unlink()
    dataset = NuScenes(root)
    assert dataset.labelled() == []
    assert dataset[0].labels is None


def test_frames_of_the_test_split_are_unlabelled(root: Path, tmp_path: Path) -> None:
    scene = splits()["test"].scenes[0]
    write_nuscenes(tmp_path / "test", "v1.0-test", (scene,), lambda t: t.update(lidarseg=[], panoptic=[]))
    dataset = NuScenes(tmp_path / "test", "test")
    assert (len(dataset), dataset.labelled()) == (2, [])


def test_generated_labels_come_from_the_derived_folder(
    dataset: NuScenes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path / "mine")
    path = layout.labels(*dataset.ids[1], "labels_pseudo")
    path.parent.mkdir(parents=True)
    (np.full(POINTS, 17) | 5 << 16).astype("<u4").tofile(path)
    mine = NuScenes(dataset.root, labels="labels_pseudo", derived=tmp_path / "mine")
    assert mine.labelled() == [1]
    monkeypatch.chdir(tmp_path)
    assert NuScenes("nuscenes", labels="labels_pseudo", derived=Path("mine")).labelled() == [1]
    labels = mine.labels(1)
    assert labels is not None
    assert (labels.classes == 4).all()
    assert (labels.objects == 4 << 16 | 5).all()
    dense = mine.derived(1, "pseudo", "CAM_BACK").semantic
    assert dense == layout.sequence("scene-0061") / "CAM_BACK_pseudo" / "semantic" / f"{mine.ids[1].name}.png"
    assert dataset.derived(1, "pseudo", "CAM_BACK").folder.is_relative_to(dataset.root / "elite")


# ---- cameras ----------------------------------------------------------------------------------------------------


def _pixels_by_steps(root: Path, points: np.ndarray, channel: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and depths of points in the axes of the file: to the car, to the map, to the later car, to the camera."""
    tables = make_tables()
    poses = {row["token"]: row for row in tables["ego_pose"]}
    sensors = {row["token"]: row for row in tables["calibrated_sensor"]}
    sample = token("scene-0061", 0)
    rows = {r["filename"].split("/")[1]: r for r in tables["sample_data"] if r["sample_token"] == sample}
    lidar, camera = rows["LIDAR_TOP"], rows[channel]

    def turned(row: dict, xyz: np.ndarray, *, back: bool) -> np.ndarray:
        w, x, y, z = row["rotation"]
        rotation, shift = Rotation.from_quat([x, y, z, w]), np.array(row["translation"])
        return rotation.inv().apply(xyz - shift) if back else rotation.apply(xyz) + shift

    xyz = points.astype(np.float64)
    for row in (sensors[lidar["calibrated_sensor_token"]], poses[lidar["ego_pose_token"]]):
        xyz = turned(row, xyz, back=False)
    for row in (poses[camera["ego_pose_token"]], sensors[camera["calibrated_sensor_token"]]):
        xyz = turned(row, xyz, back=True)
    image = xyz @ np.array(sensors[camera["calibrated_sensor_token"]]["camera_intrinsic"]).T
    return image[:, :2] / image[:, 2:], xyz[:, 2]


@pytest.mark.parametrize("channel", CAMERAS)
def test_projection_equals_that_by_steps(dataset: NuScenes, channel: str) -> None:
    rows = np.random.default_rng(0).uniform(-40, 40, (500, 3))
    ours = np.column_stack([rows[:, 1], -rows[:, 0], rows[:, 2]])
    pixels, depth = _pixels_by_steps(dataset.root, rows, channel)
    camera = dataset.frame_cameras(0)[CAMERAS.index(channel)]
    assert camera.name == channel
    assert camera.projection.dtype == np.float64
    found = np.column_stack([ours, np.ones(500)]) @ camera.projection.T
    before = depth > 1
    assert before.any()
    np.testing.assert_allclose(found[:, 2], depth, atol=1e-9)
    np.testing.assert_allclose(found[before, :2] / found[before, 2:], pixels[before], atol=1e-8)


def test_projection_of_a_moving_car_differs_from_that_of_a_standing_one(root: Path, tmp_path: Path) -> None:
    def stop(tables: dict) -> None:
        for row in tables["ego_pose"]:
            row |= {"translation": [411.0, 1180.0, 0.0], "rotation": [1.0, 0.0, 0.0, 0.0]}

    standing = NuScenes(write_nuscenes(tmp_path / "standing", change=stop))
    points = np.array([[12, 0, -1]], np.float32)
    moving, still = NuScenes(root).frame_cameras(0), standing.frame_cameras(0)
    assert np.abs(project(points, moving[0])[0] - project(points, still[0])[0]).max() > 0.3
    assert len({c.projection.tobytes() for c in NuScenes(root).frame_cameras(1) + moving}) == 12  # of the frame


def test_nuscenes_of_another_sensor_is_refused(root: Path) -> None:
    """Its columns and axes are part of the format."""
    assert len(open_dataset(root, sensor="nuscenes-hdl-32e")) == 4
    with pytest.raises(ConfigError, match=r"sensor: expected nuscenes-hdl-32e, .*, found hdl-64e\. Remove the setting"):
        open_dataset(root, sensor="hdl-64e")


def test_pose_moves_points_of_our_axes_to_the_map(dataset: NuScenes) -> None:
    pose = dataset.pose(0)
    forward = pose[:3, :3] @ [1, 0, 0]
    heading = 0.3
    np.testing.assert_allclose(forward, [np.cos(heading), np.sin(heading), 0], atol=0.05)
    np.testing.assert_allclose(pose[:3, :3] @ [0, 0, 1], [0, 0, 1], atol=0.05)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
    np.testing.assert_allclose(pose[:3, 3], [411.3, 1180.9, 1.84], atol=1.1)


def test_missing_images_are_named_and_frames_keep_the_others(dataset: NuScenes) -> None:
    assert dataset.image_cameras(0) == CAMERAS
    assert dataset.image_cameras(2) == CAMERAS[2:]
    assert len(dataset.frame_cameras(2)) == 6
    frame = dataset[2]
    assert tuple(frame.images) == CAMERAS[2:]
    assert {image.shape for image in frame.images.values()} == {(*SIZE, 3)}
    assert [line.partition(" (")[0] for line in dataset.unused] == [
        f"samples/{camera}: 2 of 4 files are missing" for camera in CAMERAS[:2]
    ]


def test_missing_scans_are_named_and_their_frames_left_out(root: Path) -> None:
    path = NuScenes(root).scan_path(1)
    path.unlink()
    dataset = NuScenes(root, cameras=())
    assert (len(dataset), dataset.keyframes) == (3, 4)
    assert dataset.unused == [f"samples/LIDAR_TOP: 1 of 4 files are missing ({path.name})"]
    with pytest.raises(DataError, match=rf"none among 1 keyframes.*{path.name}"):
        NuScenes(root, "scene-0061", frames="1", cameras=())


def test_damaged_image_of_six_is_named(dataset: NuScenes) -> None:
    image = dataset.images(0)[3].path
    image.write_bytes(image.read_bytes()[:200])
    with pytest.raises(DataError, match=image.name):
        dataset[0]
    assert set(dataset.frame(0, cameras=("CAM_FRONT",)).images) == {"CAM_FRONT"}


# ---- sweeps -----------------------------------------------------------------------------------------------------


def test_sweeps_are_moved_into_the_keyframe(root: Path) -> None:
    """A point of the map is at one place, whichever scan has seen it."""
    landmark = np.array([430.0, 1190.0, 1.0])
    for row in make_tables()["sample_data"]:
        if row["filename"].startswith(("samples/LIDAR", "sweeps/LIDAR")) and (root / row["filename"]).exists():
            _write_landmark(root, row, landmark)
    dataset = NuScenes(root, "mini_train", sweeps=2)
    scan = dataset.scan(1)
    assert len(scan) == 3
    assert dataset.count_points(1) == 1
    spread = np.abs(scan.points - scan.points[:1]).max()
    assert spread < 1e-4
    seen = dataset.pose(1) @ [*scan.points[0], 1]
    np.testing.assert_allclose(seen[:3], landmark, atol=1e-4)
    assert len(dataset.scan(0)) == 1  # the first of its scene


def _write_landmark(root: Path, row: dict, landmark: np.ndarray) -> None:
    tables = make_tables()
    ego = next(r for r in tables["ego_pose"] if r["token"] == row["ego_pose_token"])
    sensor = next(r for r in tables["calibrated_sensor"] if r["token"] == row["calibrated_sensor_token"])
    xyz = landmark
    for pose in (ego, sensor):
        w, x, y, z = pose["rotation"]
        xyz = Rotation.from_quat([x, y, z, w]).inv().apply(xyz - np.array(pose["translation"]))
    np.array([[*xyz, 100, 3]], "<f4").tofile(root / row["filename"])


def test_points_of_sweeps_have_no_labels(root: Path) -> None:
    dataset, plain = NuScenes(root, "mini_train", sweeps=1), NuScenes(root, "mini_train")
    frame, alone = dataset[1], plain[1]
    assert frame.labels is not None
    assert alone.labels is not None
    assert POINTS < len(frame.scan) == len(frame.labels) <= 2 * POINTS - 2  # without the car and missing returns
    np.testing.assert_array_equal(frame.labels[:POINTS], alone.labels)
    np.testing.assert_array_equal(frame.scan.points[:POINTS], alone.scan.points)
    assert not frame.labels[POINTS:].any()


def test_missing_sweep_is_named(root: Path) -> None:
    dataset = NuScenes(root, "scene-0103", sweeps=1)
    assert len(dataset.scan(0)) == POINTS
    with pytest.raises(DataError, match=r"sweeps/LIDAR_TOP/.*expected a sweep, found none.*sweeps to 0"):
        dataset.scan(1)


# ---- damaged files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [19, POINTS * 20 - 4, POINTS * 16 + 8])
def test_scan_of_another_size_is_refused(dataset: NuScenes, size: int) -> None:
    path = dataset.scan_path(0)
    path.write_bytes(bytes(size))
    with pytest.raises(DataError, match=r"expected a multiple of 20 bytes \(float32 x y z remission ring\)"):
        dataset.scan(0)


def test_scan_with_nan_is_refused(dataset: NuScenes) -> None:
    rows = np.ones((POINTS, 5), "<f4")
    rows[3, 2] = np.nan
    rows.tofile(dataset.scan_path(0))
    with pytest.raises(DataError, match="NaN or infinity in 1 of 60 points"):
        dataset.scan(0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros(POINTS, "<u4"), r"60 labels, one byte .* found 240 bytes \(4 bytes a point\).*uint8"),
        (np.zeros(POINTS - 1, np.uint8), "found 59 bytes"),
        (np.full(POINTS, 32, np.uint8), r"raw label ids of nuscenes-lidarseg .* \[32\]"),
    ],
)
def test_labels_of_another_kind_are_refused(dataset: NuScenes, content: np.ndarray, message: str) -> None:
    content.tofile(dataset.label_path(0))
    with pytest.raises(DataError, match=message):
        dataset.labels(0)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"data": np.zeros(POINTS - 1, np.uint16)}, r"uint16 numbers of shape \(59,\)"),
        ({"data": np.zeros(POINTS, np.int32)}, "int32"),
        ({"data": np.zeros(2**20, np.uint16)}, "bytes"),
        ({"labels": np.zeros(POINTS, np.uint16)}, "data.npy"),
        (None, "not a zip file"),
    ],
)
def test_damaged_panoptic_labels_are_refused(dataset: NuScenes, arrays: dict | None, message: str) -> None:
    name = dataset.label_path(0).name.replace("lidarseg.bin", "panoptic.npz")
    path = dataset.root / "panoptic" / "v1.0-mini" / name
    if arrays is None:
        path.write_bytes(b"PK nothing")
    else:
        np.savez_compressed(path, **arrays)
    with pytest.raises(DataError, match=f"{name}.*{message}"):
        dataset.labels(0)


def test_quaternion_of_the_builder_is_w_first() -> None:
    assert quaternion(Rotation.identity()) == [1, 0, 0, 0]
