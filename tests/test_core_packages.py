"""Everything but training and a few outputs runs with the packages of the core installation."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from elite import errors
from elite.native import describe, library
from elite.student import SPVCNN, save_student
from tests.support.modules import ROOT, defining_module, module_name, modules, tree_without_type_checking
from tests.support.scans import random_scan

CORE = {"numpy", "PIL", "yaml", "safetensors", "tqdm"}
# Modules that require an extra: "student.spvcnn", or "training" with all of its modules.
WITH_EXTRAS = {
    *("adaptation", "batches", "losses", "sparse", "teacher", "teacher_training", "training", "kd_tree"),
    *("zero_shot.card", "zero_shot.run", "zero_shot.timing"),
    *(f"data.{n}" for n in ("collate", "datamodule", "dataset", "image_set", "loading", "sampler", "startup_samples")),
    *("data.tolerant_reading", "data.unused_data", "native.gradients", "native.ops", "native.tensors"),
    *(f"student.native_{name}" for name in ("layers", "norm", "training")),
    *("student.blocks", "student.checkpoint", "student.networks", "student.point_mlp", "student.published"),
    *("student.spvcnn", "student.torch_engine", "student.training_checkpoint", "student.transfer"),
    *(f"weights.{name}" for name in ("lazy_tensors", "safetensors_file", "torch_file", "torch_formats")),
    *("pseudo_labels", "synthetic", "figures", "report", "viewer", "datasets.check.pictures", "inspection.pictures"),
}
ONLY_CORE = Path(__file__).parent / "support" / "only_core.py"


def requires_extra(module: str) -> bool:
    name = module.removeprefix("elite.")
    return name != "synthetic.config" and any(name == other or name.startswith(f"{other}.") for other in WITH_EXTRAS)


def imports_at_start(node: ast.AST) -> Iterator[str]:
    """Modules that are imported with a module, not later within its functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ImportFrom) and child.module:
            is_ours = child.module.split(".")[0] == "elite"
            yield from (defining_module(child.module, a.name) if is_ours else child.module for a in child.names)
        elif isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from imports_at_start(child)


def test_core_modules_import_core_packages_only() -> None:
    wrong = []
    for path in modules():
        module = module_name(path)
        for used in () if requires_extra(module) else imports_at_start(tree_without_type_checking(path)):
            package = used.split(".")[0]
            allowed = not requires_extra(used) if package == "elite" else package in CORE | sys.stdlib_module_names
            if not allowed:
                wrong.append(f"{module} imports {used}")
    assert not wrong


def run(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a command where no other package can be imported."""
    command = [sys.executable, str(ONLY_CORE), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


def done(*words: object) -> str:
    found = run(*words)
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.skipif(library() is None, reason=describe())
def test_commands_run_with_core_packages_only(tiny_kitti: Path, tmp_path: Path) -> None:
    from elite.cli import main

    torch.manual_seed(0)
    student, scans = tmp_path / "s.safetensors", tmp_path / "scans"
    save_student(SPVCNN(channels=8, cells=(100, 100, 12)), student)
    scans.mkdir()
    random_scan(np.random.default_rng(0)).tofile(scans / "0.bin")
    for votes in ((), ("--votes", 3)):
        assert main(["predict", *map(str, (student, scans, "-o", tmp_path / "with", "--device", "cpu", *votes))]) == 0
        done("predict", student, scans, "-o", tmp_path / "without", *votes)
        for name in ("0.label", "classes.yaml"):
            expected, found = (tmp_path / folder / name for folder in ("with", "without"))
            assert not expected.exists() or found.read_bytes() == expected.read_bytes()
    done("stream", student, scans, "-o", tmp_path / "streamed", "--once")
    done("predict", student, tiny_kitti, "-o", tmp_path / "p")
    done("evaluate", tiny_kitti, "--predictions", tmp_path / "p")
    done("inspect", scans)
    assert "Traceback" not in run("check", tiny_kitti, "--model", student).stderr  # which finds faults
    done("submit", tmp_path / "p", tiny_kitti, "-o", tmp_path / "p.zip", "--partial")
    assert "kernels" in done("env")


def test_missing_package_is_named_with_its_extra(tiny_kitti: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "last.ckpt"
    torch.save({"state_dict": {}}, checkpoint)
    for extra, words in {
        "train": ("predict", checkpoint, tiny_kitti, "-o", tmp_path / "p"),
        "synth": ("synth", "-o", tmp_path / "drive"),
        "plg": ("pseudo-label", tiny_kitti),
    }.items():
        found = run(*words)
        assert (found.returncode, f'pip install ".[{extra}]"' in found.stderr) == (2, True), found.stderr


def test_named_extra_installs_the_package() -> None:
    """``errors`` names the extra of a package that is missing; pyproject.toml lists the packages of each extra."""
    extras = tomllib.loads((ROOT.parents[1] / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra, packages in errors._PACKAGES.items():
        installed = " ".join(extras[extra])
        assert [p for p in packages if p.replace("skimage", "scikit-image") not in installed] == []
