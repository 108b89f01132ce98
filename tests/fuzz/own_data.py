"""Valid files of own data sets, and the calls of their readers, for fuzzing."""

import io
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import yaml

from elite.datasets import open_dataset
from elite.datasets.described.id_files import read_ids
from elite.datasets.described.poses import read_pose_table
from elite.datasets.described.times import read_times
from elite.errors import DataError
from elite.point_files import PointFields, encode_points, read_point_file
from examples.tram_reader import Trams
from tests.fuzz.files import changed, remembered
from tests.support.trams import DRIVES, TRAMS_YAML, write_trams

POINTS = 40
_COLUMNS = ("x", "y", "z", "remission")


def make_point_files(folder: Path) -> list[Path]:
    import laspy

    rng = np.random.default_rng(0)
    values = {name: rng.normal(0, 9, POINTS).astype(np.float32) for name in ("x", "y", "z", "intensity")}
    values["ring"] = np.arange(POINTS, dtype=np.uint16)
    points = PointFields(values, (POINTS,))
    for suffix in (".npy", ".pcd", ".ply"):
        (folder / f"a{suffix}").write_bytes(encode_points(points, suffix))
    text = (folder / "a.ply").read_bytes().split(b"end_header\n")[0].replace(b"binary_little_endian", b"ascii")
    rows = "\n".join(" ".join(f"{v[i]:g}" for v in values.values()) for i in range(POINTS))
    (folder / "text.ply").write_bytes(text + b"end_header\n" + rows.encode() + b"\n")
    header = (folder / "a.pcd").read_bytes().split(b"DATA")[0]
    (folder / "text.pcd").write_bytes(header + b"DATA ascii\n" + rows.encode() + b"\n")
    np.savez_compressed(folder / "a.npz", **values)
    for name, packed, point_format in (
        ("a.las", False, 0),
        ("a.laz", True, 0),
        ("new.las", False, 6),
        ("new.laz", True, 6),
    ):
        las = laspy.create(point_format=point_format)
        las.x, las.y, las.z = (np.round(values[axis], 2) for axis in "xyz")
        file = io.BytesIO()
        las.write(file, do_compress=packed, laz_backend=laspy.LazBackend.Lazrs if packed else None)
        (folder / name).write_bytes(file.getvalue())
    return remembered(*sorted(folder.glob("*.*")))


def use_point_files(folder: Path) -> None:
    """Check that readable files have fields of one length."""
    for path in changed(*sorted(folder.glob("*.*"))):
        points = read_point_file(path, _COLUMNS)
        assert all(len(values) == len(points) for values in points.values.values())


def make_described(folder: Path) -> list[Path]:
    write_trams(folder)
    for name in ("harbour", "market", "elite"):
        shutil.rmtree(folder / name)
    (folder / "dataset.yaml").write_text(yaml.safe_dump({k: v for k, v in TRAMS_YAML.items() if k != "val"}))
    return [folder / "dataset.yaml"]


def use_described(folder: Path) -> None:
    dataset = open_dataset(folder / "dataset.yaml")
    scan = dataset.scan(0)
    assert np.isfinite(scan.points).all()
    dataset.labels(0)
    dataset.frame_cameras(0)


def make_tables(folder: Path) -> list[Path]:
    (folder / "times.csv").write_text("name,time\n" + "".join(f"{i:03d},{1e9 + i / 10}\n" for i in range(20)))
    (folder / "poses.txt").write_text("".join(f"{1 + i / 10} {i} 0 0 0 0 0 1\n" for i in range(20)))
    np.save(folder / "ids.npy", np.arange(POINTS, dtype=np.uint8))
    return [folder / "times.csv", folder / "poses.txt", folder / "ids.npy"]


def use_tables(folder: Path) -> None:
    """Times, poses and ids of points; a damaged file must not hide the others."""
    names = [f"{i:03d}" for i in range(20)]
    for read in (
        lambda: read_times("times.csv", folder, names),
        lambda: read_pose_table(folder / "poses.txt").at(1.55),
        lambda: read_ids(folder / "ids.npy", folder / "scan.bin", POINTS),
    ):
        try:
            read()
        except DataError:
            continue


def make_reader(folder: Path) -> list[Path]:
    drive = write_trams(folder) / "depot"
    name = DRIVES["depot"][0]
    return [drive / "scans" / f"{name}.npy", drive / "labels" / f"{name}.npy", drive / "drive.json"]


def use_reader(folder: Path) -> None:
    """Other errors than those of damaged files are the reader's own: here, of JSON that has another structure."""
    with suppress(TypeError, AttributeError, IndexError):
        dataset = Trams(folder, "depot", frames="0")
        _ = dataset[0], dataset.pose(0)
