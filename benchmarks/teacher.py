"""Time and memory of a training step of SAM ViT-B on a 320 x 1024 crop, compared with the student on a full scan.

    python benchmarks/teacher.py [--rounds 3] [--device cuda] [--bf16]

Steps are interleaved. Prints medians as ratios to the student's step, and the peak memory of one step in a separate
process. Weights are random, which does not change the cost.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import torch
from _timing import conditions, crop, process_memory, scans
from torch import Tensor

from elite.batches import Pixels
from elite.config import AdapterConfig, TeacherConfig
from elite.student import SPVCNN
from elite.teacher import Teacher

SIZE = (320, 1024)
VARIANTS = {
    "AdaLoRA": TeacherConfig(weights="random"),
    "AdaLoRA, recomputed": TeacherConfig(weights="random", checkpointing=True),
    "AdaLoRA from block 6": TeacherConfig(weights="random", adapter=AdapterConfig(first_block=6)),
    "frozen": TeacherConfig(weights="random", adapter=AdapterConfig(method="frozen")),
    "full": TeacherConfig(weights="random", adapter=AdapterConfig(method="full")),
}
PAIRS = 18_000  # of a full scan in one image


def teacher_step(config: TeacherConfig, device: str, precision: torch.dtype) -> Callable[[], None]:
    teacher = Teacher.build(config, stages=4, classes=20, total_steps=1000).to(device).train()
    images = torch.randint(0, 256, (1, 3, *SIZE), dtype=torch.uint8, device=device)
    position = torch.stack([torch.randint(0, n, (PAIRS,)) for n in SIZE], dim=1).to(device)
    pixels = Pixels(torch.zeros(PAIRS, dtype=torch.int64, device=device), position)

    def step() -> None:
        teacher.zero_grad(set_to_none=True)
        with torch.autocast(device, dtype=precision, enabled=precision is not torch.float32):
            logits = teacher.logits_at(teacher(images), pixels, SIZE)
        loss: Tensor = sum(
            (stage.float().square().mean() for stage in logits.stages), logits.multi_stage.float().mean()
        )
        loss.backward()

    return step


def student_step(device: str, precision: torch.dtype) -> Callable[[], None]:
    student = SPVCNN().to(device).train()
    points, remission = (t.to(device) for t in crop(scans(None, 2)[0], student))
    batch_index = torch.zeros(len(points), dtype=torch.int64, device=device)

    def step() -> None:
        student.zero_grad(set_to_none=True)
        with torch.autocast(device, dtype=precision, enabled=precision is not torch.float32):
            logits = student(points, remission, batch_index).logits
        logits.float().square().mean().backward()

    return step


def make(name: str, device: str, precision: torch.dtype) -> Callable[[], None]:
    return student_step(device, precision) if name == "student" else teacher_step(VARIANTS[name], device, precision)


def timed(step: Callable[[], None], device: str) -> float:
    start = time.perf_counter()
    step()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def peak(name: str, device: str) -> float:
    """Peak memory of one step in GiB, of the process or of the GPU."""
    command = [sys.executable, __file__, "--peak", name, "--device", device]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--peak", help="print only the peak memory of one step of this contestant")
    args = parser.parse_args()
    precision = torch.bfloat16 if args.bf16 else torch.float32
    if args.peak:
        make(args.peak, args.device, precision)()
        peak_bytes = torch.cuda.max_memory_allocated() if args.device == "cuda" else process_memory("VmHWM")
        print(peak_bytes / 2**30)
        return
    print(f"{conditions()}\n{args.device}, {precision}; one image of {SIZE[0]} x {SIZE[1]}, one scan")
    names = ["student", *VARIANTS]
    steps = {name: make(name, args.device, precision) for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    for i in range(args.rounds + 1):
        for name, step in steps.items():
            seconds = timed(step, args.device)
            times[name] += [seconds] if i else []  # the first round warms up
    one = median(times["student"])
    for name in names:
        seconds = median(times[name])
        print(
            f"{name:22s} {seconds / one:6.2f} student steps ({seconds:.2f} s)   peak {peak(name, args.device):5.2f} GiB"
        )


if __name__ == "__main__":
    main()
