"""Shared by all tests: shape checks switched on, the real frames if they are at hand, and tiny data sets."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it takes seconds to import
    from transformers import SamVisionConfig, SamVisionModel

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the command does; read when torch starts

import numpy as np
import pytest
import torch
from jaxtyping import install_import_hook
from PIL import Image

# Shapes and dtypes in signatures are checked in tests only; they cost too much in a training loop.
install_import_hook(
    [
        f"elite.{room}"
        for room in (
            "geometry",
            "pixels",
            "labels",
            "metrics",
            "losses",
            "sparse",
            "student",
            "teacher",
            "pseudo_labels",
            "viewer.layers",
            "viewer.colors",
            "viewer.images",
        )
    ],
    "beartype.beartype",
)

REAL_DATA = Path(os.environ.get("ELITE_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def time_limit() -> Iterator[Callable[[int], None]]:
    """A test that hangs fails."""

    def stop(number: int, frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    yield signal.alarm
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with a few real SemanticKITTI frames and fixtures of the published networks."""
    if not (REAL_DATA / "semantickitti").is_dir():
        pytest.skip(f"real frames not found at {REAL_DATA}; set ELITE_REAL_DATA")
    return REAL_DATA


@pytest.fixture(scope="session")
def real_kitti(real_data: Path) -> Path:
    return real_data / "semantickitti"


@contextmanager
def lock_held(path: Path) -> Iterator[int]:
    """Another process, of this number, holds the lock on ``path`` as a run does."""
    program = (
        "import fcntl, json, os, sys; file = open(sys.argv[1], 'w'); fcntl.lockf(file, fcntl.LOCK_EX);"
        "json.dump({'pid': os.getpid(), 'host': 'there'}, file); file.flush(); print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        yield process.pid
        process.stdin.close()


CALIBRATION = """\
P0: 700 0 600 0 0 700 180 0 0 0 1 0
P1: 700 0 600 -380 0 700 180 0 0 0 1 0
P2: 700 0 600 45 0 700 180 0 0 0 1 0
P3: 700 0 600 -330 0 700 180 0 0 0 1 0
Tr: 0 -1 0 0 0 0 -1 -0.08 1 0 0 -0.27
"""


def write_frame(root: Path, sequence: str, name: str, points: np.ndarray, labels: np.ndarray | None = None) -> None:
    """One scan (n, 4) and its raw label words (n,), in SemanticKITTI's layout."""
    folder = root / "sequences" / sequence
    for sub in ("velodyne", "labels"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    (folder / "calib.txt").write_text(CALIBRATION)
    points.astype("<f4").tofile(folder / "velodyne" / f"{name}.bin")
    if labels is not None:
        labels.astype("<u4").tofile(folder / "labels" / f"{name}.label")


def random_scan(rng: np.random.Generator, n: int = 500) -> np.ndarray:
    """(n, 4) points on a bumpy ground around the sensor, some of them outside the volume, with remission."""
    xy = rng.uniform(-60, 60, (n, 2))
    z = rng.normal(-1.5, 0.3, (n, 1))
    return np.hstack([xy, z, rng.uniform(0, 1, (n, 1))]).astype(np.float32)


RAW_IDS = np.array([10, 11, 15, 18, 20, 30, 31, 32, 40, 44, 48, 49, 50, 51, 70, 71, 72, 80, 81, 0, 252], np.uint32)


@pytest.fixture
def tiny_kitti(tmp_path: Path) -> Path:
    """Two labelled scans in 00 and one in 08, one unlabelled scan in each of 11..21; random points."""
    return write_tiny_kitti(tmp_path / "kitti")


def write_tiny_kitti(root: Path) -> Path:
    rng = np.random.default_rng(0)
    for sequence, names in {"00": ["000000", "000001"], "08": ["000000"]}.items():
        for name in names:
            points = random_scan(rng)
            write_frame(root, sequence, name, points, rng.choice(RAW_IDS, len(points)) | (7 << 16))
    for number in range(11, 22):
        write_frame(root, f"{number}", "000000", random_scan(rng, 60))
    return root


def narrow_sam_config(**changes: Any) -> "SamVisionConfig":
    """ViT-B's structure made narrow: 12 blocks, windows of 14, global attention in 2, 5, 8, 11."""
    from transformers import SamVisionConfig

    sizes = {"hidden_size": 48, "num_hidden_layers": 12, "num_attention_heads": 4, "mlp_dim": 96, "output_channels": 16}
    places = {"image_size": 1024, "patch_size": 16, "window_size": 14, "global_attn_indexes": [2, 5, 8, 11]}
    return SamVisionConfig(**sizes | places | {"initializer_range": 0.05} | changes)


def narrow_sam(*, positions: float = 0.1, biases: float = 0.0, **changes: Any) -> "SamVisionModel":
    """With positions, and biases if wanted, of these standard deviations: transformers starts them at zero."""
    from transformers import SamVisionModel

    model = SamVisionModel(narrow_sam_config(**changes)).eval()
    for name, parameter in model.named_parameters():
        if "pos" in name:
            torch.nn.init.normal_(parameter, std=positions)
        elif biases and name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=biases)
    return model


@pytest.fixture(scope="session")
def foundation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SAM of four narrow blocks, saved as transformers saves it."""
    torch.manual_seed(5)
    folder = tmp_path_factory.mktemp("foundation")
    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "mlp_dim": 32, "output_channels": 8}
    places = {"image_size": 1248, "patch_size": 32, "window_size": 7, "global_attn_indexes": [3]}
    narrow_sam(**sizes, **places, initializer_range=0.1).save_pretrained(folder)
    return folder


@pytest.fixture
def kitti(tiny_kitti: Path) -> Path:
    """The tiny data set with an image for the scans 00/000000 and 08/000000, and none for 00/000001."""
    rng = np.random.default_rng(3)
    for sequence in ("00", "08"):
        folder = tiny_kitti / "sequences" / sequence / "image_2"
        folder.mkdir()
        Image.fromarray(rng.integers(0, 256, (376, 1241, 3), np.uint8)).save(folder / "000000.png")
    return tiny_kitti
