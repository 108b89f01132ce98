"""Speed of the student's inference, from a scan as it comes, (N, 4) float32, to labels, on the CPU.

    python benchmarks/inference.py [--scans FOLDER] [--rounds 11] [--threads 2]

Against the published style, against spconv with all else ours, and against the floor: the multiplications that the
engine cannot avoid, at the rate at which torch.mm multiplies in the same rounds. See _timing.py for the rules.
"""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from _timing import Gemm, Raw, arguments, conditions, crop, fair_rounds, lively_student, ratio, scans, spread, table
from jaxtyping import Float, Int64
from torch import Tensor

from elite.native import has_bf16, library
from elite.student import SPVCNN
from elite.student.engine import Engine, Precision

PUBLISHED, MIXED, TORCH, FP32, BF16 = "published style", "spconv + our rest", "torch", "engine fp32", "engine bf16"
HONEST = 13.4  # times the floor: the published style as measured before; far above it would be a straw man
GOALS = {FP32: (11.0, 2.7, 1.25), BF16: (18.0, 4.5, 1.6)}  # over published, over mixed, latency / floor


class ByEngine:
    """Raw scan -> labels; what part of the time each call took for the geometry is kept."""

    def __init__(self, student: SPVCNN, precision: Precision) -> None:
        self.student, self.engine = student, Engine(student, precision)
        self.geometry_seconds: list[float] = []

    def __call__(self, raw: Raw) -> Tensor:
        points, remission = crop(raw, self.student)
        start = time.perf_counter()
        prepared = self.engine.prepare(points)
        self.geometry_seconds.append(time.perf_counter() - start)
        logits, of_point = self.engine.logits(points, remission, prepared)
        return labels(logits)[of_point]


def labels(logits: Float[Tensor, "n classes"]) -> Int64[Tensor, "n"]:
    """Class 0 is never an answer."""
    return logits[:, 1:].argmax(dim=1) + 1


def macs_of(points: Tensor, student: SPVCNN) -> dict[str, int]:
    """Multiplications that the engine executes for a scan, by where."""
    prepared, c = Engine(student).prepare(points), student.config.channels
    levels = prepared.geometry.levels
    fine, coarse = sum(map(len, levels[:-1])), sum(map(len, levels[1:]))
    # Each pair serves both ways, and each voxel is its own neighbour.
    pairs = sum(2 * int(prepared.pairs(i).count.sum()) for i in range(len(levels) - 1)) + fine
    blocks, h, classes = sum(b.groups for b in prepared.geometry.blocks), c // 2, student.config.classes
    return {
        "3x3x3 convolutions": 4 * pairs * c * c,
        "shortcuts": 2 * fine * c * c,
        "point MLP": len(points) * 10 * c + len(levels[0]) * c * c,
        "point branch": 2 * fine * c * c + blocks * (c * h + h * h + h * c + c * c) + coarse * c * c,
        "classifier": coarse * c * 2 * c + prepared.geometry.point_groups.groups * 2 * c * classes,
    }


def contestants(student: SPVCNN, raw: Raw) -> dict[str, Callable[[Raw], Tensor]]:
    """Raw scan -> labels of the points inside the volume; the rivals too, if spconv is installed."""

    def of(logits: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Raw], Tensor]:
        return lambda raw: labels(logits(*crop(raw, student)))

    plain = SPVCNN.from_config(student.config).eval()
    plain.load_state_dict(student.state_dict())
    plain.backend = "torch"
    made = {TORCH: of(lambda p, r: plain(p, r, _one_scan(p)).logits), FP32: ByEngine(student, "fp32")}
    if has_bf16():
        made[BF16] = ByEngine(student, "bf16")
    try:
        from reference_student import ReferenceStudent, SpconvAndOurs
    except ImportError:
        print("spconv is not installed: no rivals (pip install spconv)")
        return made
    reference = ReferenceStudent(student).eval()
    published = of(lambda p, r: reference(p, r, _one_scan(p)))
    check(published, made[TORCH], raw)
    return {PUBLISHED: published, MIXED: of(SpconvAndOurs(student))} | made


def check(published: Callable[[Raw], Tensor], ours: Callable[[Raw], Tensor], raw: Raw) -> None:
    """The published style computes what ours does, on one thread; on more, spconv's sums race."""
    answer, threads = ours(raw), torch.get_num_threads()
    for count in sorted({1, threads}):
        torch.set_num_threads(count)  # spconv shares torch's OpenMP
        share, classes = float((published(raw) == answer).float().mean()), len(answer.unique())
        print(f"published style on {count} thread(s): {100 * share:.3f} % of labels as ours, {classes} classes")
        if count == 1 and (share < 0.999 or classes < 5):
            raise SystemExit("the published style does not compute what ours does: nothing to compare.")
    torch.set_num_threads(threads)


def _one_scan(points: Tensor) -> Tensor:
    return points.new_zeros(len(points), dtype=torch.int64)


@torch.inference_mode()
def main(folder: Path | None, count: int) -> None:
    if library() is None:
        raise SystemExit("the native kernels are not there; reinstall elite with a C++ compiler.")
    told = conditions()
    clouds = scans(folder, count + 1)
    student = lively_student(clouds[0])
    print(told)
    points = [crop(raw, student)[0] for raw in clouds]
    print(
        f"{len(clouds)} {'rendered' if folder is None else 'real'} scans of "
        f"{min(map(len, points)):,} to {max(map(len, points)):,} points in the volume, {count} rounds"
    )
    running = contestants(student, clouds[0])
    agree(running, clouds[0])
    gemms = {FP32: Gemm(torch.float32), BF16: Gemm(torch.bfloat16)}
    if BF16 not in running:
        del gemms[BF16]
    seconds = fair_rounds(running | {f"gemm of {name}": gemm for name, gemm in gemms.items()}, clouds, count)
    each = [macs_of(p, student) for p in points]
    report(running, seconds, gemms, [sum(each[(i + 1) % len(each)].values()) for i in range(count)], each[0])


def agree(running: dict[str, Callable[[Raw], Tensor]], raw: Raw) -> None:
    """How many labels of each are those of the engine in fp32."""
    ours = running[FP32](raw)
    shares = {name: float((run(raw) == ours).float().mean()) for name, run in running.items() if name != FP32}
    print("labels as the engine's in fp32: " + ", ".join(f"{n} {100 * s:.2f} %" for n, s in shares.items()))


def report(
    running: dict[str, Callable], seconds: dict[str, list[float]], gemms: dict[str, Gemm], macs: list[int], one: dict
) -> None:
    lines = []
    for name in running:
        over = [spread(seconds[name], seconds[e]) if name != e else "1" for e in gemms]
        lines.append([name, f"{1000 * median(seconds[name]):.0f}", f"{1000 * min(seconds[name]):.0f}", *over])
    header = ["raw scan to labels", "median ms", "best ms", *(f"over {e} (lowest-highest)" for e in gemms)]
    print("\n" + table(header, lines))
    parts = ", ".join(f"{name} {1e-9 * n:.2f}" for name, n in one.items())
    print(f"\nmultiplications of the engine, first scan: {1e-9 * sum(one.values()):.2f} GMAC ({parts})")
    for name, gemm in gemms.items():
        floors, engine = gemm.floors(macs), running[name]
        assert isinstance(engine, ByEngine)
        share = 100 * ratio(engine.geometry_seconds[-len(macs) :], seconds[name])
        best = min(seconds[name]) / min(floors)
        print(
            f"{name}: torch.mm at best {gemm.giga_flops():.0f} GFLOP/s, floor {1000 * median(floors):.0f} ms, "
            f"latency / floor {spread(seconds[name], floors)}, best / best {best:.2f}, geometry {share:.1f} %"
        )
        _verdict(name, seconds, floors, share)
    if PUBLISHED in running:
        slow = ratio(seconds[PUBLISHED], gemms[FP32].floors(macs))
        kind = "MORE THAN 20 % SLOWER: a straw man" if slow > 1.2 * HONEST else "no straw man"
        print(f"published style / floor: {slow:.1f} (measured before: {HONEST}; {kind})")


def _verdict(name: str, seconds: dict[str, list[float]], floors: list[float], geometry: float) -> None:
    published, mixed, floor = GOALS[name]
    told = []
    if PUBLISHED in seconds:
        for rival, goal in ((PUBLISHED, published), (MIXED, mixed)):
            found = ratio(seconds[rival], seconds[name])
            told.append(f"{found:.2f} x {rival} (>= {goal}: {'met' if found >= goal else 'MISSED'})")
    found = ratio(seconds[name], floors)
    told.append(f"{found:.2f} x floor (<= {floor}: {'met' if found <= floor else 'MISSED'})")
    told.append(f"geometry {geometry:.1f} % (< 12: {'met' if geometry < 12 else 'MISSED'})")
    print("   goals: " + ", ".join(told))


if __name__ == "__main__":
    given = arguments(__doc__, rounds=11)
    main(given.scans, given.rounds)
