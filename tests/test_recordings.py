"""Recordings written by rosbags: topics, messages by time, damaged and foreign files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from elite.errors import DataError
from elite.recordings import (
    CameraInfo,
    CompressedImage,
    PointCloud2,
    Pose,
    RawImage,
    decode_cloud,
    decode_image,
    open_recording,
)
from elite.recordings.messages import TransformTree
from tests.support.recordings import (
    START,
    camera_info_item,
    cloud,
    cloud_item,
    compressed_item,
    image_item,
    odometry_item,
    random_points,
    tf_item,
    write_recording,
)

KINDS = ("a.mcap", "a.db3", "a.bag", "folder")
K = np.array([[100.0, 0, 8], [0, 110, 6], [0, 0, 1]])
POSE = np.array([[0.0, -1, 0, 5], [1, 0, 0, -2], [0, 0, 1, 0.5], [0, 0, 0, 1]])


def items(ros1: bool = False) -> list:
    """Ten clouds at 10 Hz, with images, calibration, transforms and odometry."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (12, 16, 3), np.uint8)
    found = [
        tf_item("/tf_static", {("base", "lidar"): POSE}, START, ros1=ros1),
        camera_info_item("/cam/info", K, (12, 16), START, "cam", D=(0.1, 0.2, 0, 0, 0.3), ros1=ros1),
        image_item("/cam/raw", pixels[..., ::-1], START + 1, "cam", "bgr8", padding=3, ros1=ros1),
        compressed_item("/cam/png", pixels, START + 2, "cam", kind="PNG", ros1=ros1),
        odometry_item("/odom", POSE, START + 3, ros1=ros1),
    ]
    for i in range(10):
        record = cloud("ouster", random_points("ouster", 8, seed=i), height=2, stamp=START + i * 10**8)
        found.append(cloud_item("/points", record, ros1=ros1))
    return found


@pytest.fixture(scope="module", params=KINDS)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recording")
    return write_recording(folder / request.param, items(ros1=request.param.endswith(".bag")))


def test_recording_of_any_kind_has_its_topics(path):
    with open_recording(path) as recording:
        found = {topic.name: (topic.type, topic.count) for topic in recording.topics}
        assert found["/points"] == ("sensor_msgs/msg/PointCloud2", 10)
        assert {*found} == {"/points", "/cam/info", "/cam/raw", "/cam/png", "/odom", "/tf_static"}
        assert recording.span == (START, START + 9 * 10**8)
        points = recording.topic(None, PointCloud2)
        assert recording.span_of(points) == (START, START + 9 * 10**8)
        assert recording.rate_of(points) == pytest.approx(10)
        assert recording.topic("cam/raw", RawImage).name == "/cam/raw"
        assert recording.faults == ()


def test_recording_of_any_kind_has_its_messages_by_time(path):
    with open_recording(path) as recording:
        messages = list(recording.messages())
        assert [m.time for m in messages] == sorted(m.time for m in messages)
        of = {
            kind: [m.record for m in messages if type(m.record) is kind] for kind in {type(m.record) for m in messages}
        }
    assert {kind: len(records) for kind, records in of.items()} == {
        **{PointCloud2: 10, RawImage: 1, CompressedImage: 1, CameraInfo: 1, TransformTree: 1, Pose: 1}
    }
    for i, record in enumerate(of[PointCloud2]):
        assert (record.stamp, record.frame, record.height) == (START + i * 10**8, "lidar", 2)
        np.testing.assert_array_equal(
            decode_cloud(record, "/points").values["range"], random_points("ouster", 8, seed=i)["range"]
        )
    info = of[CameraInfo][0]
    np.testing.assert_array_equal(info.K, K)
    assert (info.D, info.distortion_model, info.height, info.width) == ((0.1, 0.2, 0, 0, 0.3), "plumb_bob", 12, 16)
    transform = of[TransformTree][0].transforms[0]
    assert (transform.parent, transform.child) == ("base", "lidar")
    np.testing.assert_allclose(transform.matrix, POSE, atol=1e-12)
    np.testing.assert_allclose(of[Pose][0].matrix, POSE, atol=1e-12)
    np.testing.assert_array_equal(decode_image(of[RawImage][0], "raw"), decode_image(of[CompressedImage][0], "png"))


def test_messages_of_a_time_range_and_of_a_topic(path):
    with open_recording(path) as recording:
        points = recording.topic("/points", PointCloud2)
        found = recording.messages([points], start=START + 2 * 10**8, stop=START + 4 * 10**8)
        assert [message.record.stamp for message in found] == [START + 2 * 10**8, START + 3 * 10**8]


def test_missing_topic_is_an_error_that_lists_those_of_the_type(path):
    with open_recording(path) as recording, pytest.raises(DataError, match=r"found /points\. Did you mean /points\?"):
        recording.topic("/pointz", PointCloud2)


def image(pixels: np.ndarray, encoding: str) -> RawImage:
    rows = pixels.reshape(len(pixels), -1)
    padded = np.concatenate([rows, np.full((len(rows), 3), 9, np.uint8)], axis=1)
    return RawImage(START, "cam", *pixels.shape[:2], encoding, padded.shape[1], padded.reshape(-1))


@pytest.mark.parametrize(
    ("encoding", "channels"), [("rgb8", "rgb"), ("bgr8", "bgr"), ("rgba8", "rgba"), ("bgra8", "bgra"), ("8UC3", "bgr")]
)
def test_raw_image_of_any_order_of_channels_is_rgb(encoding, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, len(channels)), np.uint8)
    expected = pixels[..., [channels.index(color) for color in "rgb"]]
    np.testing.assert_array_equal(decode_image(image(pixels, encoding), "image"), expected)


def test_grey_image_has_equal_channels():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7), np.uint8)
    np.testing.assert_array_equal(decode_image(image(pixels, "mono8"), "image"), np.dstack([pixels] * 3))


@pytest.mark.parametrize("colors", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_image_gets_its_colours_back(colors):
    """Colours that change linearly over the image are interpolated exactly, except at its edges."""
    v, u = np.mgrid[:8, :10]
    rgb = np.stack([10 + 4 * u + 6 * v, 200 - 8 * u, 40 + 10 * v], axis=-1).astype(np.uint8)
    mosaic = np.zeros((8, 10), np.uint8)
    for place, color in enumerate(colors):
        cells = slice(place // 2, None, 2), slice(place % 2, None, 2)
        mosaic[cells] = rgb[..., "rgb".index(color)][cells]
    found = decode_image(image(mosaic, f"bayer_{colors}8"), "image")
    np.testing.assert_array_equal(found[1:-1, 1:-1], rgb[1:-1, 1:-1])


@pytest.mark.parametrize(
    "values",
    [
        {"encoding": "16UC1"},
        {"encoding": "h264"},
        {"width": 9},
        {"height": 6},
        {"step": 20},
        {"width": 0},
        {"height": 2**32 - 1},
    ],
    ids=str,
)
def test_contradicting_image_is_refused_by_name(values):
    message = replace(image(np.zeros((5, 7, 3), np.uint8), "rgb8"), **values)
    with pytest.raises(DataError, match=r"^/cam at 3 s: expected "):
        decode_image(message, "/cam at 3 s")
