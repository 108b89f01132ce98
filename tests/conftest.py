"""Fixtures of all tests: shape checks, real frames where available, and tiny data sets."""

import gc
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

# Read when torch starts. One thread, because the tensors of tests are small: threads would double the processor time.
# Tests of parallel code set their number of threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the command does

gc.disable()  # objects of imported modules stay: searching them costs a fifth of the time of the collection

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.shapes import install_shape_checks

# Shapes and dtypes in signatures are checked in tests only: the checks are too slow for training. The hook precedes
# every import of elite.
install_shape_checks()

from tests.support.foundation import write_foundation
from tests.support.scans import write_tiny_kitti
from tests.support.shared import built_once, share_folders_in
from tests.support.trams import write_trams

# Tests send these signals to the commands. nohup and background jobs of a shell start with them ignored.
for _number, _usual in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)

# Files whose tests take milliseconds and start no training run: pytest -m unit.
UNIT = {
    "cameras_per_frame",
    "check",
    "checkpoint",
    "comparison",
    "config_file",
    "cutmix",
    "dataset",
    "described",
    "distillation_losses",
    "evaluation",
    "geometry",
    "guard",
    "inference",
    "inspection",
    "label_records",
    "labelled_recordings",
    "language",
    "layers",
    "layout",
    "lenses",
    "losses",
    "metrics",
    "native_geometry",
    "nuscenes",
    "nuscenes_real",
    "nuscenes_submission",
    "nuscenes_tables",
    "occlusion",
    "open_dataset",
    "package_files",
    "pixels",
    "point_cloud2",
    "point_files",
    "properties",
    "pseudo_score",
    "reader",
    "recorded_calibration",
    "recording_files",
    "recordings",
    "real_frames",
    "safety",
    "sam_weights",
    "scan_files",
    "semantickitti",
    "sensor_augment",
    "shapes",
    "sparse",
    "streaming",
    "submission",
    "suite",
    "taxonomy",
    "terminal",
    "torch_file",
    "viewer",
    "viewer_gate",
    "watershed",
}

REAL_DATA = Path(os.environ.get("ELITE_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))


def _is_unit(path: Path) -> bool:
    return path.stem.removeprefix("test_") in UNIT


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import only the files of unit tests with -m unit."""
    others = collection_path.match("test_*.py") and not _is_unit(collection_path)
    return True if config.option.markexpr == "unit" and others else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _is_unit(item.path):
            item.add_marker("unit")


def pytest_runtestloop() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _shared_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.getbasetemp()  # of this process
    share_folders_in(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def threads() -> Iterator[None]:
    """Restore PyTorch's number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def time_limit() -> Iterator[Callable[[int], None]]:
    """Function that sets the seconds after which a hanging test fails."""

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


@pytest.fixture(scope="session")
def real_nuscenes(real_data: Path) -> Path:
    if not (real_data / "nuscenes").is_dir():
        pytest.skip(f"real keyframes not found at {real_data / 'nuscenes'}")
    return real_data / "nuscenes"


@pytest.fixture
def tiny_kitti(tmp_path: Path) -> Path:
    """Two labelled scans in 00 and one in 08, one unlabelled scan in each of 11..21; random points."""
    return write_tiny_kitti(tmp_path / "kitti")


@pytest.fixture(scope="session")
def foundation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SAM of four narrow blocks, saved as transformers saves it."""
    folder = tmp_path_factory.mktemp("foundation")
    write_foundation(folder, image_size=1248)
    return folder


@pytest.fixture(scope="session")
def trams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five classes, two cameras and names of another kind, in the format of examples/tram_reader.py; do not change."""
    return write_trams(tmp_path_factory.mktemp("session") / "trams")


@pytest.fixture
def kitti(tmp_path: Path) -> Path:
    """The tiny data set with an image for the scans 00/000000 and 08/000000, and none for 00/000001."""
    return shutil.copytree(built_once("kitti", _write_kitti_with_images), tmp_path / "kitti")


def _write_kitti_with_images(root: Path) -> None:
    rng = np.random.default_rng(3)
    for sequence in ("00", "08"):
        folder = write_tiny_kitti(root) / "sequences" / sequence / "image_2"
        folder.mkdir()
        Image.fromarray(rng.integers(0, 256, (376, 1241, 3), np.uint8)).save(folder / "000000.png", compress_level=1)
