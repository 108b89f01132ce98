"""Render a drive in the SemanticKITTI layout, frame by frame, in several processes."""

import io
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from elite.datasets.dense_labels import write_dense
from elite.errors import ConfigError, OutputError
from elite.files import TEXT_BYTES, make_folder, parse_json, read_file, write_bytes, write_json
from elite.layout import SPLITS, Layout
from elite.sensor import write_sensor
from elite.shapes import Float
from elite.synthetic.build import ego_poses, open_world
from elite.synthetic.camera import photograph
from elite.synthetic.config import DriveConfig, differences
from elite.synthetic.description import POSES, labels_layout, write_description
from elite.synthetic.mesh import load_trimesh
from elite.synthetic.raycast import Caster, load_embree
from elite.synthetic.sensors import calibration, cam0_from_velo, camera
from elite.synthetic.timing import timing
from elite.synthetic.world import World
from elite.terminal import progress_bar

RECORD = "synth.json"
_SMALLEST_PART = 10  # frames per process; each process builds a world


@dataclass(frozen=True)
class DriveSummary:
    """Result of ``render_drive``."""

    out: Path
    sequences: tuple[str, ...]
    rendered: int
    skipped: int


def render_drive(
    out: str | Path, config: DriveConfig, *, workers: int | None = None, progress: bool = True
) -> DriveSummary:
    """Render a synthetic drive into ``out``; complete frames are kept.

    Args:
        out: root of the data set, in the layout of ``elite.layout``, with a ``dataset.yaml`` that states its splits.
        config: settings, which are recorded in ``out``/synth.json, and a given sensor in ``out``/sensor.yaml.
        workers: processes, by default one per CPU. The files do not depend on it.
        progress: report the progress.

    Raises:
        ConfigError: ``out`` contains a drive with other settings, or other files; or workers < 1.
        MissingExtraError: trimesh or embreex is not installed.
        OutputError: ``out`` is not writable.
    """
    workers = workers or os.cpu_count() or 1 if workers is None else workers
    if workers < 1:
        raise ConfigError(f"workers: expected at least 1, found {workers}. Omit it to use every CPU.")
    load_trimesh()
    load_embree()
    layout = Layout(Path(out))
    _claim(layout, config)
    if config.lidar is not None:
        write_sensor(layout.sensor, config.lidar)
    counts = config.frame_counts()
    for sequence in counts:
        _write_sequence_files(layout, config, sequence)
    write_description(layout, config)
    todo = [(s, [i for i in range(n) if not _is_complete(layout, s, i)]) for s, n in counts.items()]
    missing = sum(len(frames) for _, frames in todo)
    with progress_bar(missing, unit="frame", name="synthetic drive", enabled=progress) as advance:
        _run(layout, config, _parts(todo, missing, workers), workers, advance)
    return DriveSummary(layout.root, tuple(counts), missing, sum(counts.values()) - missing)


def _claim(layout: Layout, config: DriveConfig) -> None:
    """Record the settings, or compare them with the recorded ones."""
    record = make_folder(layout.root) / RECORD
    if record.is_file():
        try:
            changed = differences(config, parse_json(read_file(record, TEXT_BYTES)))
        except (ValueError, AttributeError) as error:
            raise OutputError(f"{record} is damaged ({error}). Remove {layout.root} and render again.") from error
        if changed:
            raise ConfigError(
                f"{layout.root}: expected a drive with the same settings, found other values of {', '.join(changed)}. "
                "Choose another folder, or remove this one."
            )
    elif any(layout.root.iterdir()):
        raise ConfigError(
            f"{layout.root}: expected an empty folder or a synthetic drive, found other files. Choose a new folder."
        )
    else:
        write_json(record, config.to_json())


def _parts(todo: list[tuple[str, list[int]]], missing: int, workers: int) -> list[tuple[str, list[int]]]:
    """Split frames into parts for the processes: long ones, because each builds a world, but enough for all workers."""
    size = max(_SMALLEST_PART, -(-missing // (2 * workers)))
    return [(s, frames[i : i + size]) for s, frames in todo for i in range(0, len(frames), size)]


_counter: Any = None


def _run(
    layout: Layout,
    config: DriveConfig,
    parts: list[tuple[str, list[int]]],
    workers: int,
    advance: Callable[[int], object],
) -> None:
    if workers == 1 or len(parts) <= 1:
        for sequence, frames in parts:
            for index in frames:
                render_frame(layout, config, sequence, index)
                advance(1)
        return
    context = multiprocessing.get_context("spawn")
    counter, counted = context.Value("l", 0), 0
    before = set(multiprocessing.active_children())
    with ProcessPoolExecutor(min(workers, len(parts)), context, _start_worker, (counter,)) as pool:
        try:
            jobs = [pool.submit(_render_part, layout, config, *part) for part in parts]
            for done in _watch(jobs):
                rendered = counter.value
                advance(rendered - counted)
                counted = rendered
                for job in done:
                    job.result()
        except BrokenProcessPool as error:
            raise OutputError(
                f"a rendering process was killed, perhaps for lack of memory. Use fewer --workers than {workers} and "
                "run the command again: it keeps complete frames."
            ) from error
        except BaseException:
            # A part takes minutes, so a signal does not wait for it. A frame without its last file is rendered again.
            for process in set(multiprocessing.active_children()) - before:
                process.kill()
            pool.shutdown(cancel_futures=True)
            raise
        advance(counter.value - counted)


def _watch(jobs: list[Future[None]]) -> Iterator[set[Future[None]]]:
    """Yield the jobs that have just finished, a few times per second, until all have."""
    left = set(jobs)
    while left:
        done, left = wait(left, timeout=0.2)
        yield done


def _start_worker(counter: Any) -> None:
    """Share the frame counter, ignore Ctrl-C, and exit with the parent process, even if that is killed."""
    global _counter
    _counter = counter
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _render_part(layout: Layout, config: DriveConfig, sequence: str, frames: list[int]) -> None:
    for index in frames:
        render_frame(layout, config, sequence, index)
        with _counter.get_lock():
            _counter.value += 1


def frame_name(index: int) -> str:
    return f"{index:06d}"


def render_frame(layout: Layout, config: DriveConfig, sequence: str, index: int) -> None:
    """Write one frame; the scan comes last and marks the frame as complete."""
    world, name, time = open_world(config, sequence), frame_name(index), index * timing(config, sequence).interval
    pose, caster = world.ego_pose(time), world.caster(time)
    labelled = sequence not in SPLITS["test"]
    for number, camera_name in enumerate(config.cameras):
        rng = np.random.default_rng((config.seed, int(sequence), 2, index, number))
        view, size = camera(config, camera_name), (config.image_height, config.image_width)
        image, semantic, instance = photograph(world, caster, pose, view, height=size[0], width=size[1], rng=rng)
        write_bytes(layout.image(sequence, name, camera_name), _png(image))
        if labelled:
            dense = labels_layout(layout, config)
            write_dense(dense, sequence, name, f"{camera_name}_labels", semantic=semantic, instance=instance)
    points, label = scan_frame(world, caster, config, sequence, index)
    if labelled:
        write_bytes(layout.labels(sequence, name), label.tobytes())
    write_bytes(layout.scan(sequence, name), points.tobytes())


def scan_frame(
    world: World, caster: Caster, config: DriveConfig, sequence: str, index: int
) -> tuple[Float[np.ndarray, "n 4"], np.ndarray]:
    """Render (points with remission, label words) of a frame."""
    rng = np.random.default_rng((config.seed, int(sequence), 3, index))
    pose = world.ego_pose(index * timing(config, sequence).interval)
    return world.scan(caster, pose, rng)


def _is_complete(layout: Layout, sequence: str, index: int) -> bool:
    return layout.scan(sequence, frame_name(index)).is_file()


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _write_sequence_files(layout: Layout, config: DriveConfig, sequence: str) -> None:
    """Write calib.txt, poses.txt and times.txt."""
    plan = timing(config, sequence)
    times = np.arange(plan.frames) * plan.interval
    lines = [f"{name}: {_numbers(matrix)}" for name, matrix in calibration(config).items()]
    write_bytes(layout.calibration(sequence), "".join(f"{line}\n" for line in lines).encode())
    write_bytes(layout.times(sequence), "".join(f"{t:.6e}\n" for t in times).encode())
    lidar_poses = ego_poses(config, sequence)
    _write_poses(layout.poses(sequence), relative_poses(lidar_poses))
    if config.is_described:
        origin = np.linalg.inv(lidar_poses[0])
        _write_poses(layout.sequence(sequence) / POSES, [origin @ pose for pose in lidar_poses])


def _write_poses(path: Path, poses: list[Float[np.ndarray, "4 4"]]) -> None:
    write_bytes(path, "".join(f"{_numbers(pose[:3])}\n" for pose in poses).encode())


def relative_poses(lidar_poses: list[Float[np.ndarray, "4 4"]]) -> list[Float[np.ndarray, "4 4"]]:
    """Convert T_world_velo of each frame to the poses of KITTI: camera 0 relative to camera 0 of the first frame."""
    velo_cam0 = np.linalg.inv(cam0_from_velo())
    origin = np.linalg.inv(lidar_poses[0] @ velo_cam0)
    return [origin @ pose @ velo_cam0 for pose in lidar_poses]


def _numbers(matrix: Float[np.ndarray, "3 4"]) -> str:
    return " ".join(f"{value:.12e}" for value in matrix.ravel())
