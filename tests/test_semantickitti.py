"""The reader of SemanticKITTI: exact content, and errors for damaged files."""

import io
import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from elite.datasets import open_dataset
from elite.datasets.dense_labels import read_dense, write_dense
from elite.datasets.formats import read_cameras, read_image, read_poses, split_label
from elite.datasets.records import object_ids
from elite.datasets.scan_files import read_scan
from elite.datasets.semantickitti import SemanticKITTI
from elite.errors import ConfigError, DataError
from elite.layout import Layout
from tests.support.scans import write_frame
from tests.support.semantickitti import HDL_64E

POINTS = np.array([[1, 2, 3, 0.5], [-4, 5.5, -1, 0.25], [60, 0, 0, 0]], np.float32)


@pytest.fixture
def three_points(tmp_path) -> Path:
    """One scan of three points: a moving car (instance 7), road, and a person (instance 7)."""
    root = tmp_path / "any name"
    write_frame(root, "00", "000000", POINTS, np.array([252 | 7 << 16, 40, 30 | 7 << 16]))
    return root


def png(folder: Path, name: str = "000000.png", size: tuple[int, int] = (4, 3)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (10, 20, 30)).save(folder / name)
    return folder / name


def assert_truncations_are_refused(path: Path, read) -> None:
    """A PNG cut anywhere before its last checksums and end mark (20 bytes) is a DataError that names it."""
    content = path.read_bytes()
    for size in range(len(content) - 20):
        path.write_bytes(content[:size])
        with pytest.raises(DataError, match=path.name):
            read(path)


# ---- a frame --------------------------------------------------------------------------------------------------


def test_frame_equals_the_bytes_of_its_files(tmp_path):
    sequence = tmp_path / "sequences" / "03"
    for folder in ("velodyne", "labels"):
        (sequence / folder).mkdir(parents=True)
    (sequence / "velodyne" / "000005.bin").write_bytes(struct.pack("<8f", 1, 2, 3, 0.5, -4, 5.5, -1, 0.25))
    (sequence / "labels" / "000005.label").write_bytes(bytes.fromhex("fc000700 28000300"))
    (frame,) = SemanticKITTI(tmp_path, cameras=())
    assert frame.id == "03/000005"
    assert frame.scan.points.tolist() == [[1, 2, 3], [-4, 5.5, -1]]
    assert frame.scan.remission.tolist() == [0.5, 0.25]
    assert frame.labels.tolist() == [1, 9]
    assert frame.objects.tolist() == [1 << 16 | 7, 9 << 16 | 3]
    assert (frame.cameras, frame.images) == ((), {})


def test_object_ids_of_two_classes_with_one_instance_differ(three_points):
    (frame,) = SemanticKITTI(three_points, cameras=())
    assert frame.labels.tolist() == [1, 9, 6]
    assert frame.objects.tolist() == [1 << 16 | 7, 0, 6 << 16 | 7]


def test_frame_arrays_are_writable_and_contiguous(three_points):
    frame = SemanticKITTI(three_points, cameras=())[0]
    for array in (frame.scan.points, frame.scan.remission, frame.labels, frame.objects):
        assert array.flags.writeable
        assert array.flags.c_contiguous


def test_frame_has_image_and_cameras(three_points):
    png(three_points / "sequences" / "00" / "image_2")
    frame = SemanticKITTI(three_points, cameras=("image_2", "image_3"))[0]
    assert list(frame.images) == ["image_2"]
    assert frame.images["image_2"].shape == (3, 4, 3)
    assert frame.images["image_2"][0, 0].tolist() == [10, 20, 30]
    assert [camera.name for camera in frame.cameras] == ["image_2", "image_3"]


def test_pose_moves_points_of_the_sensor(three_points):
    """A point 10 m ahead, 1 m left, 2 m up is at (-1, -2.08, 9.73) for camera 0; the world is 5, 6, 7 m away."""
    dataset, sequence = SemanticKITTI(three_points, cameras=()), three_points / "sequences" / "00"
    assert dataset.pose(0) is None
    (sequence / "poses.txt").write_text("1 0 0 5 0 1 0 6 0 0 1 7\n")
    assert dataset.pose(0).dtype == np.float64
    np.testing.assert_allclose(dataset.pose(0) @ [10, 1, 2, 1], [4, 3.92, 16.73, 1])
    (sequence / "calib.txt").unlink()
    assert SemanticKITTI(three_points, cameras=()).pose(0) is None


def test_camera_equals_its_matrix_times_the_sensor_transform(tmp_path):
    (tmp_path / "calib.txt").write_text(
        "P2: 700 0 600 45 0 700 180 0 0 0 1 0\nTr: 0 -1 0 0.1 0 0 -1 -0.08 1 0 0 -0.27\n"
    )
    (camera,) = read_cameras(tmp_path / "calib.txt", ["image_2"])
    # A point 10 m ahead, 1 m left, 2 m up: camera x = -1 + 0.1, y = -2 - 0.08, z = 10 - 0.27.
    projected = camera.projection @ [10, 1, 2, 1]
    np.testing.assert_allclose(projected, [700 * -0.9 + 600 * 9.73 + 45, 700 * -2.08 + 180 * 9.73, 9.73])


def write_sensor_frame(root: Path, points: np.ndarray, labels: np.ndarray) -> Path:
    """The scene of ``points`` (our axes) as another sensor stores it: x to the right, a ring, intensities of 0..200."""
    write_frame(root, "00", "000000", points, labels)
    x, y, z, remission = points.T
    rows = np.stack([np.arange(len(points)), -y, x, z, 200 * remission], axis=1)
    rows.astype("<f4").tofile(root / "sequences" / "00" / "velodyne" / "000000.bin")
    calibration = root / "sequences" / "00" / "calib.txt"
    head, _, numbers = calibration.read_text().partition("Tr: ")
    of_ours = np.array(numbers.split(), float).reshape(3, 4)
    of_file = of_ours @ [[0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    calibration.write_text(f"{head}Tr: {' '.join(map(str, of_file.ravel()))}\n")
    path = root / "lidar.yaml"
    path.write_text(
        "name: own\ncolumns: [ring, x, y, z, remission]\naxes: [y, -x, z]\nremission_max: 200\nheight: 2.1\n"
    )
    return path


def test_data_set_of_a_described_sensor_equals_the_same_scene_of_kittis(three_points, tmp_path):
    words = np.array([252 | 7 << 16, 40, 30 | 7 << 16])
    described = write_sensor_frame(tmp_path / "own", POINTS, words)
    for root in (three_points, tmp_path / "own"):
        (root / "sequences" / "00" / "poses.txt").write_text("1 0 0 5 0 1 0 6 0 0 1 7\n")
        png(root / "sequences" / "00" / "image_2")
    expected = SemanticKITTI(three_points)
    found = open_dataset(tmp_path / "own", sensor=str(described), cameras=("image_2",))
    assert (found.sensor.name, found.count_points(0), found.rings(0).tolist()) == ("own", 3, [0, 1, 2])
    assert found[0].scan.points.tolist() == expected[0].scan.points.tolist()
    np.testing.assert_allclose(found.stored_points(0), expected.stored_points(0))
    assert found[0].labels.tolist() == expected[0].labels.tolist()
    np.testing.assert_allclose(found[0].cameras[0].projection, expected[0].cameras[0].projection)
    np.testing.assert_allclose(found.pose(0), expected.pose(0))
    with pytest.raises(DataError, match=r"multiple of 16 bytes|float32 with 5"):
        open_dataset(tmp_path / "own", cameras=()).scan(0)
    described.rename(tmp_path / "own" / "sensor.yaml")
    assert open_dataset(tmp_path / "own", cameras=()).sensor.name == "own"
    assert open_dataset(tmp_path / "own", sensor="hdl-32e", cameras=()).sensor.name == "hdl-32e"


# ---- selections -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("below", ["", "sequences"])
def test_data_set_root_or_sequences_folder_is_accepted(below, three_points):
    assert len(SemanticKITTI(three_points / below, cameras=())) == 1


def test_data_set_parent_of_a_dataset_folder_is_accepted(three_points, tmp_path):
    three_points.rename(tmp_path / "dataset")
    assert len(SemanticKITTI(tmp_path, cameras=())) == 1


@pytest.mark.parametrize(
    ("sequences", "frames", "ids", "absent"),
    [
        (None, "0", ["00/000000", "08/000000", *(f"{i}/000000" for i in range(11, 22))], 0),
        ("train", None, ["00/000000", "00/000001"], 9),
        ("valid", None, ["08/000000"], 0),
        ("08,00", None, ["08/000000", "00/000000", "00/000001"], 0),
        ("0", "1-4", ["00/000001"], 0),
        ("train,valid", "0", ["00/000000", "08/000000"], 9),
    ],
)
def test_data_set_selection_gives_its_sequences_and_frames(sequences, frames, ids, absent, tiny_kitti):
    order = sorted if sequences is None else list
    dataset = SemanticKITTI(tiny_kitti, sequences, frames=frames, cameras=())
    assert order(map(str, dataset.ids)) == order(ids)
    assert len(dataset) == len(ids)
    assert len(dataset.absent) == absent


@pytest.mark.parametrize("selection", ["42", "00,42", "0-7", "valid,42", "train,42"])
def test_data_set_missing_sequence_is_refused(selection, tiny_kitti):
    with pytest.raises(DataError, match=r"expected scans for sequence .*(42|01).*, found 00, 08"):
        SemanticKITTI(tiny_kitti, selection, cameras=())


def test_data_set_split_without_scans_is_refused(three_points):
    with pytest.raises(DataError, match="expected a scan for sequences test"):
        SemanticKITTI(three_points, "test", cameras=())


def test_data_set_missing_frames_are_refused(tiny_kitti):
    with pytest.raises(DataError, match="frames 7"):
        SemanticKITTI(tiny_kitti, "00", frames="7", cameras=())


def test_data_set_unknown_camera_is_refused(tiny_kitti):
    with pytest.raises(ConfigError, match="image_9"):
        SemanticKITTI(tiny_kitti, cameras=("image_9",))


def test_data_set_stray_files_are_counted_and_skipped(three_points):
    for name in ("readme.txt", "000001.bin.part", "000001", ".000002.bin", "x.bin"):
        (three_points / "sequences" / "00" / "velodyne" / name).write_bytes(b"x")
    dataset = SemanticKITTI(three_points, cameras=())
    assert (len(dataset), dataset.stray_files) == (1, 5)


# ---- what may be missing --------------------------------------------------------------------------------------


def test_frame_without_labels_is_read(tiny_kitti):
    dataset = SemanticKITTI(tiny_kitti, "00,11", cameras=())
    assert dataset.labelled() == [0, 1]
    assert dataset[2].labels is None
    assert dataset[2].objects is None


def test_data_set_with_another_label_folder_reads_it(three_points):
    sequence = three_points / "sequences" / "00"
    (sequence / "labels").rename(sequence / "scribbles")
    assert SemanticKITTI(three_points, cameras=())[0].labels is None
    assert SemanticKITTI(three_points, cameras=(), labels="scribbles")[0].labels.tolist() == [1, 9, 6]


def test_data_set_without_images_needs_no_calibration(three_points):
    sequence = three_points / "sequences" / "00"
    (sequence / "calib.txt").unlink()
    assert SemanticKITTI(three_points)[0].cameras == ()
    png(sequence / "image_2")
    assert SemanticKITTI(three_points, cameras=())[0].images == {}
    with pytest.raises(DataError, match=r"calib\.txt"):
        SemanticKITTI(three_points)[0]


# ---- bad input ------------------------------------------------------------------------------------------------


def test_read_scan_truncated_is_refused(three_points):
    path = three_points / "sequences" / "00" / "velodyne" / "000000.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"000000\.bin: expected a multiple of 16 bytes .*found 47"):
        SemanticKITTI(three_points, cameras=())[0]


def test_read_scan_empty_is_refused(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.bin: expected at least one point"):
        read_scan(tmp_path / "a.bin", HDL_64E)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", range(4))
def test_read_scan_with_nonfinite_values_is_refused(bad, column, tmp_path):
    points = POINTS.copy()
    points[1, column] = bad
    points.tofile(tmp_path / "a.bin")
    with pytest.raises(DataError, match=r"a\.bin: expected finite numbers.* 1 of 3 points"):
        read_scan(tmp_path / "a.bin", HDL_64E)


@pytest.mark.parametrize(("size", "count"), [(8, "2"), (16, "4"), (11, "2.75"), (0, "0")])
def test_frame_with_another_label_count_names_both_files(size, count, three_points):
    folder = three_points / "sequences" / "00"
    labels, scan = folder / "labels" / "000000.label", folder / "velodyne" / "000000.bin"
    labels.write_bytes(bytes(size))
    message = (
        f"{labels}: expected 3 labels, one for each point of {scan}, found {count}. Re-extract the labels archive."
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        SemanticKITTI(three_points, cameras=())[0]


def test_labels_of_a_scan_that_is_a_pipe_names_the_scan(three_points):
    """Training counts classes from the labels alone: the scan has no size to compare them with."""
    scan = three_points / "sequences" / "00" / "velodyne" / "000000.bin"
    scan.unlink()
    os.mkfifo(scan)
    with pytest.raises(DataError, match=f"^{re.escape(str(scan))}: expected a scan, found a pipe, socket or device"):
        SemanticKITTI(three_points, cameras=()).labels(0)


def test_frame_with_an_unknown_label_id_is_refused(three_points):
    path = three_points / "sequences" / "00" / "labels" / "000000.label"
    np.array([10, 41, 77], "<u4").tofile(path)
    with pytest.raises(DataError, match=rf"{re.escape(str(path))}: expected raw label ids .* \[41, 77\]"):
        SemanticKITTI(three_points, cameras=())[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("P2:", "P9:"), "expected a line 'P2:'"),
        (lambda text: text.replace("Tr:", "T :"), "expected a line 'Tr:'"),
        (lambda text: text.replace(" -0.27", ""), "line 'Tr': expected 12 numbers"),
        (lambda text: text.replace("-0.27", "nan"), "line 'Tr'"),
        (lambda text: text.replace("45", "forty"), "line 'P2'"),
        (lambda text: text.replace("45", "1e300"), "line 'P2'"),
        (lambda text: "", "expected a line 'Tr:'"),
        (lambda text: "\0\ufffd:", "expected a line 'Tr:'"),
    ],
)
def test_calibration_with_missing_numbers_is_refused(change, message, three_points):
    png(three_points / "sequences" / "00" / "image_2")
    path = three_points / "sequences" / "00" / "calib.txt"
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=message) as caught:
        SemanticKITTI(three_points)[0]
    assert str(path) in str(caught.value)


def test_calibration_blank_lines_and_dates_are_skipped(three_points):
    path = three_points / "sequences" / "00" / "calib.txt"
    path.write_text("\nmade by hand\n" + path.read_text() + "\n\n")
    assert len(SemanticKITTI(three_points)[0].cameras) == 1


P2, TR = "700 0 600 45 0 700 180 0 0 0 1 0", "0 -1 0 0 0 0 -1 -0.08 1 0 0 -0.27"
CALIBRATIONS = {
    "odometry": f"P2: {P2}\nTr: {TR}\n".encode(),
    "tracking": f"P2: {P2}\nR_rect 1 0 0 0 1 0 0 0 1\nTr_velo_cam {TR}\nTr_imu_velo {TR}\n".encode(),
    "object": f"P2: {P2}\nR0_rect: 1 0 0 0 1 0 0 0 1\nTr_velo_to_cam: {TR}\n".encode(),
    "unused lines": f"image_size: 160 48\nP2: {P2}\nbaseline: 0.54\nTr: {TR}\n".encode(),
    "byte order mark and CRLF": f"P2: {P2}\r\nTr: {TR}\r\n".encode("utf-8-sig"),
    "UTF-16": f"P2: {P2}\nTr: {TR}\n".encode("utf-16"),
    "commas": f"P2: {P2}\nTr: {TR}\n".replace(" ", ", ").replace(":,", ":").encode(),
}


@pytest.mark.parametrize("kind", CALIBRATIONS)
def test_read_cameras_of_any_kitti_benchmark_and_editor_is_the_same(kind, tmp_path):
    (tmp_path / "calib.txt").write_bytes(CALIBRATIONS[kind])
    (camera,) = read_cameras(tmp_path / "calib.txt", ["image_2"])
    T_cam_velo = np.vstack([np.array(TR.split(), float).reshape(3, 4), (0, 0, 0, 1)])
    np.testing.assert_allclose(camera.projection, np.array(P2.split(), float).reshape(3, 4) @ T_cam_velo)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"calib_time: 1\nR: 1 0 0 0 1 0 0 0 1\nT: 0 0 0\nP2: {P2}\n",
            r"Tr = R_rect_00 @ \[R \| T\] and P2 = P_rect_02",
        ),
        (f"P2: {P2}\nTr_velo_cam {TR}\n", r"expected a line 'R_rect:' .*Tr = R_rect @ Tr_velo_cam"),
        (f"P2: {P2}\nTr: 2 0 0 0 0 2 0 0 0 0 2 0\n", "expected a rotation in the first three columns of Tr"),
        (f"P2: {P2}\nTr: 1 0 0 0 0 1 0 0 0 0 -1 0\n", "expected a rotation"),
        (f"P2: {'0 ' * 12}\nTr: {TR}\n", "expected a projection of rank 3 in P2"),
        (f"P2: {P2}\nTr: {TR}\nTr: {TR[:-1]}\n", "expected one line 'Tr', found two that differ"),
    ],
)
def test_read_cameras_of_an_impossible_calibration_names_the_remedy(text, message, tmp_path):
    (tmp_path / "calib.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read_cameras(tmp_path / "calib.txt", ["image_2"])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_read_image_with_exif_orientation_is_upright(orientation, tmp_path):
    """As viewers and OpenCV do: Pillow's own reading of the eight EXIF orientations."""
    from PIL import ImageOps

    stored = Image.fromarray(np.arange(3 * 4 * 5, dtype=np.uint8).reshape(4, 5, 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.asarray(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize(("dtype", "size"), [("<i8", 8), ("<u2", 2), ("u1", 1)])
def test_read_labels_of_another_width_names_it(dtype, size, three_points):
    path = three_points / "sequences" / "00" / "labels" / "000000.label"
    np.full(3, 40, dtype).tofile(path)
    with pytest.raises(DataError, match=f"found {size} bytes for each of the 3 points.*Write them as uint32"):
        SemanticKITTI(three_points, cameras=())[0]


def test_data_set_unused_files_are_listed(three_points):
    sequence = three_points / "sequences" / "00"
    for name in ("velodyne/a.pcd", "labels/000009.label", "image_2/000000.jpg"):
        (sequence / name).parent.mkdir(exist_ok=True)
        (sequence / name).write_bytes(b"")
    unused = SemanticKITTI(three_points).unused
    assert [line.split(":")[0] for line in unused] == ["00/velodyne", "00/labels", "00/image_2"]
    assert "1 files have no scan (000009.label, ...)" in unused[1]


def test_read_image_truncated_anywhere_is_refused(tmp_path):
    path = png(tmp_path)
    assert_truncations_are_refused(path, read_image)


def test_read_poses_shorter_than_the_sequence_is_refused(tiny_kitti):
    path = tiny_kitti / "sequences" / "00" / "poses.txt"
    path.write_text("1 0 0 0 0 1 0 0 0 0 1 0\n")
    dataset = SemanticKITTI(tiny_kitti, "00", cameras=())
    assert dataset.pose(0)[:3, 3].tolist() == [0, -0.08, -0.27]
    with pytest.raises(DataError, match=r"poses\.txt: expected at least 2 poses.*scan 000001, found 1"):
        dataset.pose(1)
    assert len(dataset[1].scan) > 0  # a frame is readable without its pose


def test_read_poses_without_twelve_numbers_is_refused(tmp_path):
    (tmp_path / "poses.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0\n")
    with pytest.raises(DataError, match=r"poses\.txt, line 2: expected 12 numbers"):
        read_poses(tmp_path / "poses.txt")


def test_frame_with_removed_files_is_refused(three_points):
    dataset = SemanticKITTI(three_points, cameras=())
    for folder, name in (("labels", "000000.label"), ("velodyne", "000000.bin")):
        (three_points / "sequences" / "00" / folder / name).unlink()
        with pytest.raises(DataError, match=name):
            dataset[0]


# ---- dense image labels ---------------------------------------------------------------------------------------


@pytest.fixture
def dense(tmp_path) -> tuple[Layout, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    semantic, instance = rng.integers(0, 1 << 16, (2, 5, 7)).astype(np.uint16)
    semantic[0, :3], instance[0, :3] = (0, 259, 65535), (0, 256, 65535)
    layout = Layout(tmp_path)
    write_dense(layout, "04", "000009", "image_2_labels", semantic=semantic, instance=instance)
    return layout, semantic, instance


def test_dense_labels_round_trip_is_exact(dense):
    layout, semantic, instance = dense
    back = read_dense(layout, "04", "000009", "image_2_labels")
    np.testing.assert_array_equal(back, (semantic, instance))
    assert back[0].dtype == back[1].dtype == np.uint16
    assert (layout.root / "sequences/04/image_2_labels/semantic/000009.png").is_file()
    assert (layout.root / "sequences/04/image_2_labels/instance/000009.png").is_file()


def test_dense_labels_damaged_are_refused(dense):
    layout, *_ = dense
    path = layout.dense_files("04", "000009", "image_2_labels").instance
    assert_truncations_are_refused(path, lambda _: read_dense(layout, "04", "000009", "image_2_labels"))
    path.unlink()
    with pytest.raises(DataError, match=r"000009\.png"):
        read_dense(layout, "04", "000009", "image_2_labels")


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1"])
def test_dense_labels_of_eight_bits_are_refused(mode, dense):
    layout, *_ = dense
    buffer = io.BytesIO()
    Image.new(mode, (7, 5)).save(buffer, "PNG")
    layout.dense_files("04", "000009", "image_2_labels").semantic.write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match="16-bit"):
        read_dense(layout, "04", "000009", "image_2_labels")


def test_dense_labels_of_different_size_are_refused(dense):
    layout, semantic, _ = dense
    write_dense(layout, "04", "000008", "image_2_labels", semantic=semantic, instance=semantic[:4])
    with pytest.raises(DataError, match=r"instance/000008\.png: expected the size of .*, 5 x 7 pixels .*found 4 x 7"):
        read_dense(layout, "04", "000008", "image_2_labels")


# ---- real frames ----------------------------------------------------------------------------------------------


def test_frame_of_real_data_has_its_known_content(real_kitti):
    dataset = SemanticKITTI(real_kitti, "train", frames="0-4", cameras=("image_2", "image_3"))
    assert [len(dataset.images(i)) for i in range(5)] == [2, 1, 1, 1, 1]
    assert dataset.labelled() == [0, 1, 2]
    frame = dataset[0]
    assert len(frame.scan) == len(frame.labels) == 124_668
    assert frame.images["image_3"].shape == (376, 1241, 3)
    assert dataset.pose(0).shape == (4, 4)
    assert 0 <= frame.scan.remission.min() < frame.scan.remission.max() <= 1


def test_split_label_gives_class_and_instance():
    semantic, instance = split_label(np.array([0xFFFE_00FC, 40, 0x0001_0000], np.uint32))
    assert semantic.tolist() == [252, 40, 0]
    assert instance.tolist() == [0xFFFE, 0, 1]


def test_object_ids_combine_class_and_instance():
    ids = object_ids(np.array([1, 6, 1, 0], np.uint8), np.array([7, 7, 0, 7], np.uint16))
    assert ids.tolist() == [0x1_0007, 0x6_0007, 0, 0]
