"""PointCloud2 messages: every layout, byte order and padding, against structured arrays of numpy."""

from dataclasses import replace

import numpy as np
import pytest

from elite.errors import DataError
from elite.recordings import CDR, PointField, decode_cloud, encode_cloud, with_fields
from tests.support.clouds import WRONG_CLOUDS
from tests.support.recordings import LAYOUTS, cloud, random_points, store

ADDED = {
    "class_id": np.arange(24, dtype=np.uint8),
    "probability": np.linspace(0, 1, 24, dtype=np.float32),
    "entropy": np.linspace(1, 0, 24, dtype=np.float32),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize(("height", "row_padding"), [(1, 0), (4, 0), (4, 7)])
def test_cloud_of_any_layout_has_the_numbers_that_were_written(layout, big_endian, height, row_padding):
    values = random_points(layout, 24)
    message = cloud(layout, values, height=height, big_endian=big_endian, row_padding=row_padding, fill=0xAB)
    points = decode_cloud(message, "/points")
    assert points.shape == ((height, 24 // height) if height > 1 else (24,))
    assert [*points.values] == [*values]
    for name, expected in values.items():
        assert points.values[name].dtype == expected.dtype
        np.testing.assert_array_equal(points.values[name], expected)


TYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8")  # of datatypes 1 to 8


def read_by_rosbags(data: bytes) -> np.ndarray:
    """Points of an encoded cloud as a structured array (height, width), by rosbags and numpy."""
    message = store().deserialize_cdr(data, "sensor_msgs/msg/PointCloud2")
    order = ">" if message.is_bigendian else "<"
    kinds = {
        "names": [field.name for field in message.fields],
        "formats": [order + TYPES[field.datatype - 1] for field in message.fields],
        "offsets": [field.offset for field in message.fields],
        "itemsize": message.point_step,
    }
    rows = message.data.reshape(message.height, message.row_step)[:, : message.width * message.point_step]
    return np.ascontiguousarray(rows).view(np.dtype(kinds))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize(("height", "row_padding"), [(1, 0), (1, 5), (4, 7)])
def test_appended_fields_leave_every_other_byte(layout, big_endian, height, row_padding):
    before = cloud(
        layout, random_points(layout, 24), height=height, big_endian=big_endian, row_padding=row_padding, fill=0xAB
    )
    after = with_fields(before, ADDED, "/points")
    points = read_by_rosbags(encode_cloud(after, CDR))
    assert points.dtype.names == (*LAYOUTS[layout][0], *ADDED)
    for name, expected in ADDED.items():
        np.testing.assert_array_equal(points[name].reshape(-1), expected)
    rows = after.data.reshape(height, after.row_step)
    cells = rows[:, : after.width * after.point_step].reshape(height, after.width, after.point_step)
    old_rows = before.data.reshape(height, before.row_step)
    used = before.width * before.point_step
    np.testing.assert_array_equal(cells[..., : before.point_step].reshape(height, used), old_rows[:, :used])
    np.testing.assert_array_equal(rows[:, after.width * after.point_step :], old_rows[:, used:])
    same = {name: getattr(before, name) for name in ("stamp", "frame", "height", "width", "is_dense", "is_bigendian")}
    assert {name: getattr(after, name) for name in same} == same
    assert after.fields[: len(before.fields)] == before.fields
    assert all(field.offset % np.dtype(ADDED[field.name].dtype).itemsize == 0 for field in after.fields[-3:])
    assert after.point_step % 4 == 0


def test_fields_of_several_numbers_become_columns_and_padding_is_ignored():
    message = cloud("XYZI", random_points("XYZI", 6))
    normal = (PointField("normal", 16, 7, 3), PointField("_", 12, 2, 4), PointField("", 28, 2, 4))
    points = decode_cloud(replace(message, fields=message.fields[:3] + normal), "/points")
    assert [*points.values] == ["x", "y", "z", "normal_0", "normal_1", "normal_2"]
    expected = message.data.view(np.float32).reshape(6, 8)[:, 5]
    np.testing.assert_array_equal(points.values["normal_1"], expected)


def test_missing_returns_stay_nan():
    values = random_points("XYZI", 4)
    values["x"][1] = np.nan
    points = decode_cloud(replace(cloud("XYZI", values), is_dense=False), "/points")
    np.testing.assert_array_equal(np.isnan(points.values["x"]), [False, True, False, False])


@pytest.mark.parametrize(
    "size", [{"width": 0}, {"height": 0}, {"width": 0, "row_step": 0, "data": np.zeros(0, np.uint8)}]
)
def test_empty_cloud_has_its_fields_and_gets_others(size):
    message = replace(cloud("ouster", random_points("ouster", 8), height=2), **size)
    nothing = {name: values[:0] for name, values in ADDED.items()}
    after = with_fields(message, nothing, "/points")
    points = decode_cloud(after, "/points")
    assert [*points.values] == [*LAYOUTS["ouster"][0], *ADDED]
    assert len(points) == 0
    np.testing.assert_array_equal(after.data, message.data)


def test_single_row_is_read_whatever_its_row_step():
    message = cloud("XYZIRC", random_points("XYZIRC", 24))
    points = decode_cloud(replace(message, row_step=0), "/points")
    np.testing.assert_array_equal(points.values["x"], decode_cloud(message, "/points").values["x"])
    for wrong in (0, 2**32 - 1):
        assert with_fields(replace(message, row_step=wrong), ADDED, "/points").row_step == 24 * 28


@pytest.mark.parametrize("values", WRONG_CLOUDS.values(), ids=WRONG_CLOUDS)
def test_contradicting_cloud_is_refused_by_name(values):
    message = replace(cloud("velodyne", random_points("velodyne", 24), height=4), **values)
    with pytest.raises(DataError, match=r"^/points at 3 s: expected "):
        decode_cloud(message, "/points at 3 s")
    with pytest.raises(DataError, match=r"^/points at 3 s: expected "):
        with_fields(message, ADDED, "/points at 3 s")


def test_labelled_cloud_is_not_labelled_again():
    labelled = with_fields(cloud("XYZI", random_points("XYZI", 24)), ADDED, "/points")
    with pytest.raises(DataError, match="without the field 'class_id'"):
        with_fields(labelled, ADDED, "/points")
