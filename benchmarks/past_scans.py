"""Time of the student's inference with the points of past scans, from a scan in memory to its labels, on the CPU.

    python benchmarks/past_scans.py [--rounds 9] [--threads 1]

Scans of a rendered street, 0.1 s apart. Each round runs students with 0, 1, 2 and 4 past scans on the same scan.
``_timing.py`` describes the method.
"""

from collections.abc import Callable
from statistics import fmean, median

import numpy as np
from _timing import arguments, conditions, fair_rounds, spread, table

from elite.datasets.past_scans import ScanHistory
from elite.inference import Segmenter
from elite.student import SPVCNN
from elite.student.transfer import with_past_scans
from elite.synthetic import DriveConfig
from elite.synthetic.build import open_world
from elite.types import Scan

COUNTS = (0, 1, 2, 4)
INTERVAL = 0.1  # seconds
SCANS = 4


def rendered(count: int) -> list[tuple[Scan, np.ndarray, float]]:
    """Successive scans of a street with pose and time."""
    world, found = open_world(DriveConfig(sequences=1, frames=40), "00"), []
    for i in range(count):
        time = 5 + INTERVAL * i
        pose = world.ego_pose(time)
        points, _ = world.scan(world.caster(time), pose, np.random.default_rng(i))
        points = points.astype(np.float32)
        found.append((Scan(np.ascontiguousarray(points[:, :3]), points[:, 3].copy()), pose, time))
    return found


def with_history(moments: list[tuple[Scan, np.ndarray, float]], count: int) -> list[Scan]:
    """The last scans with the points of ``count`` past ones."""
    history = ScanHistory(count)
    return [history.add(*moment) for moment in moments][-SCANS:]


def contestant(student: SPVCNN, scans: list[Scan]) -> Callable[[int], object]:
    segmenter = Segmenter(student, report=lambda _: None)
    return lambda i: segmenter.segment(scans[i])


def main(rounds: int) -> None:
    print(conditions())
    moments = rendered(max(COUNTS) + SCANS)
    scans = {count: with_history(moments, count) for count in COUNTS}
    student = SPVCNN().eval()
    students = {count: with_past_scans(student, count).eval() if count else student for count in COUNTS}
    running = {str(count): contestant(students[count], scans[count]) for count in COUNTS}
    seconds = fair_rounds(running, range(SCANS), rounds)
    lines = []
    for count in COUNTS:
        own, points = seconds[str(count)], fmean(len(scan) + len(scan.past or ()) for scan in scans[count])
        over = spread(own, seconds["0"]) if count else "1"
        lines.append([str(count), f"{points:,.0f}", f"{1000 * median(own):.0f}", over])
    print("\n" + table(["past scans", "points", "median ms", "over 0 (lowest-highest)"], lines))


if __name__ == "__main__":
    main(arguments(__doc__, rounds=9, files=False).rounds)
