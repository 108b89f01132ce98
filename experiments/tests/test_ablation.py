"""The ablation: published results and settings agree, baselines of gains, prepared data, order of runs."""

from dataclasses import replace
from pathlib import Path

import pytest

from elite.cli import parse
from elite.cli.settings import configuration
from elite.config import TrainConfig
from experiments.ablation.data import shares_read
from experiments.ablation.rows import BLOCKS
from experiments.ablation.sizes import SIZES
from experiments.ablation.table import table
from experiments.ablation.training import Plan, check_settings, in_turn, recorded_settings, settings_of
from experiments.runs import RESULTS, Run, append_run, read_runs


def plan(block: str, size: str = "small", *extra: str) -> Plan:
    return Plan(Path("/there"), size, block, extra)


def run(row: str, seed: int, miou: float = 0.5) -> Run:
    """A finished run of the core block in the small size."""
    small = plan("core")
    settings = recorded_settings(small.out, small.size, BLOCKS["core"][row], seed)
    scores = dict.fromkeys(("miou", "miou_in_view", "miou_out_of_view", "thin", "rare"), miou)
    return Run("core", row, seed, **scores, trained_parameters=1000, seconds_per_step=1.0, settings=settings)


@pytest.mark.parametrize("block", BLOCKS)
def test_published_runs_have_the_settings_of_the_script(block: str) -> None:
    runs = read_runs(RESULTS / "ablation.csv")
    assert runs
    check_settings(plan(block), runs)


def test_settings_of_each_row_are_a_valid_configuration(tmp_path: Path) -> None:
    seen: set[tuple[str, str]] = set()
    for row in (row for block in BLOCKS.values() for row in block.values()):
        settings = {key: str(value) for key, value in settings_of(tmp_path, SIZES["small"], row, seed=0).items()}
        if not settings.items() <= seen:  # parsing takes a tenth of a second
            options = [f"--{key}={value}" for key, value in settings.items()]
            _, args = parse(["train", "data", "-o", "out", "--config", "synthetic", *options])
            assert configuration(args, TrainConfig).seed == 0
            seen |= settings.items()


def test_append_run_read_runs_returns_the_same_runs(tmp_path: Path) -> None:
    runs = [run("lora", 0), run("lora", 1), Run("core", "lora", 2, failed="exit status 1")]
    for each in runs:
        append_run(tmp_path / "results.csv", each)
    assert read_runs(tmp_path / "results.csv") == runs
    assert read_runs(tmp_path / "missing.csv") == []


@pytest.mark.parametrize("block", ["core", "divergence"])  # the baseline of the latter is in the former
@pytest.mark.parametrize(("size", "extra"), [("small", ("--steps=3",)), ("tiny", ())])
def test_check_settings_other_settings_of_a_run_or_baseline_are_refused(block: str, size: str, extra: tuple) -> None:
    check_settings(plan(block), [run("stage-heads", 7)])
    with pytest.raises(SystemExit, match=r"core-stage-heads-7: expected the settings .* found steps=600"):
        check_settings(plan(block, size, *extra), [run("stage-heads", 7)])


def test_table_gains_are_over_the_same_seed_and_count_their_runs() -> None:
    runs = [run("stage-heads", 0, 0.5), run("stage-heads", 1, 0.6), run("lora", 0, 0.52), run("lora", 1, 0.64)]
    runs += [run("adalora", 0, 0.53), run("adalora", 2, 0.9), replace(run("stage-heads", 2), failed="exit status 1")]
    _, _, heads, lora, adalora = table(runs, "core").split("\n")
    assert [cell.strip() for cell in heads.split("|")[2:7]] == ["2 (1 failed)", "55.0 ± 7.1", "55.0 ± 7.1", "", ""]
    assert lora.split("|")[5].strip() == "3.0 ± 1.4"
    assert adalora.split("|")[5].strip() == "3.0 (n = 1)"


def test_shares_read_names_the_share_of_rows_that_read_pseudo_labels() -> None:
    read = {name: shares_read(row) for name, row in BLOCKS["label-budget"].items()}
    assert {name for name, shares in read.items() if shares} == {
        *(f"{share}-lora-pseudo" for share in ("scans1", "points1", "points01")),
        *(f"{share}-{row}" for share in ("points1", "points01") for row in ("lifted", "lora-lifted")),
    }
    assert all(shares == [name.split("-")[0]] for name, shares in read.items() if shares)


def test_in_turn_runs_that_wait_for_a_model_come_later_and_short_ones_fill_the_end() -> None:
    teachers = {"stage-heads": "none", "weak": "random", "lora": "foundation"}
    queue = [(name, seed) for seed in (0, 1) for name in teachers]
    waiting = [("stage-heads", 0), ("weak", 0), ("weak", 1), ("lora", 0), ("lora", 1), ("stage-heads", 1)]
    assert in_turn(queue, teachers, ["foundation"]) == waiting
    assert in_turn(queue[:3], teachers, ["foundation"]) == queue[:3]
    assert in_turn(queue, teachers, []) == [*queue[:3], ("weak", 1), ("lora", 1), ("stage-heads", 1)]
