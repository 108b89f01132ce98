"""Tables and figure of docs/experiments/, made from the CSV files of results/.

    python -m experiments.tables            # rewrite them
    python -m experiments.tables --check    # exit with 1 if a page differs

A page has its table between ``<!-- table NAME -->`` and ``<!-- end -->``. ``experiments/page_tables.py`` defines the
tables.
"""

import argparse
import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from scipy.stats import t as student_t

from experiments.ablation.table import cell, cells_of, figure, gain, markdown
from experiments.runs import RESULTS, Run, read_runs

DOCS = Path(__file__).parents[1] / "docs"
TABLE = re.compile(r"(<!-- table (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
ALL_SEEDS: tuple[int, ...] = ()


@dataclass(frozen=True)
class Line:
    """One line of a table of runs.

    Attributes:
        label: first cell.
        runs: BLOCK-ROW.
        baseline: BLOCK-ROW whose runs with the same seeds are the baseline of gains.
        seeds: only these.
        results: name of the CSV file, if not that of the table.
    """

    label: str
    runs: str
    baseline: str = ""
    seeds: tuple[int, ...] = ALL_SEEDS
    results: str = ""

    def select(self, runs: Iterable[Run]) -> list[Run]:
        return [
            run
            for run in runs
            if f"{run.block}-{run.row}" == self.runs and not run.failed and (not self.seeds or run.seed in self.seeds)
        ]


def runs_table(results: str, lines: Sequence[Line], columns: Sequence[str], heading: str = "") -> str:
    """Mean ± standard deviation over seeds of each line."""
    rows = []
    for line in lines:
        runs = read_runs(RESULTS / f"{line.results or results}.csv")
        selected = line.select(runs)
        rows.append([line.label, str(len(selected)), *cells_of(selected, runs, line.baseline, columns)])
    return markdown([heading, "n", *columns], rows)


def comparisons(results: str, lines: Sequence[Line], score: str = "miou") -> str:
    """Paired differences in points: mean ± sd, the 95 % t-interval of the mean, and how many are above 0."""
    runs, rows = read_runs(RESULTS / f"{results}.csv"), []
    baselines = {run.name: run for run in runs}
    for line in lines:
        pairs = [(run, baselines.get(f"{line.baseline}-{run.seed}")) for run in line.select(runs)]
        values = [value for value in (gain(score)(*pair) for pair in pairs) if value is not None]
        half = student_t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
        interval = f"{fmean(values) - half:z.2f} to {fmean(values) + half:z.2f}"
        above = f"{sum(value > 0 for value in values)} of {len(values)}"
        rows.append([line.label, str(len(values)), cell(values, 1), interval, above])
    return markdown(["difference", "n", "mean ± sd", "95 % interval of the mean", "above 0"], rows)


def read_rows(results: str, **where: str) -> list[dict[str, str]]:
    """Rows of a CSV file that have these values."""
    with (RESULTS / f"{results}.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if all(row[name] == value for name, value in where.items())]


def rows_table(rows: Iterable[Mapping[str, str]], columns: Mapping[str, str]) -> str:
    """One line per CSV row; ``columns`` maps headings to names. A column NAME_sd is appended to NAME as ``± sd``."""

    def text(row: Mapping[str, str], name: str) -> str:
        spread = row.get(f"{name}_sd")
        return f"{row[name]} ± {spread}" if spread else row[name]

    return markdown(list(columns), [[text(row, name) for name in columns.values()] for row in rows])


def pivot(rows: Sequence[Mapping[str, str]], line: str, column: str, scores: Sequence[str], heading: str = "") -> str:
    """One line per value of ``line``, one column per value of ``column``; a cell has the scores, with slashes."""
    headings = list(dict.fromkeys(row[column] for row in rows))
    cells = {(row[line], row[column]): " / ".join(row[score] for score in scores if row[score]) for row in rows}
    lines = dict.fromkeys(row[line] for row in rows)
    return markdown([heading, *headings], [[name, *(cells.get((name, h), "") for h in headings)] for name in lines])


def rewritten(page: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """The page with its tables made from the CSV files."""
    return TABLE.sub(lambda found: f"{found[1]}{tables[found[2]]()}\n{found[3]}", page)


def main() -> int:
    from experiments.page_tables import TABLES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, exit with 1 if a page differs")
    check = parser.parse_args().check
    differs = []
    for path in sorted((DOCS / "experiments").glob("*.md")):
        before = path.read_text(encoding="utf-8")
        if (after := rewritten(before, TABLES)) != before:
            differs.append(path.name)
            if not check:
                path.write_text(after, encoding="utf-8")
    if not check:
        figure(read_runs(RESULTS / "ablation.csv"), "core", DOCS / "images" / "ablation.png")
    print(f"pages that differed: {', '.join(differs) or 'none'}")
    return int(check and bool(differs))


if __name__ == "__main__":
    raise SystemExit(main())
