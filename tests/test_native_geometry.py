"""The native geometry equals the torch geometry bit by bit."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from elite import native
from elite.config import StudentConfig
from elite.datasets.scan_files import read_scan
from elite.geometry import in_volume
from elite.native.ops import NeighbourPairs
from elite.sparse import Grid, Grouping, KernelMap, Pooling, build_native_geometry, build_torch_geometry
from elite.sparse.native_conv import NativeKernelMap
from elite.sparse.pooling import Csr
from tests.support.semantickitti import HDL_64E

STUDENT = StudentConfig()
PUBLISHED = Grid(STUDENT.volume, STUDENT.cells)
SMALL = Grid(STUDENT.volume, (43, 37, 13))  # no stride nests in the one before
COMPUTED = {Grouping: ("members", "sizes"), Pooling: ("by_source",)}
NOT_COMPARED = ("neighbours", "known_members")


@pytest.fixture(autouse=True)
def _library() -> None:
    if native.library() is None:
        pytest.skip(native.describe())


@pytest.fixture(params=[1, 2, 4])
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def random_batch(n: int, scans: int, spread: float = 30.0) -> tuple[Tensor, Tensor]:
    """Points, some of them outside the volume, of scans in no order."""
    return torch.randn(n, 3) * torch.tensor([spread, spread, spread / 10]), torch.randint(scans, (n,))


def assert_same(ours: Any, theirs: Any, name: str = "geometry") -> None:
    if isinstance(ours, Csr):
        ours = replace(ours, columns=ours.columns.long())  # the points of a voxel are 32-bit numbers
    if isinstance(theirs, Tensor):
        assert ours.dtype == theirs.dtype, name
        assert torch.equal(ours, theirs), name
    elif isinstance(theirs, tuple):
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(a, b, f"{name}[{i}]")
    elif is_dataclass(theirs):
        parts = [field.name for field in fields(theirs) if field.name not in NOT_COMPARED]
        for part in (*parts, *COMPUTED.get(type(theirs), ())):  # type: ignore[call-overload]
            assert_same(getattr(ours, part), getattr(theirs, part), f"{name}.{part}")
    else:
        assert ours == theirs, name


def assert_equals_torch(points: Tensor, batch_index: Tensor, grid: Grid, strides: tuple[int, ...]) -> None:
    ours = build_native_geometry(points, batch_index, grid, strides)
    theirs = build_torch_geometry(points, batch_index, grid, strides)
    assert ours is not None
    assert_same(ours, theirs)
    for level, neighbours in zip(ours.levels, ours.neighbours, strict=False):
        assert isinstance(neighbours, NativeKernelMap)
        assert_pairs_are_of(neighbours.neighbour_pairs, level.coords)


def assert_pairs_are_of(pairs: NeighbourPairs, coords: Tensor) -> None:
    table = KernelMap.build(coords).neighbours
    for k in range(13):
        voxel = (table[:, k] >= 0).nonzero()[:, 0]
        used = int(pairs.count[k])
        assert pairs.first[k, :used].tolist() == voxel.tolist()
        assert pairs.second[k, :used].tolist() == table[voxel, k].tolist()


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("grid", [SMALL, PUBLISHED], ids=["small", "published"])
def test_native_geometry_any_thread_count_equals_torch(grid):
    assert_equals_torch(*random_batch(3000, 3), grid, STUDENT.strides)


@pytest.mark.parametrize(
    ("points", "batch_index"),
    [
        pytest.param(torch.empty(0, 3), torch.empty(0, dtype=torch.int64), id="nothing"),
        pytest.param(torch.tensor([[1.0, -2.0, 0.5]]), torch.tensor([4]), id="one-point"),
        pytest.param(torch.full((50, 3), -0.01), torch.zeros(50, dtype=torch.int64), id="one-voxel"),
        pytest.param(torch.randn(400, 3), torch.arange(400) % 2 * 3, id="scans-without-points"),
        pytest.param(torch.randn(400, 3) - 200.0, torch.arange(400) // 200 - 1, id="below-the-volume"),
        pytest.param(torch.randn(400, 3) * 3e3, torch.arange(400) // 200, id="far-apart"),
        pytest.param((torch.randn(400, 4) * 20)[:, :3], torch.zeros(800, dtype=torch.int64)[::2], id="strided"),
    ],
)
@pytest.mark.parametrize("strides", [(1, 2), (1, 2, 4, 8, 16), (1, 3, 5, 50)], ids=str)
def test_native_geometry_of_odd_batches_equals_torch(points, batch_index, strides):
    assert_equals_torch(points, batch_index, SMALL, strides)


def test_native_geometry_of_several_sizes_equals_torch():
    for n in (500, 2000, 0, 2200, 70):
        assert_equals_torch(*random_batch(n, 2), SMALL, STUDENT.strides)


def test_native_geometry_points_on_cell_borders_equal_torch():
    low, high = np.array(STUDENT.volume, np.float32)
    steps = np.random.default_rng(0).integers(-10, 1011, (5000, 3)).astype(np.float32)
    border = low + (high - low) * (steps / 1000)  # where another order of rounding would find another cell
    assert_equals_torch(torch.from_numpy(border), torch.zeros(5000, dtype=torch.int64), PUBLISHED, STUDENT.strides)


def test_native_geometry_of_real_scans_equals_torch(real_kitti: Path):
    files = sorted((real_kitti / "sequences" / "00" / "velodyne").glob("*.bin"))[:2]
    scans = [scan[in_volume(scan, STUDENT.volume)] for scan in (read_scan(path, HDL_64E).points for path in files)]
    points = torch.from_numpy(np.concatenate(scans))
    batch_index = torch.repeat_interleave(torch.arange(len(scans)), torch.tensor([len(scan) for scan in scans]))
    assert_equals_torch(points, batch_index, PUBLISHED, STUDENT.strides)


@pytest.mark.parametrize("far", [1e9, 1e30, float("inf"), float("nan")])
def test_native_geometry_beyond_the_key_range_falls_back_to_torch(far):
    points, batch_index = random_batch(100, 2)
    points[7] = far
    assert build_native_geometry(points, batch_index, PUBLISHED, STUDENT.strides) is None
    assert build_native_geometry(points[8:], batch_index[8:], PUBLISHED, STUDENT.strides) is not None


def test_native_geometry_of_distant_scan_numbers_falls_back_to_torch():
    points = torch.randn(2, 3)
    assert build_native_geometry(points, torch.tensor([-(2**62), 2**62]), PUBLISHED, (1, 2)) is None
    assert build_native_geometry(points, torch.tensor([-(2**63), 0]), PUBLISHED, (1, 2)) is None


def test_native_kernel_map_pairs_worked_by_hand():
    found = NativeKernelMap.build(torch.tensor([[0, 0, 5, 0], [0, 0, 5, 1], [0, 1, 5, 0], [1, 0, 5, 2]]))
    assert found is not None
    pairs = found.neighbour_pairs
    linked = {
        (k, pairs.first[k, p].item(), pairs.second[k, p].item()) for k in range(13) for p in range(pairs.count[k])
    }
    # along x; straight down; down and along x. The last is in another scan.
    assert linked == {(12, 1, 0), (4, 2, 0), (5, 2, 1)}


def test_native_kernel_map_far_neighbours_equal_torch():
    clump = torch.tensor([-1, 0, 1, 3])
    for far, fits in ((2**17, True), (2**40, False), (2**62, False)):
        near = torch.cat([clump - far, clump, clump + far])
        coords = torch.unique(torch.cat([torch.randint(2, (500, 1)), near[torch.randint(12, (500, 3))]], dim=1), dim=0)
        found = NativeKernelMap.build(coords)
        assert (found is not None) == fits
        if found is not None:
            assert_pairs_are_of(found.neighbour_pairs, coords)
