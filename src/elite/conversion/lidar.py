"""The sensor section of ``dataset.yaml``."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from elite.conversion.sources import LidarSource
from elite.datasets.check.sampled_scans import SampledScan, sampled_scan
from elite.datasets.check.sensor_guess import guess_sensor
from elite.errors import DataError
from elite.recordings import PointCloud2, Recording, decode_cloud
from elite.sensor import load_sensor

_SCANS = 10
_TRIED = 20  # clouds from each place on: some are of another sensor, or damaged


def sensor_values(recording: Recording, lidar: LidarSource, name: str | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Describe the LiDAR by ten evenly spaced scans.

    Args:
        recording: with scans.
        lidar: the LiDAR.
        name: packaged sensor or YAML file, whose values are kept; None = all values are measured.

    Returns:
        Values for ``sensor`` of ``dataset.yaml``, and sentences about properties to look at.

    Raises:
        ConfigError: an unknown sensor.
        DataError: all of these scans lack measured points.
    """
    stated = None if name is None else load_sensor(name)
    if not (scans := list(_evenly_spaced(recording, lidar))):
        raise DataError(f"{lidar.topic.name}: expected points with a return, found none. Choose another --topic.")
    guess = guess_sensor(scans, stated=stated)
    return guess.settings, guess.notes


def _evenly_spaced(recording: Recording, lidar: LidarSource) -> Iterator[SampledScan]:
    span = recording.span_of(lidar.topic)
    assert span is not None  # it has a cloud
    for k in range(_SCANS):
        start = span.first + k * (span.last - span.first) // _SCANS
        messages = islice(recording.messages([lidar.topic], start=start), None if k == 0 else _TRIED)
        clouds = (message.record for message in messages if isinstance(message.record, PointCloud2))
        yield from islice(_scans(lidar, clouds), 1)


def _scans(lidar: LidarSource, clouds: Iterator[PointCloud2]) -> Iterator[SampledScan]:
    """Scans of those clouds that are converted."""
    for cloud in clouds:
        if lidar.fault(cloud) is None:
            with suppress(DataError):  # counted when it is converted
                yield sampled_scan(decode_cloud(cloud, lidar.topic.name), lidar.topic.name)
