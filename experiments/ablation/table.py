"""Table and figure of a block: mean and standard deviation over seeds."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev

from experiments.ablation.rows import BLOCKS
from experiments.runs import Run

Value = Callable[[Run, Run | None], float | None]  # of a run and its baseline with the same seed


def percent(name: str) -> Value:
    return lambda run, _: None if getattr(run, name) is None else 100 * getattr(run, name)


def gain(name: str) -> Value:
    """Points over the baseline with the same seed, None without one."""
    return lambda run, baseline: 100 * (getattr(run, name) - getattr(baseline, name)) if baseline else None


COLUMNS: dict[str, tuple[Value, int]] = {  # heading: value, digits
    "mIoU": (percent("miou"), 1),
    "in view": (percent("miou_in_view"), 1),
    "gain": (gain("miou"), 1),
    "gain in view": (gain("miou_in_view"), 1),
    "out of view": (percent("miou_out_of_view"), 1),
    "thin": (percent("thin"), 1),
    "rare": (percent("rare"), 1),
    "teacher": (percent("teacher_miou"), 1),
    "trained, k": (lambda run, _: (run.trained_parameters or 0) / 1000, 0),
    "s/step": (lambda run, _: run.seconds_per_step, 2),
}


def cells_of(runs: Sequence[Run], every: Iterable[Run], baseline: str, columns: Iterable[str]) -> list[str]:
    """Cells of one row; ``every`` run is searched for those of the baseline (BLOCK-ROW, empty without one)."""
    named = {run.name: run for run in every if not run.failed}
    pairs = [(run, named.get(f"{baseline}-{run.seed}")) for run in runs]
    return [cell([value(*pair) for pair in pairs], digits) for value, digits in map(COLUMNS.__getitem__, columns)]


def cell(values: Sequence[float | None], digits: int) -> str:
    """``mean ± standard deviation``, and the number of values if some are missing."""
    numbers = [value for value in values if value is not None]
    if not numbers:
        return ""
    spread = f" ± {stdev(numbers):.{digits}f}" if len(numbers) > 1 else ""
    fewer = f" (n = {len(numbers)})" if len(numbers) < len(values) else ""
    return f"{fmean(numbers):z.{digits}f}{spread}{fewer}"


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def table(runs: Sequence[Run], block: str) -> str:
    """All rows of a block that have runs."""
    lines = []
    for name, row in BLOCKS[block].items():
        of_row = [run for run in runs if (run.block, run.row) == (block, name)]
        finished = [run for run in of_row if not run.failed]
        if of_row:
            failed = f" ({len(of_row) - len(finished)} failed)" if len(of_row) > len(finished) else ""
            baseline = "" if row.baseline == f"{block}-{name}" else row.baseline
            lines.append([row.title, f"{len(finished)}{failed}", *cells_of(finished, runs, baseline, COLUMNS)])
    return markdown(["", "n", *COLUMNS], lines)


def figure(runs: Sequence[Run], block: str, path: Path) -> None:
    """Draw mIoU over all points and in view: mean, standard deviation, and each seed as a dot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    finished = [run for run in runs if run.block == block and not run.failed]
    rows = {name: row for name, row in BLOCKS[block].items() if any(run.row == name for run in finished)}
    drawn = Figure(figsize=(8, 0.6 + 0.5 * len(rows)), layout="constrained")
    axes = drawn.add_subplot()
    for label, score, color, offset in (
        ("all points", "miou", "#2f6fde", -0.2),
        ("in view", "miou_in_view", "#d97a1d", 0.2),
    ):
        for y, name in enumerate(rows):
            seeds = [100 * getattr(run, score) for run in finished if run.row == name]
            spread = stdev(seeds) if len(seeds) > 1 else 0.0
            bar = {"fmt": "D", "color": color, "capsize": 3, "label": label if y == 0 else None}
            axes.errorbar(fmean(seeds), y + offset, xerr=spread, **bar)
            axes.plot(seeds, [y + offset] * len(seeds), "o", color="#1d2430", markersize=2.5, alpha=0.6)
    axes.set_yticks(range(len(rows)), [row.title for row in rows.values()])
    axes.invert_yaxis()
    axes.set_xlabel("mIoU on unseen streets, % (mean ± sd, each seed)")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
    axes.spines[["top", "right"]].set_visible(False)
    FigureCanvasAgg(drawn).print_png(path)
