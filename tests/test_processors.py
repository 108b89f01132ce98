"""libelite on other processors: built for them, and run in an emulator, against this processor and PyTorch."""

import platform
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from elite import native
from elite.inference import Segmenter
from elite.native import loader
from elite.student import SPVCNN
from elite.student.model_file import save_model
from tests.support.builds import build, program, run
from tests.support.instructions import available
from tests.support.students import with_random_norms

pytestmark = pytest.mark.skipif(native.library() is None, reason=native.describe())
SOURCES = Path(loader.__file__).parent
LOW, HIGH = (-20.0, -20.0, -4.0), (20.0, 20.0, 2.0)
POINTS, CLASSES = 1500, 20
PRECISIONS = ["fp32", "bf16", "int8"]


class Answers(NamedTuple):
    """Results that libelite/tests/answers.cpp writes."""

    logits: np.ndarray
    group: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    entropy: np.ndarray


def read_answers(path: Path) -> Answers:
    groups, data = int(np.fromfile(path, np.int64, 1)[0]), path.read_bytes()[8:]
    sizes = [4 * groups * CLASSES, 8 * POINTS, POINTS, 4 * POINTS, 4 * POINTS]
    parts = np.split(np.frombuffer(data, np.uint8), np.cumsum(sizes)[:-1])
    kinds = (np.float32, np.int64, np.uint8, np.float32, np.float32)
    values = [part.view(kind) for part, kind in zip(parts, kinds, strict=True)]
    return Answers(values[0].reshape(groups, CLASSES), *values[1:])


class Case(NamedTuple):
    """Files for the program, and the results of PyTorch."""

    folder: Path
    logits: np.ndarray  # of each point
    labels: np.ndarray

    def answers(self, *command: object, limit: str | None = None) -> tuple[str, dict[str, Answers]]:
        """The instruction set in use, at most ``limit``, and its results by precision. Threads do not change them."""
        out, limits = self.folder / "out", [limit] if limit else []
        printed = run(*command, self.folder / "m.elite", self.folder / "a.bin", out, *limits, OMP_WAIT_POLICY="passive")
        instructions, *precisions = printed.split()
        found = {}
        for precision in precisions:
            first, *others = (Path(f"{out}.{precision}.{threads}").read_bytes() for threads in (1, 2, 4))
            assert others == [first, first]
            found[precision] = read_answers(Path(f"{out}.{precision}.1"))
        return instructions, found


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder, rng = tmp_path_factory.mktemp("case"), np.random.default_rng(0)
    torch.manual_seed(0)
    student = with_random_norms(SPVCNN(channels=24, strides=(1, 2, 4), volume=(LOW, HIGH), cells=(80, 80, 12)), std=0.2)
    torch.nn.init.normal_(student.classifier[2].weight, std=1.0)  # type: ignore[arg-type]
    save_model(student, folder / "m.elite")
    points = rng.normal(0, (6, 6, 1), (POINTS, 3)).clip(np.add(LOW, 0.1), np.subtract(HIGH, 0.1)).astype(np.float32)
    remission = rng.random(POINTS, np.float32)
    np.column_stack([points, remission]).tofile(folder / "a.bin")
    segmenter = Segmenter(student, backend="torch", report=lambda _: None)
    found = segmenter(points, remission)
    student.backend = "torch"
    with torch.no_grad():
        rows = torch.from_numpy(points), torch.from_numpy(remission), torch.zeros(POINTS, dtype=torch.int64)
        return Case(folder, student(*rows).logits.numpy(), found.labels)


@pytest.fixture(scope="module")
def here(case: Case, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answers]:
    """Results of the portable kernels on this processor, with fused multiply-add, as the other processors have it."""
    if platform.machine() == "x86_64" and not available(["avx2"]):
        pytest.skip("this processor has no fused multiply-add")
    flags = "-mfma" if platform.machine() == "x86_64" else ""
    folder = tmp_path_factory.mktemp("here")
    build(folder, "-DBUILD_SHARED_LIBS=OFF", "-DELITE_BUILD_TESTS=ON", f"-DCMAKE_CXX_FLAGS={flags}")
    _, best = case.answers(folder / "answers")
    instructions, portable = case.answers(folder / "answers", limit="portable")
    assert (instructions, list(portable)) == ("portable", PRECISIONS)
    assert all(same_bits(best[name], portable[name]) for name in best if name != "bf16")
    return portable


def emulated(machine: str, folder: Path) -> list[str]:
    """Build the programs for a machine, and return the command that emulates it."""
    compiler, emulator = program(f"{machine}-linux-gnu-g++"), program(f"qemu-{machine}-static")
    options = ("-DCMAKE_SYSTEM_NAME=Linux", f"-DCMAKE_SYSTEM_PROCESSOR={machine}", f"-DCMAKE_CXX_COMPILER={compiler}")
    build(folder, "-DBUILD_SHARED_LIBS=OFF", "-DELITE_BUILD_TESTS=ON", *options)
    return [emulator, "-L", f"/usr/{machine}-linux-gnu"]


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """The command of the emulator, and the folder of the programs."""
    folder = tmp_path_factory.mktemp("arm")
    return emulated("aarch64", folder), folder


def same_bits(first: Answers, second: Answers) -> bool:
    """Of logits and labels; probabilities also depend on the exponential function of the system."""
    return all(np.array_equal(a, b) for a, b in zip(first[:3], second[:3], strict=True))


def check(found: dict[str, Answers], here: dict[str, Answers], case: Case, instructions: str) -> None:
    assert list(found) == PRECISIONS
    fp32 = found["fp32"]
    largest = np.abs(case.logits).max()
    assert np.abs(fp32.logits[fp32.group] - case.logits).max() < 1e-5 * largest
    np.testing.assert_array_equal(fp32.labels, case.labels)
    np.testing.assert_allclose(fp32.probabilities, here["fp32"].probabilities, atol=1e-6)
    np.testing.assert_allclose(fp32.entropy, here["fp32"].entropy, atol=1e-6)
    assert same_bits(fp32, here["fp32"])
    assert same_bits(found["int8"], here["int8"])
    bf16 = found["bf16"]
    if instructions != "neonbf16":
        assert same_bits(bf16, here["bf16"])
    else:  # sums of pairs, rounded in another way
        difference = np.abs(bf16.logits - here["bf16"].logits)
        assert 0 < difference.max() < 0.02 * largest
    assert np.abs(bf16.logits[bf16.group] - case.logits).mean() < 0.02 * np.abs(case.logits).mean()
    assert (bf16.labels == case.labels).mean() > 0.9


def test_instruction_sets_of_all_lists_are_equal() -> None:
    """Those that are compiled, declared and selected."""
    compiled = re.findall(
        r"^(?:all|x86_64|aarch64) (\w+)", (SOURCES / "compiler_options.txt").read_text(), re.MULTILINE
    )
    declared = re.findall(
        r"^namespace (\w+) \{ extern const Kernels", (SOURCES / "kernels.h").read_text(), re.MULTILINE
    )
    selected = re.findall(r'\{"(\w+)", &(\w+)::kernels', (SOURCES / "processor.h").read_text())
    assert compiled[0] == "common"
    assert sorted(compiled[1:]) == sorted(declared) == sorted(name for name, _ in selected)
    assert all(name == kernels for name, kernels in selected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cpu", "instructions"),
    [("max", "neonbf16"), ("cortex-a76", "neondot"), ("cortex-a72", "neon"), ("cortex-a72", "portable")],
)
def test_aarch64_equals_this_processor_and_pytorch(
    case: Case, here: dict[str, Answers], arm: tuple[list[str], Path], cpu: str, instructions: str
) -> None:
    emulator, folder = arm
    limit = "portable" if instructions == "portable" else None
    used, found = case.answers(*emulator, "-cpu", cpu, folder / "answers", limit=limit)
    assert used == instructions
    check(found, here, case, instructions)


@pytest.mark.slow
def test_aarch64_with_strange_scans_gives_valid_results(case: Case, arm: tuple[list[str], Path]) -> None:
    emulator, folder = arm
    for cpu in ("max", "cortex-a72"):
        printed = run(*emulator, "-cpu", cpu, folder / "stress", case.folder / "m.elite", "fuzz-scans", 200, 1)
        assert "fuzz-scans passed" in printed


@pytest.mark.slow
def test_riscv64_equals_this_processor_and_pytorch(case: Case, here: dict[str, Answers], tmp_path: Path) -> None:
    emulator = emulated("riscv64", tmp_path)
    instructions, found = case.answers(*emulator, tmp_path / "answers")
    assert instructions == "portable"
    check(found, here, case, instructions)
