"""Time of ``elite predict`` on a recording, over the time of the student alone on the same clouds.

    python benchmarks/recording.py [--scans FOLDER] [--rounds 9] [--precision bf16|int8] [--threads 2] [--clock process]

Fifteen clouds with the fields of a Velodyne (22 bytes per point) are read from an uncompressed .mcap file, labelled,
and written to another one. The student alone labels the same points in memory. ``_timing.py`` describes the method.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from _timing import Raw, conditions, fair_rounds, restart, scans, spread, table, varied_student

from elite.inference import Segmenter
from elite.labelled_recordings import RecordingJob, label_recording
from elite.recordings import (
    CDR,
    Compression,
    Message,
    PointCloud2,
    PointField,
    Recording,
    Topic,
    encode_cloud,
    open_recording,
    write_recording,
)

ALONE = "student alone"
COUNT, REPEATS = 5, 3  # scans, and clouds of each
POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4"), ("ring", "<u2"), ("time", "<f4")])
FIELDS = (
    *(PointField(name, 4 * i, 7) for i, name in enumerate(("x", "y", "z", "intensity"))),
    *(PointField("ring", 16, 4), PointField("time", 18, 7)),
)
PERIOD = 100_000_000  # ns
CLOCKS = {"wall": time.perf_counter, "process": time.process_time}


def cloud_of(raw: Raw, stamp: int) -> PointCloud2:
    points = np.zeros(len(raw), POINT)
    for field, column in zip(FIELDS, raw.T, strict=False):
        points[field.name] = column
    layout = 1, len(raw), FIELDS, False, POINT.itemsize, POINT.itemsize * len(raw)
    return PointCloud2(stamp, "velodyne", *layout, points.view(np.uint8), True)


def write_clouds(path: Path, clouds: list[Raw]) -> None:
    topic = Topic("/points", "sensor_msgs/msg/PointCloud2")
    with write_recording(path) as file:
        for i, raw in enumerate(clouds):
            file.write(Message(topic, PERIOD * i, encode_cloud(cloud_of(raw, PERIOD * i), CDR)))


def contestants(segmenter: Segmenter, recording: Recording, out: Path) -> dict[str, Callable[[list[Raw]], object]]:
    """Functions that label all clouds."""

    def alone(clouds: list[Raw]) -> None:
        for raw in clouds:
            segmenter(raw[:, :3], raw[:, 3])

    def recorded(compression: Compression, clouds: list[Raw]) -> None:
        job = RecordingJob(out, topic, "/points_labelled", segmenter.sensor, compression=compression)
        done = label_recording(segmenter, recording, job, print)
        assert done.written == len(clouds)

    topic = recording.topic(None, PointCloud2)
    ways: tuple[Compression, ...] = ("none", "lz4", "zstd")
    made: dict[str, Callable[[list[Raw]], object]] = {ALONE: alone}
    return made | {f"recording, {way}": partial(recorded, way) for way in ways}


def main(folder: Path, given: argparse.Namespace) -> None:
    clouds = REPEATS * scans(given.scans, COUNT)
    segmenter = Segmenter(varied_student(clouds[0]), precision=given.precision, report=lambda message: None)
    write_clouds(folder / "in.mcap", clouds)
    with open_recording(folder / "in.mcap") as recording:
        seconds = fair_rounds(
            contestants(segmenter, recording, folder / "out.mcap"), [clouds], given.rounds, CLOCKS[given.clock]
        )
    lines = [
        [name, *(f"{len(clouds) / f(each):.1f}" for f in (median, min)), spread(each, seconds[ALONE])]
        for name, each in seconds.items()
    ]
    print(table([given.precision, "clouds/s", "best", f"over {ALONE}"], lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=Path, help="folder of .bin scans (default: a rendered street)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--precision", choices=("fp32", "bf16", "int8"), default="bf16")
    parser.add_argument("--threads", type=int, help="default: OMP_NUM_THREADS, else all cores")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="process: processor time, for busy machines")
    options = parser.parse_args()
    restart(options.threads)
    print(conditions())
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary), options)
