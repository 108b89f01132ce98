"""libelite as C++ programs see it: header, example, installed package, and builds with sanitizers."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from elite import native
from elite.inference import Segmenter
from elite.native import loader
from elite.student import SPVCNN
from elite.student.model_file import save_model
from tests.support.builds import build, run
from tests.support.scans import random_scan
from tests.support.students import with_random_norms

ROOT = Path(__file__).resolve().parents[1]
INCLUDE = ROOT / "src" / "elite" / "native" / "include"
EXAMPLE = ROOT / "libelite" / "examples" / "label_scan.cpp"
COMPILER = shutil.which("c++")
pytestmark = [
    pytest.mark.skipif(native.library() is None, reason=native.describe()),
    pytest.mark.skipif(COMPILER is None, reason="no C++ compiler"),
]


def small_student(**settings: object) -> SPVCNN:
    torch.manual_seed(0)
    return with_random_norms(SPVCNN(**{"channels": 8, "strides": (1, 2, 4)} | settings), std=0.2)  # type: ignore[arg-type]


def check_example(program: Path, folder: Path) -> None:
    """Its labels are those of the Segmenter, and it refuses another file."""
    save_model(small_student(), folder / "m.elite")
    scan = random_scan(np.random.default_rng(0), 400)
    scan.tofile(folder / "a.bin")
    printed = run(program, folder / "m.elite", folder / "a.bin", folder / "labels.bin")
    expected = Segmenter(small_student(), report=lambda _: None)(scan[:, :3], scan[:, 3]).labels
    np.testing.assert_array_equal(np.fromfile(folder / "labels.bin", np.uint8), expected)
    assert sum(float(line.split()[0]) for line in printed.splitlines()) == pytest.approx(100, abs=0.2)
    (folder / "empty.bin").touch()
    for files, message in (
        (("a.bin", "a.bin"), "expected a file of 'elite export'"),
        (("none", "a.bin"), "none: expected a model file, found No such file"),
        (("m.elite", "empty.bin"), "empty.bin: scan: expected points in the volume of the model, found none of 0"),
    ):
        done = subprocess.run([program, *files, "labels.bin"], cwd=folder, capture_output=True, text=True)
        assert done.returncode
        assert message in done.stderr


def test_header_is_c_and_c_plus_plus(tmp_path: Path) -> None:
    for language, standard in (("c", "c99"), ("c++", "c++11")):
        options = (f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only")
        (tmp_path / "a.txt").write_text("#include <elite.h>\nint main(void) { return elite_api_version() != 1; }\n")
        run(COMPILER, "-x", language, *options, f"-I{INCLUDE}", tmp_path / "a.txt")


def test_example_labels_a_scan(tmp_path: Path) -> None:
    """Linked with the library of the Python package, which has the same sources."""
    shutil.copy(loader.library_path(), tmp_path / "libelite.so")
    run(COMPILER, "-std=c++17", "-Wall", "-Wextra", "-Werror", EXAMPLE, f"-I{INCLUDE}", f"-L{tmp_path}", "-lelite",
        f"-Wl,-rpath,{tmp_path}", "-o", tmp_path / "label_scan")  # fmt: skip
    check_example(tmp_path / "label_scan", tmp_path)
    assert len(EXAMPLE.read_text().splitlines()) <= 41


# ---- builds by CMake, which take minutes ---------------------------------------------------------------------------


@pytest.mark.slow
def test_installed_package_is_found_by_cmake_and_pkg_config(tmp_path: Path) -> None:
    prefix = tmp_path / "usr"
    build(tmp_path / "build")
    run("cmake", "--install", tmp_path / "build", "--prefix", prefix)
    exported = run("nm", "-D", "--defined-only", next(prefix.rglob("libelite.so")))
    names = {line.split()[-1] for line in exported.splitlines()}
    assert {name for name in names if not name.startswith("_")} == {
        word.split("(")[0]
        for word in (INCLUDE / "elite.h").read_text().split()
        if word.startswith("elite_") and "(" in word
    }

    project = tmp_path / "project"
    project.mkdir()
    (project / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.18)\nproject(program CXX)\nfind_package(elite 0.1 REQUIRED)\n"
        f"add_executable(label_scan {EXAMPLE})\ntarget_link_libraries(label_scan PRIVATE elite::elite)\n"
    )
    run("cmake", "-S", project, "-B", project / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", project / "build")
    check_example(project / "build" / "label_scan", tmp_path)

    packages = str(next(prefix.rglob("elite.pc")).parent)
    flags = run("pkg-config", "--cflags", "--libs", "elite", PKG_CONFIG_PATH=packages).split()
    folder = next(prefix.rglob("libelite.so")).parent
    run(COMPILER, "-std=c++17", EXAMPLE, *flags, f"-Wl,-rpath,{folder}", "-o", tmp_path / "label_scan")
    check_example(tmp_path / "label_scan", tmp_path)


@pytest.mark.slow
def test_sanitizers_find_no_fault_in_any_scan_or_model(tmp_path: Path, real_kitti: Path) -> None:
    options = ("-DELITE_BUILD_TESTS=ON", "-DELITE_SANITIZERS=address,undefined", "-DBUILD_SHARED_LIBS=OFF")
    build(tmp_path / "build", *options, "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O1")
    for name, settings in {"small": {}, "aged": {"past_scans": 1}, "tiny": {"channels": 2, "strides": (1, 2)}}.items():
        save_model(small_student(**settings), tmp_path / f"{name}.elite")
    scans = sorted(real_kitti.glob("sequences/*/velodyne/*.bin"))[:2]
    for model, *arguments in (
        ("small", "scans", *scans),
        *((name, "fuzz-scans", 5000, 1) for name in ("small", "aged", "tiny")),
        ("tiny", "fuzz-models", 10000, 1),
        ("small", "huge", 300_000),
        ("small", "soak", 10),
        ("aged", "share", 5),
    ):
        printed = run(tmp_path / "build" / "stress", tmp_path / f"{model}.elite", *arguments)
        assert f"{arguments[0]} passed" in printed
    for command in (("scans", *scans), ("fuzz-scans", 5000, 1)):
        run(tmp_path / "build" / "stress", tmp_path / "small.elite", *command, ELITE_LIMIT="portable")
