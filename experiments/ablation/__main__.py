"""Ablation: train and compare the rows of a block on rendered streets.

    python -m experiments.ablation --out ablation                         # the core table: 7 rows, 3 seeds
    python -m experiments.ablation --out ablation --block label-budget    # another block

Renders the drive, two more streets for scoring and the image set, trains the foundation models on the latter, trains
each row with each seed, and prints the block's table. ``experiments/ablation/rows.py`` defines rows and settings;
further options are passed to ``elite train``.

OUT/results.csv gets one row per run. Runs that it contains are skipped: copy experiments/results/ablation.csv there to
add runs to the published ones (in a new OUT, with foundation models of its own), or delete a row to repeat a run. Runs
of the block with other settings are an error. OUT also gets BLOCK.md and BLOCK.png.
"""

import argparse
import os
from collections.abc import Iterable
from itertools import product
from pathlib import Path

from experiments.ablation.data import prepare
from experiments.ablation.rows import BLOCKS
from experiments.ablation.sizes import SIZES
from experiments.ablation.table import figure, table
from experiments.ablation.training import Plan, check_settings, train, train_all
from experiments.runs import read_runs

SEEDS = "0,1,2"


def selected(text: str, known: Iterable[str]) -> list[str]:
    names = list(known) if text == "all" else text.split(",")
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"--rows: expected all, or some of {', '.join(known)}, found {', '.join(unknown)}.")
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("ablation"), help="output folder")
    parser.add_argument("--block", choices=BLOCKS, default="core")
    parser.add_argument("--rows", default="all", help="comma-separated row names of the block (default: all)")
    parser.add_argument("--seeds", default=SEEDS, help=f"comma-separated (default: {SEEDS})")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="parallel runs (default: CPU count)")
    parser.add_argument("--size", choices=SIZES, default="small", help="full needs a GPU; tiny is for trying it out")
    parser.add_argument("--one", nargs=2, metavar=("ROW", "SEED"), help=argparse.SUPPRESS)
    args, extra = parser.parse_known_args()
    plan = Plan(args.out.resolve(), args.size, args.block, tuple(extra))
    if args.one:
        return train(plan, args.one[0], int(args.one[1]))
    (plan.out / "runs").mkdir(parents=True, exist_ok=True)
    names, seeds = selected(args.rows, BLOCKS[plan.block]), [int(seed) for seed in args.seeds.split(",")]
    runs = read_runs(plan.results)
    check_settings(plan, runs)
    known = {run.name for run in runs}  # failed ones, too
    # Seed by seed: all rows have been run before a second seed starts.
    queue = [(name, seed) for seed, name in product(seeds, names) if f"{plan.block}-{name}-{seed}" not in known]
    if queue:
        prepare(plan.out, plan.size, plan.block, queue)
        train_all(plan, queue, args.jobs)
    runs = read_runs(plan.results)
    text = table(runs, plan.block)
    (plan.out / f"{plan.block}.md").write_text(text + "\n")
    figure(runs, plan.block, plan.out / f"{plan.block}.png")
    print(text)
    return None


if __name__ == "__main__":
    main()
