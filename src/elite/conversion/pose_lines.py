"""Lines of ``poses.txt``."""

import numpy as np

from elite.conversion.journal import Journal
from elite.rotations import to_quaternion
from elite.shapes import Float64


def pose_row(stamp: int, pose: Float64[np.ndarray, "4 4"]) -> list[float]:
    """Numbers of a pose: time (ns), x y z, qx qy qz qw."""
    return [stamp, *pose[:3, 3].tolist(), *to_quaternion(pose[:3, :3]).tolist()]


def pose_lines(journal: Journal) -> str:
    """Lines of ``poses.txt``: time (s), x y z, qx qy qz qw."""
    rows = {int(row[0]) // 1000: row for entry in journal.entries for row in entry.poses}  # microseconds
    lines = []
    for time in sorted(rows):
        seconds, rest = divmod(time, 10**6)
        lines.append(f"{seconds}.{rest:06d} " + " ".join(f"{value:.9f}" for value in rows[time][1:]))
    return "\n".join(lines) + "\n"
