"""Time and memory of a training step on the CPU: forward, cross entropy, backward and SGD for one scan.

    python benchmarks/training_step.py [--scans FOLDER] [--rounds 5] [--threads 2]

Compares the published style (its modules, spconv's gradients) with ours in torch and with the native kernels. Memory
is the peak above the memory before the first step, in a separate process each.
"""

from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from _timing import (
    Raw,
    arguments,
    conditions,
    crop,
    fair_rounds,
    given_clouds,
    memory_above,
    memory_of,
    ratio,
    scans,
    spread,
    table,
    varied_student,
)
from torch import Tensor, nn

from elite.native import library
from elite.student import SPVCNN

PUBLISHED, TORCH, NATIVE = "published style", "torch", "native"
GOAL, MEMORY_GOAL = 5.0, 0.65  # published / native in time; native / torch in memory
STEPS = 2  # on two scans, for the peak memory
MB = 1 << 20


def step_of(name: str, student: SPVCNN) -> Callable[[Raw], tuple[float, float]]:
    """Function from a raw scan to loss and gradient norm. It updates the weights."""
    model, logits = _model(name, student)
    model.train()
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, nesterov=True, weight_decay=1e-4)

    def step(raw: Raw) -> tuple[float, float]:
        points, remission = crop(raw, student)
        none = torch.zeros(len(points), dtype=torch.int64)
        loss = F.cross_entropy(logits(points, remission, none), torch.arange(len(points)) % 19 + 1, ignore_index=0)
        optimiser.zero_grad()
        loss.backward()
        norms = [p.grad.norm() for p in model.parameters() if p.grad is not None]
        optimiser.step()
        return loss.item(), torch.stack(norms).norm().item()

    return step


def _model(name: str, student: SPVCNN) -> tuple[nn.Module, Callable[[Tensor, Tensor, Tensor], Tensor]]:
    """Module with the weights of ``student``, and its function from points, remission and batch index to logits."""
    if name == PUBLISHED:
        from reference_student import ReferenceStudent

        reference = ReferenceStudent(student)
        return reference, reference
    ours = SPVCNN.from_config(student.config)
    ours.load_state_dict(student.state_dict())
    ours.backend = "native" if name == NATIVE else "torch"
    return ours, lambda *inputs: ours(*inputs).logits


def contestants() -> list[str]:
    if library() is None:
        raise SystemExit("native kernels: not available. Reinstall elite with a C++ compiler.")
    try:
        import reference_student  # noqa: F401
    except ImportError:
        print("spconv: not installed, so the published style is missing. Run pip install spconv.")
        return [TORCH, NATIVE]
    return [PUBLISHED, TORCH, NATIVE]


def check(names: list[str], student: SPVCNN, raw: Raw) -> None:
    """Check that loss and gradient agree on one thread; with more, the order of spconv's sums varies."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = {name: step_of(name, student)(raw) for name in names}
    torch.set_num_threads(threads)
    print("first step: " + ", ".join(f"{n} loss {loss:.5f} gradient {norm:.4f}" for n, (loss, norm) in found.items()))
    loss, norm = found[TORCH]
    if any(abs(a - loss) > 1e-3 * loss or abs(b - norm) > 1e-2 * norm for a, b in found.values()):
        raise SystemExit("first step: expected equal losses and gradients, found different ones.")


def child(file: str, name: str) -> None:
    """Print the peak memory of ``STEPS`` steps."""
    clouds = given_clouds(file)
    step = step_of(name, SPVCNN())

    def steps() -> None:
        for raw in clouds:
            step(raw)

    print(memory_above(steps))


def main(folder: Path | None, rounds: int) -> None:
    print(conditions())
    names, clouds = contestants(), scans(folder, rounds + 1)
    student = varied_student(clouds[0])
    print(f"{len(clouds)} {'rendered' if folder is None else 'real'} scans, {rounds} rounds")
    check(names, student, clouds[0])
    seconds = fair_rounds({name: step_of(name, student) for name in names}, clouds, rounds)
    memory = {name: memory_of(__file__, name, clouds[:STEPS]) for name in names}
    lines = [
        [
            name,
            f"{1000 * median(seconds[name]):.0f}",
            spread(seconds[name], seconds[NATIVE]) if name != NATIVE else "1",
            f"{memory[name] / MB:.0f}",
            f"{memory[name] / memory[TORCH]:.2f}",
        ]
        for name in names
    ]
    header = ["training step of one scan", "median ms", "over native (lowest-highest)", "peak MiB", "/ torch"]
    print("\n" + table(header, lines))
    if PUBLISHED in names:
        found = ratio(seconds[PUBLISHED], seconds[NATIVE])
        print(f"published style / native {found:.2f} (>= {GOAL}: {'met' if found >= GOAL else 'MISSED'})")
    found = memory[NATIVE] / memory[TORCH]
    print(f"peak memory native / torch {found:.2f} (<= {MEMORY_GOAL}: {'met' if found <= MEMORY_GOAL else 'MISSED'})")


if __name__ == "__main__":
    given = arguments(__doc__, rounds=5)
    if given.child:
        child(*given.child)
    else:
        main(given.scans, given.rounds)
