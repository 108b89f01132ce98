"""Tiny data sets in SemanticKITTI's layout, and scans in all formats."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from elite.datasets.dense_labels import write_dense
from elite.layout import Layout
from elite.point_files import PointFields, encode_points

CALIBRATION = """\
P0: 700 0 600 0 0 700 180 0 0 0 1 0
P1: 700 0 600 -380 0 700 180 0 0 0 1 0
P2: 700 0 600 45 0 700 180 0 0 0 1 0
P3: 700 0 600 -330 0 700 180 0 0 0 1 0
Tr: 0 -1 0 0 0 0 -1 -0.08 1 0 0 -0.27
"""

RAW_IDS = np.array([10, 11, 15, 18, 20, 30, 31, 32, 40, 44, 48, 49, 50, 51, 70, 71, 72, 80, 81, 0, 252], np.uint32)


def write_frame(root: Path, sequence: str, name: str, points: np.ndarray, labels: np.ndarray | None = None) -> None:
    """Write one scan (n, 4) and its raw label words (n,) in SemanticKITTI's layout."""
    folder = root / "sequences" / sequence
    for sub in ("velodyne", "labels"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    (folder / "calib.txt").write_text(CALIBRATION)
    points.astype("<f4").tofile(folder / "velodyne" / f"{name}.bin")
    if labels is not None:
        labels.astype("<u4").tofile(folder / "labels" / f"{name}.label")


def random_scan(rng: np.random.Generator, n: int = 500) -> np.ndarray:
    """Random points with remission (n, 4) on uneven ground around the sensor; some lie outside the volume."""
    xy = rng.uniform(-60, 60, (n, 2))
    z = rng.normal(-1.5, 0.3, (n, 1))
    return np.hstack([xy, z, rng.uniform(0, 1, (n, 1))]).astype(np.float32)


def scan_file(suffix: str, rows: np.ndarray) -> bytes:
    """Contents of a file with these points and remissions (n, 4)."""
    file, suffix = io.BytesIO(), Path(f"scan{suffix}").suffix.lower()
    match suffix:
        case ".bin":
            return rows.astype("<f4").tobytes()
        case ".npz":
            np.savez_compressed(file, points=rows)
        case ".las" | ".laz":
            import laspy

            las = laspy.create(point_format=0)
            las.header.scales = np.full(3, 0.001)
            las.x, las.y, las.z = rows[:, :3].T
            las.intensity = rows[:, 3]
            las.write(file, do_compress=suffix == ".laz", laz_backend=laspy.LazBackend.Lazrs)
        case _:
            names = ("x", "y", "z", "intensity")
            return encode_points(PointFields(dict(zip(names, rows.T, strict=True)), (len(rows),)), suffix)
    return file.getvalue()


def write_tiny_kitti(root: Path) -> Path:
    """Write two labelled scans to 00, one to 08, and one unlabelled scan to each of 11..21."""
    rng = np.random.default_rng(0)
    for sequence, names in {"00": ["000000", "000001"], "08": ["000000"]}.items():
        for name in names:
            points = random_scan(rng)
            write_frame(root, sequence, name, points, rng.choice(RAW_IDS, len(points)) | (7 << 16))
    for number in range(11, 22):
        write_frame(root, f"{number}", "000000", random_scan(rng, 60))
    return root


def write_drive(root: Path, scans: int, scored: int = 2) -> None:
    """Write random scans with labels, images and pseudo-labels: ``scans`` to 00 and ``scored`` to 08."""
    rng, layout = np.random.default_rng(0), Layout(root)
    for sequence, number in (("00", scans), ("08", scored)):
        for i in range(number):
            points = random_scan(rng)
            write_frame(root, sequence, f"{i:06d}", points, rng.choice(RAW_IDS, len(points)) | (i + 1 << 16))
            image = layout.image(sequence, f"{i:06d}", "image_2")
            image.parent.mkdir(exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (376, 1241, 3), np.uint8)).save(image, compress_level=1)
            ids = rng.choice(RAW_IDS, (376, 1241)).astype(np.uint16)
            write_dense(layout, sequence, f"{i:06d}", "image_2_pseudo", semantic=ids, instance=ids)
