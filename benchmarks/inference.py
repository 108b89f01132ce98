"""Time of the student's inference, from a raw scan (N, 4) float32 to labels, on the CPU.

    python benchmarks/inference.py [--scans FOLDER] [--rounds 11] [--threads 2] [--engines]

Compared with the published style, with spconv's convolutions in our student, and with the floor: the time of the
engine's multiplications at the rate of torch.mm in the same rounds. ``_timing.py`` describes the method.
"""

from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from _timing import Gemm, Raw, arguments, conditions, crop, fair_rounds, ratio, scans, spread, table, varied_student
from jaxtyping import Float, Int64
from torch import Tensor

from elite.native import Precision, library, multiplies
from elite.native.loader import opened
from elite.sparse import Neighbours, build_geometry
from elite.sparse.native_conv import NativeKernelMap
from elite.student import SPVCNN
from elite.student.engine import PRECISIONS, Engine

PUBLISHED, MIXED, TORCH = "published style", "spconv + ours", "torch"
FP32, BF16, INT8 = "engine fp32", "engine bf16", "engine int8"
GEMMS = {FP32: torch.float32, BF16: torch.bfloat16, INT8: torch.int8}
EXPECTED = 13.4  # published style / floor, from earlier runs; a much higher value would be an unfair baseline
GOALS = {FP32: {PUBLISHED: 11.0, MIXED: 2.7}, BF16: {PUBLISHED: 18.0, MIXED: 4.5}, INT8: {BF16: 1.3}}  # least ratios
FLOOR_GOALS = {FP32: 1.25, BF16: 1.6}  # latency / floor


class ByEngine:
    """Raw scan to labels by the engine; records the seconds of the geometry of each call."""

    def __init__(self, student: SPVCNN, precision: Precision) -> None:
        self.student, self.engine = student, Engine(student, precision)
        self.geometry_seconds: list[float] = []

    def __call__(self, raw: Raw) -> Tensor:
        logits, of_point, geometry_s = self.engine(*(values.numpy() for values in crop(raw, self.student)))
        self.geometry_seconds.append(geometry_s)
        return labels(torch.from_numpy(logits))[torch.from_numpy(of_point)]


def labels(logits: Float[Tensor, "n classes"]) -> Int64[Tensor, "n"]:
    """Predicted classes; class 0 is never predicted."""
    return logits[:, 1:].argmax(dim=1) + 1


def macs_of(points: Tensor, student: SPVCNN) -> dict[str, int]:
    """Multiplications of the engine for a scan, by layer."""
    batch_index, c = _one_scan(points), student.config.channels
    geometry = build_geometry(points, batch_index, student.grid, student.config.strides, "native")
    levels = geometry.levels
    fine, coarse = sum(map(len, levels[:-1])), sum(map(len, levels[1:]))
    # Each pair counts in both directions, and each voxel is its own neighbour.
    pairs = sum(2 * int(_native(n).neighbour_pairs.count.sum()) for n in geometry.neighbours) + fine
    blocks, h, classes = sum(b.group_count for b in geometry.blocks), c // 2, student.config.classes
    return {
        "3x3x3 convolutions": 4 * pairs * c * c,
        "shortcuts": 2 * fine * c * c,
        "point MLP": len(points) * 10 * c + len(levels[0]) * c * c,
        "point branch": 2 * fine * c * c + blocks * (c * h + h * h + h * c + c * c) + coarse * c * c,
        "classifier": coarse * c * 2 * c + geometry.point_groups.group_count * 2 * c * classes,
    }


def _native(neighbours: Neighbours) -> NativeKernelMap:
    assert isinstance(neighbours, NativeKernelMap)  # the volume bounds the keys
    return neighbours


def engines(student: SPVCNN) -> dict[str, Callable[[Raw], Tensor]]:
    """The engine in each precision; where AMX multiplies bf16 and int8, also without it."""
    made: dict[str, Callable[[Raw], Tensor]] = {
        f"engine {name}": ByEngine(student, name) for name in PRECISIONS if multiplies(name)
    }
    if opened().elite_instructions() == b"avx512amx":
        opened().elite_limit(b"avx512bf16")  # an engine keeps the kernels that it starts with
        made |= {f"{name} without AMX": ByEngine(student, name.split()[1]) for name in (BF16, INT8)}  # type: ignore[arg-type]
        opened().elite_limit(b"avx512amx")
    return made


def contestants(student: SPVCNN, raw: Raw) -> dict[str, Callable[[Raw], Tensor]]:
    """Functions from a raw scan to the labels inside the volume; those with spconv only if it is installed."""

    def of(logits: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Raw], Tensor]:
        return lambda raw: labels(logits(*crop(raw, student)))

    plain = SPVCNN.from_config(student.config).eval()
    plain.load_state_dict(student.state_dict())
    plain.backend = "torch"
    made = {TORCH: of(lambda p, r: plain(p, r, _one_scan(p)).logits)} | engines(student)
    try:
        from reference_student import ReferenceStudent, SpconvAndOurs
    except ImportError:
        print("spconv: not installed, so its rows are missing. Run pip install spconv.")
        return made
    reference = ReferenceStudent(student).eval()
    published = of(lambda p, r: reference(p, r, _one_scan(p)))
    check(published, made[TORCH], raw)
    return {PUBLISHED: published, MIXED: of(SpconvAndOurs(student))} | made


def check(published: Callable[[Raw], Tensor], ours: Callable[[Raw], Tensor], raw: Raw) -> None:
    """Check that the published style has our result on one thread; with more, the order of spconv's sums varies."""
    expected, threads = ours(raw), torch.get_num_threads()
    for count in sorted({1, threads}):
        torch.set_num_threads(count)  # spconv shares torch's OpenMP
        share, classes = float((published(raw) == expected).float().mean()), len(expected.unique())
        print(f"published style on {count} thread(s): {100 * share:.3f} % equal labels, {classes} classes")
        if count == 1 and (share < 0.999 or classes < 5):
            raise SystemExit("published style: expected the same labels as ours on one thread, found others.")
    torch.set_num_threads(threads)


def _one_scan(points: Tensor) -> Tensor:
    return points.new_zeros(len(points), dtype=torch.int64)


@torch.inference_mode()
def main(folder: Path | None, count: int, only_engines: bool) -> None:
    if library() is None:
        raise SystemExit("native kernels: not available. Reinstall elite with a C++ compiler.")
    description = conditions()
    clouds = scans(folder, count + 1)
    student = varied_student(clouds[0])
    print(description)
    points = [crop(raw, student)[0] for raw in clouds]
    print(
        f"{len(clouds)} {'rendered' if folder is None else 'real'} scans of "
        f"{min(map(len, points)):,} to {max(map(len, points)):,} points in the volume, {count} rounds"
    )
    running: dict[str, Callable[[Raw], Tensor]] = engines(student)
    if not only_engines:
        running = contestants(student, clouds[0])
    print_agreement(running, clouds[0])
    gemms = {name: Gemm(dtype) for name, dtype in GEMMS.items() if name in running}
    seconds = fair_rounds(running | {f"gemm of {name}": gemm for name, gemm in gemms.items()}, clouds, count)
    each = [macs_of(p, student) for p in points]
    report(running, seconds, gemms, [sum(each[(i + 1) % len(each)].values()) for i in range(count)], each[0])


def print_agreement(running: dict[str, Callable[[Raw], Tensor]], raw: Raw) -> None:
    """Print the share of labels that agree with the engine in fp32."""
    ours = running[FP32](raw)
    shares = {name: float((run(raw) == ours).float().mean()) for name, run in running.items() if name != FP32}
    print("labels equal to the engine in fp32: " + ", ".join(f"{n} {100 * s:.2f} %" for n, s in shares.items()))


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
            f"{name}: matrix product at best {gemm.giga_flops():.0f} GFLOP/s, floor {1000 * median(floors):.0f} ms, "
            f"latency / floor {spread(seconds[name], floors)}, best / best {best:.2f}, geometry {share:.1f} %"
        )
        _verdict(name, seconds, floors, share)
    if PUBLISHED in running:
        slow = ratio(seconds[PUBLISHED], gemms[FP32].floors(macs))
        kind = "MORE THAN 20 % SLOWER, an unfair baseline" if slow > 1.2 * EXPECTED else "a fair baseline"
        print(f"published style / floor: {slow:.1f} (earlier runs: {EXPECTED}; {kind})")


def _verdict(name: str, seconds: dict[str, list[float]], floors: list[float], geometry: float) -> None:
    verdicts = []
    for other, goal in GOALS[name].items():
        if other in seconds:
            found = ratio(seconds[other], seconds[name])
            verdicts.append(f"{found:.2f} x {other} (>= {goal}: {'met' if found >= goal else 'MISSED'})")
    if name in FLOOR_GOALS:
        found, goal = ratio(seconds[name], floors), FLOOR_GOALS[name]
        verdicts.append(f"{found:.2f} x floor (<= {goal}: {'met' if found <= goal else 'MISSED'})")
        verdicts.append(f"geometry {geometry:.1f} % (< 12: {'met' if geometry < 12 else 'MISSED'})")
    print("   goals: " + ", ".join(verdicts))


if __name__ == "__main__":
    given = arguments(__doc__, rounds=11, flags={"--engines": "compare the engine's precisions only"})
    main(given.scans, given.rounds, given.engines)
