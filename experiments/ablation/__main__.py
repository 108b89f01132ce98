"""Does the camera teach? The same student, seeds and steps, with more and more of ELiTe, on the synthetic drive.

    python -m experiments.ablation --out ablation                   # the core table: 7 rows, 3 seeds
    python -m experiments.ablation --out ablation --block few       # or stages, kl, named, sam, pairs, long

Renders the drive, two more streets to score on and the broad image set, pre-trains the foundation models on that and
trains every row of a block, each as far as it is missing, then prints the block's table. What is compared, and every
setting, is in _ablation_rows.py. A finished run leaves a JSON file at once, a failed one too. OUT gets results.json
with all of them, BLOCK.md and BLOCK.png. What results.json holds is not run again: put that of docs/ablation there to
go on from it (in a new OUT with foundation models of its own), take a run out of it and OUT/runs to repeat it. Beside
runs of the block that had other settings, as in docs/ablation/earlier, nothing is run.
``--full`` is the setting for a GPU, ``--size tiny`` a trial.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from experiments.ablation.rows import BLOCKS, BROAD, NAMED, SHARES, SIZES, Row, Settings, Size

Asked = tuple[str, int]  # name of a row, seed
SEEDS = (0, 1, 2)
COLUMNS = {
    "mIoU": lambda run: 100 * run["all"]["miou"],
    "in view": lambda run: 100 * run["in view"]["miou"],
    "gain": lambda run: gain(run, "all"),
    "gain in view": lambda run: gain(run, "in view"),
    "out of view": lambda run: 100 * run["out of view"]["miou"],
    "thin": lambda run: 100 * run["all"]["thin"],
    "rare": lambda run: 100 * run["all"]["rare"],
    "teacher": lambda run: None if run["teacher"] is None else 100 * run["teacher"],
    "trained, k": lambda run: sum(n for part, n in run["parameters"].items() if "trained" in part) / 1000,
    "s a step": lambda run: run["seconds_per_step"],
}


def prepare(out: Path, size: Size, block: str, queue: list[Asked]) -> None:
    """What these runs of a block need, but for the foundation models; what is there is kept."""
    rows = [BLOCKS[block][name] for name, _ in queue]
    for name in {row.drive for row in rows}:
        render(out / name, size.drive if name == "drive" else size.many)
    for i, street in enumerate(size.streets):
        render(out / f"street{i}", street)
    if missing(out, rows):
        render(out / "images", size.images)
    dense = {row.settings.get("data.dense_labels") for row in rows}
    if "image_2_pseudo" in dense:
        elite(f"pseudo-label {out / 'drive'} --sequences train")
    if "image_2_sam" in dense:
        small_sam(out)
    for share, seed in sorted({(share, seed) for name, seed in queue for share in shares_read(BLOCKS[block][name])}):
        hidden = SHARES[share]
        shown = f"--label-fraction {hidden['data.label_fraction']} --label-unit {hidden['data.label_unit']}"
        folder = f"--folder {share}_{seed} --seed {seed} --lift true"
        elite(f"pseudo-label {out / 'many'} --sequences {size.many_sequences} {shown} {folder}")


def shares_read(row: Row) -> list[str]:
    """The shares of the labels whose pseudo-labels this row reads."""
    read = {row.settings.get(key) for key in ("data.dense_labels", "data.labels")}
    return [share for share in SHARES if read & {f"image_2_{share}_{{seed}}", f"labels_{share}_{{seed}}"}]


def render(folder: Path, what: str) -> None:
    """A drive that was rendered to its end is told by the mark it leaves."""
    mark = folder / "rendered"
    if not mark.exists():
        elite(f"synth {folder} {what}")
        mark.touch()


def missing(out: Path, rows: Iterable[Row]) -> list[str]:
    """The foundation models of these rows that are yet to be trained."""
    models = {row.teacher for row in rows} & {BROAD, NAMED}
    return sorted(model for model in models if not (out / model / "model.safetensors").exists())


def pretrain(out: Path, model: str, size: Size, threads: Mapping[str, str]) -> None:
    objective = "classes" if model == NAMED else "segments"
    cameras = ",".join(sorted(path.name for path in (out / "images/sequences/00").glob("image_?")))
    images = f"--data.root {out / 'images'} --data.cameras {cameras} --data.workers 0 --objective {objective}"
    elite(f"train-teacher --config synthetic-teacher --steps {size.pretraining} {images} --out {out / model}", threads)


def small_sam(out: Path) -> None:
    """Pseudo-labels of a SAM that is small enough to be trained here (train_sam.py)."""
    if not (out / "small-sam" / "model.safetensors").exists():
        render(out / "sam-images", "--seed 5000 --sequences 30 --frames 6 --beams 64 --azimuths 1024")
        folders = [str(out / "sam-images"), str(out / "small-sam")]
        subprocess.run([sys.executable, "-m", "experiments.train_sam", *folders], check=True)
    sam = f"--proposer sam --weights {out / 'small-sam'} --folder sam"
    elite(f"pseudo-label {out / 'drive'} --sequences train {sam}")


def elite(command: str, environment: Mapping[str, str] | None = None) -> None:
    subprocess.run([sys.executable, "-m", "elite", *command.split()], check=True, env=environment)


# ---- runs -----------------------------------------------------------------------------------------------------------


def train(out: Path, size: Size, block: str, name: str, seed: int, extra: list[str]) -> None:
    """One row with one seed, trained and measured; what came of it goes to OUT/runs/BLOCK-ROW-SEED.json."""
    from experiments.ablation.score import measured

    row, folder = BLOCKS[block][name], out / "runs" / f"{block}-{name}-{seed}"
    options = [f"--{key}={value}" for key, value in settings_of(out, size, row, seed).items()]
    where = ["--data.root", str(out / row.drive), "--out", str(folder), "--overwrite", "true"]
    done = subprocess.run([sys.executable, "-m", "elite", "train", "--config", size.config, *where, *options, *extra])
    told = {"block": block, "row": name, "seed": seed, **recorded(out, size, row, seed, extra)}
    if done.returncode:
        told["failed"] = f"elite train ended with {done.returncode}; see {folder.name}.log"
    else:
        streets = [out / row.drive, *sorted(out.glob("street?"))]
        told |= measured(folder, streets)
    (out / "runs" / f"{folder.name}.json").write_text(json.dumps(told, indent=1))


def settings_of(out: Path, size: Size, row: Row, seed: int) -> Settings:
    weights = out / row.teacher if row.teacher in (BROAD, NAMED) else row.teacher
    where = {"data.sequences": size.many_sequences} if row.drive == "many" else {}
    batch = {"data.batch_size": row.larger * size.batch} if row.larger > 1 else {}
    whole = size.settings | where | batch | {"seed": seed, "teacher.weights": weights} | row.settings
    return {key: value.format(seed=seed) if isinstance(value, str) else value for key, value in whole.items()}


def recorded(out: Path, size: Size, row: Row, seed: int, extra: list[str]) -> dict[str, Any]:
    """What a run's JSON file says of how it was made, the same wherever OUT lies."""
    settings = settings_of(out, size, row, seed)
    return {"extra": extra, "settings": {key: str(value).replace(str(out), "OUT") for key, value in settings.items()}}


def check(runs: Iterable[dict[str, Any]], out: Path, size: Size, block: str, extra: list[str]) -> None:
    """Raises SystemExit if a run of the block, or one that its gains are over, was made with other settings."""
    rows = {f"{block}-{name}": row for name, row in BLOCKS[block].items()}
    for plain in {row.against for row in rows.values()}:
        its_block, _, name = plain.partition("-")
        rows[plain] = BLOCKS[its_block][name]
    for run in runs:
        row = rows.get(f"{run['block']}-{run['row']}")
        wanted = {} if row is None else recorded(out, size, row, run["seed"], extra)
        if wanted != {key: run[key] for key in wanted}:
            remedy = "give another --out, or take it out of results.json and OUT/runs"
            raise SystemExit(f"{run_name(run)} was run with other settings than are asked for now; {remedy}")


def in_turn(queue: list[Asked], teachers: Mapping[str, str], models: list[str]) -> list[Asked]:
    """Rows that need a model that is yet to be trained come later; of several seeds, the last one's short runs at last.

    Without a teacher a run is short: at the end no processor waits long for another one. With one seed they fill the
    time that a model takes.
    """
    last = queue[-1][1] if queue[0][1] != queue[-1][1] else None
    return sorted(queue, key=lambda run: (teachers[run[0]] == "none" and run[1] == last, teachers[run[0]] in models))


def train_all(args: argparse.Namespace, queue: list[Asked], extra: list[str]) -> None:
    """``args.jobs`` runs at a time. Missing foundation models are trained meanwhile; rows that need one come later."""
    size, rows = SIZES[args.size], BLOCKS[args.block]
    models = missing(args.out, [rows[name] for name, _ in queue])
    queue = in_turn(queue, {name: rows[name].teacher for name, _ in queue}, models)
    threads = os.environ | {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // args.jobs))}

    def run(name: str, seed: int) -> None:
        if model := training.get(rows[name].teacher):
            model.result()
        which = f"{args.block}-{name}-{seed}"
        this = [sys.executable, "-m", "experiments.ablation", "--out", str(args.out), "--block", args.block]
        command = [*this, "--one", name, str(seed)]
        with (args.out / "runs" / f"{which}.log").open("w") as log:
            subprocess.run([*command, *extra, "--size", args.size], stdout=log, stderr=subprocess.STDOUT, env=threads)
        told = args.out / "runs" / f"{which}.json"
        done = told.exists() and "failed" not in json.loads(told.read_text())
        print(f"{which}: {'done' if done else 'see its log'}", flush=True)

    with ThreadPoolExecutor(args.jobs) as pool:  # first in, first out: no run waits for a model that is behind it
        training = {model: pool.submit(pretrain, args.out, model, size, threads) for model in models}
        list(pool.map(lambda asked: run(*asked), queue))


# ---- tables ---------------------------------------------------------------------------------------------------------


def run_name(run: dict[str, Any]) -> str:
    return f"{run['block']}-{run['row']}-{run['seed']}"


def collect(out: Path) -> list[dict[str, Any]]:
    """Every run so far, those of OUT/runs before those that results.json knows already; written there again."""
    kept, fresh = out / "results.json", sorted((out / "runs").glob("*.json"))
    known = json.loads(kept.read_text()) if kept.exists() else []
    runs = {run_name(run): run for run in [*known, *(json.loads(path.read_text()) for path in fresh)]}
    ordered = [runs[name] for name in sorted(runs)]
    kept.write_text(json.dumps(ordered, indent=1) + "\n")
    return ordered


def gain(run: dict[str, Any], part: str) -> float | None:
    """Points of mIoU over the run without an image that ``table`` has put beside this one, if there is any."""
    return 100 * (run[part]["miou"] - run["plain"][part]["miou"]) if run["plain"] else None


def table(runs: list[dict[str, Any]], block: str) -> str:
    """Mean and standard deviation over the seeds of every row of a block that has been run."""
    lines = [f"| | seeds | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 2) + "|"]
    finished = {run_name(run): run for run in runs if "failed" not in run}
    for name, row in BLOCKS[block].items():
        mine = [run for run in runs if (run["block"], run["row"]) == (block, name)]
        plain = {} if row.against == f"{block}-{name}" else finished
        whole = [run | {"plain": plain.get(f"{row.against}-{run['seed']}")} for run in mine if "failed" not in run]
        if mine:
            failed = f" ({len(mine) - len(whole)} failed)" if len(mine) > len(whole) else ""
            cells = (cell([of(run) for run in whole], 2 if what == "s a step" else 1) for what, of in COLUMNS.items())
            lines.append(f"| {row.title} | {len(whole)}{failed} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(values: list[float | None], digits: int) -> str:
    numbers = [value for value in values if value is not None]
    if not numbers:
        return ""
    spread = f" ± {stdev(numbers):.{digits}f}" if len(numbers) > 1 else ""
    fewer = f" (of {len(numbers)})" if len(numbers) < len(values) else ""
    return f"{fmean(numbers):z.{digits}f}{spread}{fewer}"


def figure(runs: list[dict[str, Any]], block: str, path: Path) -> None:
    """Mean and spread of every row, all points and those in view, with every seed as a small dot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    whole = [run for run in runs if run["block"] == block and "failed" not in run]
    rows = {name: row for name, row in BLOCKS[block].items() if any(run["row"] == name for run in whole)}
    drawn = Figure(figsize=(8, 0.6 + 0.5 * len(rows)), layout="constrained")
    axes = drawn.add_subplot()
    for column, part, color, offset in (("all", "all points", "#2f6fde", -0.2), ("in view", "in view", "#d97a1d", 0.2)):
        for y, name in enumerate(rows):
            seeds = [100 * run[column]["miou"] for run in whole if run["row"] == name]
            mean, spread = fmean(seeds), stdev(seeds) if len(seeds) > 1 else 0.0
            axes.errorbar(
                mean, y + offset, xerr=spread, fmt="D", color=color, capsize=3, label=part if y == 0 else None
            )
            axes.plot(seeds, [y + offset] * len(seeds), "o", color="#1d2430", markersize=2.5, alpha=0.6)
    axes.set_yticks(range(len(rows)), [row.title for row in rows.values()])
    axes.invert_yaxis()
    axes.set_xlabel("mIoU on unseen streets, %: mean, spread, every seed")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
    axes.spines[["top", "right"]].set_visible(False)
    FigureCanvasAgg(drawn).print_png(path)


def chosen(text: str, known: Iterable[str]) -> list[str]:
    names = list(known) if text == "every" else text.split(",")
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"unknown: {', '.join(unknown)}; expected some of {', '.join(known)}")
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("ablation"))
    parser.add_argument("--block", choices=BLOCKS, default="core")
    parser.add_argument("--rows", default="every", help="every, or some of the block's")
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at a time")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--full", action="store_const", const="full", dest="size", help="the setting for a GPU")
    parser.add_argument("--one", nargs=2, metavar=("ROW", "SEED"), help="run just this one, here")
    args, extra = parser.parse_known_args()
    args.out, size = args.out.resolve(), SIZES[args.size]
    if args.one:
        return train(args.out, size, args.block, args.one[0], int(args.one[1]), extra)
    (args.out / "runs").mkdir(parents=True, exist_ok=True)
    names, seeds = chosen(args.rows, BLOCKS[args.block]), [int(seed) for seed in args.seeds.split(",")]
    runs = collect(args.out)
    check(runs, args.out, size, args.block, extra)
    known = {run_name(run) for run in runs}  # failed ones, too
    asked = product(seeds, names)  # seed by seed: every row has been run once before one is repeated
    if queue := [(name, seed) for seed, name in asked if f"{args.block}-{name}-{seed}" not in known]:
        prepare(args.out, size, args.block, queue)
        train_all(args, queue, extra)
    runs = collect(args.out)
    text = table(runs, args.block)
    (args.out / f"{args.block}.md").write_text(text + "\n")
    figure(runs, args.block, args.out / f"{args.block}.png")
    print(text)
    return None


if __name__ == "__main__":
    main()
