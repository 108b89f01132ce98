"""Time and memory of opening nuScenes: tables of v1.0-trainval's size, their compact copy, and all its frames.

The tables are made up: as many rows as the data set has, each as long as its rows are, in their official layout. Their
files are empty. Each opening is a process of its own, measured without its imports.

    python benchmarks/nuscenes_tables.py --out /tmp/tables
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

SAMPLES = 34_149
SCENES = 850
# Rows of sample_data of a channel for each sample: the keyframe, and those before the next one (20, 12 and 13 Hz).
CHANNELS = {
    "LIDAR_TOP": 10,
    **dict.fromkeys([f"CAM_{side}" for side in ("FRONT", "BACK", "FRONT_LEFT", "FRONT_RIGHT", "BACK_LEFT")], 6),
    "CAM_BACK_RIGHT": 6,
    **dict.fromkeys([f"RADAR_{side}" for side in ("FRONT", "FRONT_LEFT", "FRONT_RIGHT", "BACK_LEFT")], 6),
    "RADAR_BACK_RIGHT": 7,
}
SWEEPS = sum(CHANNELS.values())
POSE = '"rotation": [0.5720320396729045, -0.0016977771610471074, 0.011798001930183783, -0.8201446642457809]'
LOG = "n015-2018-07-24-11-22-45+0800"


def write_tables(folder: Path, samples: int) -> int:
    """Write the tables. Returns the number of rows of sample_data."""
    folder.mkdir(parents=True, exist_ok=True)
    scenes = max(samples * SCENES // SAMPLES, 1)
    scene_of = [sample * scenes // samples for sample in range(samples)]
    firsts = [scene_of.index(scene) for scene in range(scenes)]
    counts = [end - first for first, end in zip(firsts, [*firsts[1:], samples], strict=True)]
    _write(folder / "sensor.json", ({"token": _token(1, c), "channel": n} for c, n in enumerate(CHANNELS)))
    _write(
        folder / "calibrated_sensor.json",
        (
            {
                "token": _token(2, scene * 100 + c),
                "sensor_token": _token(1, c),
                "translation": [1.70079118954, 0.0159456324149, 1.51095763913],
                "rotation": [0.4998015430569128, -0.5030316162024876, 0.4997798114386805, -0.49737083824542755],
                "camera_intrinsic": [[1266.417203046554, 0.0, 816.2670197447984], [0.0, 1266.4, 491.5], [0, 0, 1]],
            }
            for scene in range(scenes)
            for c in range(len(CHANNELS))
        ),
    )
    _write(
        folder / "scene.json",
        (
            {"token": _token(3, i), "name": f"scene-{i:04d}", "nbr_samples": n, "first_sample_token": _token(4, first)}
            for i, (first, n) in enumerate(zip(firsts, counts, strict=True))
        ),
    )
    _write(
        folder / "sample.json",
        (
            {
                "token": _token(4, i),
                "timestamp": 1532402927647951 + 500_000 * i,
                "prev": "",
                "next": _token(4, i + 1) if scene_of[i + 1 : i + 2] == [scene_of[i]] else "",
                "scene_token": _token(3, scene_of[i]),
            }
            for i in range(samples)
        ),
    )
    for kind, end in (("lidarseg", "lidarseg.bin"), ("panoptic", "panoptic.npz")):
        tokens = [_token(5, sample * SWEEPS) for sample in range(samples)]
        _write(
            folder / f"{kind}.json",
            ({"token": t, "sample_data_token": t, "filename": f"{kind}/v1.0-trainval/{t}_{end}"} for t in tokens),
        )
    from elite.datasets.nuscenes.categories import CATEGORIES

    _write(folder / "category.json", ({"token": n, "name": n, "index": i} for i, n in enumerate(CATEGORIES)))
    _write_lines(folder / "sample_data.json", _sample_data(samples, scene_of))
    _write_lines(folder / "ego_pose.json", _ego_poses(samples * SWEEPS))
    return samples * SWEEPS


def _token(kind: int, number: int) -> str:
    return f"{kind:04x}{number:028x}"


def _write(path: Path, rows: Iterable[dict[str, object]]) -> None:
    path.write_text(json.dumps(list(rows), indent=0))


def _write_lines(path: Path, rows: Iterable[str]) -> None:
    with path.open("w") as file:
        file.write("[\n")
        for i, row in enumerate(rows):
            file.write(f",\n{row}" if i else row)
        file.write("\n]")


def _sample_data(samples: int, scene_of: list[int]) -> Iterator[str]:
    number = 0
    for sample in range(samples):
        for c, (channel, count) in enumerate(CHANNELS.items()):
            end = "jpg" if channel.startswith("CAM") else "pcd.bin" if channel.startswith("LIDAR") else "pcd"
            for step in range(count):
                token, time_us = _token(5, number), 1532402927647951 + 500_000 * sample + 50_000 * step
                folder, is_key = ("sweeps", "false") if step else ("samples", "true")
                yield (
                    f'{{\n"token": "{token}",\n"sample_token": "{_token(4, sample)}",\n"ego_pose_token": "{token}",\n'
                    f'"calibrated_sensor_token": "{_token(2, scene_of[sample] * 100 + c)}",\n"timestamp": {time_us},\n'
                    f'"fileformat": "{end[-3:]}",\n"is_key_frame": {is_key},\n"height": 900,\n"width": 1600,\n'
                    f'"filename": "{folder}/{channel}/{LOG}__{channel}__{time_us}.{end}",\n'
                    f'"prev": "{_token(5, max(number - 1, 0))}",\n"next": "{_token(5, number + 1)}"\n}}'
                )
                number += 1


def _ego_poses(count: int) -> Iterator[str]:
    for i in range(count):
        yield (
            f'{{\n"token": "{_token(5, i)}",\n"timestamp": {1532402927647951 + 6_000 * i},\n{POSE},\n'
            f'"translation": [{411.3039349319818 + i * 1e-4}, {1180.8903765097 + i * 1e-5}, 0.0]\n}}'
        )


def write_files(root: Path) -> None:
    """Write an empty file for each scan and image of a keyframe."""
    from elite.datasets.nuscenes.table_cache import open_tables

    for channel in ("LIDAR_TOP", *(name for name in CHANNELS if name.startswith("CAM"))):
        (root / "samples" / channel).mkdir(parents=True, exist_ok=True)
    for name in open_tables(root / "v1.0-trainval").keyframes.files.ravel():
        (root / name.decode()).touch()


def measure(root: Path, kind: str) -> None:
    """Print what opening the tables, or the data set, costs this process."""
    from elite.datasets.nuscenes import NuScenes
    from elite.datasets.nuscenes.table_cache import open_tables

    began, imported = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    opened = NuScenes(root) if kind == "data set" else open_tables(root / "v1.0-trainval")
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime - imported.ru_utime - imported.ru_stime
    print(
        f"{kind}: {len(opened):,} keyframes in {cpu:.1f} s of processor, {time.perf_counter() - began:.1f} s in all, "
        f"peak {used.ru_maxrss / 2**20:.2f} GiB ({imported.ru_maxrss / 2**20:.2f} GiB of it before)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for 2.2 GB of tables")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="keyframes (default: those of v1.0-trainval)")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        measure(given.out, given.child)
        return
    folder = given.out / "v1.0-trainval"
    rows = write_tables(folder, given.samples)
    size = sum(path.stat().st_size for path in folder.glob("*.json"))
    print(f"{rows:,} rows of sample_data; {size / 1e9:.2f} GB of tables", flush=True)
    for kind in ("tables", "compact copy", "data set"):
        if kind == "data set":
            write_files(given.out)
        subprocess.run([sys.executable, __file__, "--out", str(given.out), "--child", kind], check=True)
    print(f"compact copy: {(folder / 'elite-keyframes.cache').stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
