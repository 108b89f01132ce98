"""The ablation's books: which runs it takes for its own, what it prepares for them, the gains of its table."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ablation() -> ModuleType:
    from experiments.ablation import __main__

    return __main__


def test_the_published_runs_are_those_that_the_script_makes(ablation: ModuleType) -> None:
    runs, out = json.loads((ROOT / "docs/ablation/results.json").read_text()), Path("/anywhere")
    for block in ablation.BLOCKS:
        ablation.check(runs, out, ablation.SIZES["small"], block, [])
    assert ablation.table(runs, "core") == (ROOT / "docs/ablation/core.md").read_text().rstrip("\n")


@pytest.mark.parametrize("block", ["core", "kl"])  # of the latter it is what gains are over
def test_runs_and_baselines_with_other_settings_are_refused(ablation: ModuleType, block: str) -> None:
    runs = [_run(ablation, "core", "heads", seed=7)]
    ablation.check(runs, Path("/there"), ablation.SIZES["small"], block, [])
    with pytest.raises(SystemExit, match=r"core-heads-7 .* other settings"):
        ablation.check(runs, Path("/there"), ablation.SIZES["small"], block, ["--steps", "3"])
    with pytest.raises(SystemExit, match=r"core-heads-7 .* other settings"):
        ablation.check(runs, Path("/there"), ablation.SIZES["tiny"], block, [])


def test_gains_are_over_the_same_seed_and_say_how_many_they_are(ablation: ModuleType) -> None:
    told = {"teacher": None, "parameters": {}, "seconds_per_step": 1.0}

    def scored(row: str, seed: int, miou: float) -> dict[str, Any]:
        scores = {"miou": miou, "thin": 0.0, "rare": 0.0}
        return _run(ablation, "core", row, seed) | told | dict.fromkeys(("all", "in view", "out of view"), scores)

    runs = [scored("heads", 0, 0.5), scored("heads", 1, 0.6), scored("lora", 0, 0.52), scored("lora", 1, 0.64)]
    runs += [scored("adalora", 0, 0.53), scored("adalora", 2, 0.9)]
    failed = _run(ablation, "core", "heads", 2) | {"failed": "elite train ended with 1"}
    _, _, heads, lora, adalora = ablation.table([*runs, failed], "core").split("\n")
    assert [cell.strip() for cell in heads.split("|")[2:7]] == ["2 (1 failed)", "55.0 ± 7.1", "55.0 ± 7.1", "", ""]
    assert lora.split("|")[5].strip() == "3.0 ± 1.4"
    assert adalora.split("|")[5].strip() == "3.0 (of 1)"


def test_pseudo_labels_are_made_for_the_rows_that_read_them(ablation: ModuleType) -> None:
    few = ablation.BLOCKS["few"]
    read = {name: ablation.shares_read(row) for name, row in few.items()}
    assert {name for name, shares in read.items() if shares} == {
        *(f"{share}-pseudo" for share in ("scans1", "points1", "points01")),
        *(f"{share}-lifted{more}" for share in ("points1", "points01") for more in ("", "-taught")),
    }
    assert all(shares == [name.split("-")[0]] for name, shares in read.items() if shares)


def _run(ablation: ModuleType, block: str, row: str, seed: int) -> dict[str, Any]:
    """As ``ablation.py`` records it, of the small setting."""
    how = ablation.recorded(Path("/here"), ablation.SIZES["small"], ablation.BLOCKS[block][row], seed, [])
    return {"block": block, "row": row, "seed": seed, **how}


def test_runs_that_wait_for_a_model_come_later_and_short_ones_fill_the_end(ablation: ModuleType) -> None:
    teachers = {"heads": "none", "weak": "random", "lora": "broad"}
    asked = [(name, seed) for seed in (0, 1) for name in teachers]
    waiting = [("heads", 0), ("weak", 0), ("weak", 1), ("lora", 0), ("lora", 1), ("heads", 1)]
    assert ablation.in_turn(asked, teachers, ["broad"]) == waiting
    assert ablation.in_turn(asked[:3], teachers, ["broad"]) == asked[:3]
    assert ablation.in_turn(asked, teachers, []) == [*asked[:3], ("weak", 1), ("lora", 1), ("heads", 1)]
