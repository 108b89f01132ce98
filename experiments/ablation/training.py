"""Settings of a run, one run, and a queue of runs on all cores."""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from experiments.ablation.data import Request, missing_models, train_model
from experiments.ablation.rows import BLOCKS, CLASS_MODEL, SEGMENT_MODEL, Row
from experiments.ablation.sizes import SIZES, Settings, Size
from experiments.runs import Run, append_run, read_runs


@dataclass(frozen=True)
class Plan:
    """Runs of one block: output folder, size, and options of ``elite train`` that replace those of all rows."""

    out: Path
    size_name: str
    block: str
    extra: tuple[str, ...] = ()

    @property
    def size(self) -> Size:
        return SIZES[self.size_name]

    @property
    def results(self) -> Path:
        return self.out / "results.csv"

    def command(self) -> list[str]:
        this = [sys.executable, "-m", "experiments.ablation", "--out", str(self.out), "--size", self.size_name]
        return [*this, "--block", self.block, *self.extra]


def settings_of(out: Path, size: Size, row: Row, seed: int) -> Settings:
    weights = out / row.teacher if row.teacher in (SEGMENT_MODEL, CLASS_MODEL) else row.teacher
    sequences = {"data.sequences": size.many_sequences} if row.drive == "many" else {}
    batch = {"data.batch_size": row.batch_factor * size.batch} if row.batch_factor > 1 else {}
    settings = size.settings | sequences | batch | {"seed": seed, "teacher.weights": weights} | row.settings
    return {key: value.format(seed=seed) if isinstance(value, str) else value for key, value in settings.items()}


def recorded_settings(out: Path, size: Size, row: Row, seed: int, extra: Iterable[str] = ()) -> str:
    """Settings as the CSV file has them, the same for every output folder."""
    settings = settings_of(out, size, row, seed)
    return " ".join([*(f"{key}={value}".replace(str(out), "OUT") for key, value in settings.items()), *extra])


def check_settings(plan: Plan, runs: Iterable[Run]) -> None:
    """Raise SystemExit if a run of the block, or a baseline of it, was made with other settings."""
    rows = {(plan.block, name): row for name, row in BLOCKS[plan.block].items()}
    baselines = {row.baseline for row in rows.values()}
    rows |= {(b, name): row for b, block in BLOCKS.items() for name, row in block.items() if f"{b}-{name}" in baselines}
    for run in runs:
        if row := rows.get((run.block, run.row)):
            expected = recorded_settings(plan.out, plan.size, row, run.seed, plan.extra)
            if set(run.settings.split()) != set(expected.split()):
                raise SystemExit(
                    f"{run.name}: expected the settings {expected}, found {run.settings}. "
                    f"Use another --out, or delete its row in {plan.results}."
                )


def train(plan: Plan, name: str, seed: int) -> None:
    """Train and score one row with one seed, and append the result, or the failure, to the CSV file."""
    from experiments.ablation.score import measure

    row, folder = BLOCKS[plan.block][name], plan.out / "runs" / f"{plan.block}-{name}-{seed}"
    options = [f"--{key}={value}" for key, value in settings_of(plan.out, plan.size, row, seed).items()]
    folders = [str(plan.out / row.drive), "-o", str(folder), "--overwrite"]
    command = [sys.executable, "-m", "elite", "train", *folders, "--config", plan.size.config, *options, *plan.extra]
    status = subprocess.run(command).returncode
    settings = recorded_settings(plan.out, plan.size, row, seed, plan.extra)
    run = Run(plan.block, name, seed, settings=settings, failed=f"exit status {status}" if status else "")
    if not status:
        drives = [plan.out / row.drive, *sorted(plan.out.glob("street?"))]
        run = Run(plan.block, name, seed, settings=settings, **measure(folder, drives))
    append_run(plan.results, run)


def in_turn(queue: list[Request], teachers: Mapping[str, str], models: list[str]) -> list[Request]:
    """Order the runs: those that wait for a foundation model later, short runs of the last seed at the end.

    A run without a teacher is short, so that at the end all processors finish at about the same time. With one seed the
    short runs fill the time in which a model is trained.
    """
    last = queue[-1][1] if queue[0][1] != queue[-1][1] else None
    return sorted(queue, key=lambda run: (teachers[run[0]] == "none" and run[1] == last, teachers[run[0]] in models))


def train_all(plan: Plan, queue: list[Request], jobs: int) -> None:
    """Train ``jobs`` runs at a time, and missing foundation models at the same time."""
    rows = BLOCKS[plan.block]
    models = missing_models(plan.out, [rows[name] for name, _ in queue])
    queue = in_turn(queue, {name: rows[name].teacher for name, _ in queue}, models)
    threads = os.environ | {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs))}

    def train_one(request: Request) -> None:
        name, seed = request
        if model := training.get(rows[name].teacher):
            model.result()
        run = f"{plan.block}-{name}-{seed}"
        log = plan.out / "runs" / f"{run}.log"
        with log.open("w") as file:
            command = [*plan.command(), "--one", name, str(seed)]
            subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=threads)
        finished = {done.name for done in read_runs(plan.results) if not done.failed}
        print(f"{run}: {'finished' if run in finished else f'failed, see {log}'}", flush=True)

    with ThreadPoolExecutor(jobs) as pool:  # models first: a run never waits for a model behind it in the queue
        training = {model: pool.submit(train_model, plan.out, model, plan.size, threads) for model in models}
        list(pool.map(train_one, queue))
