"""Cases tested with spconv itself, each a function. ``python -m tests.support.spconv_cases`` runs all of them.

They need a separate process with OMP_NUM_THREADS=1: spconv's CPU build is exact on one thread only.
"""

import json
import threading
import traceback
import warnings
from collections.abc import Callable
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from elite.errors import ConfigError
from elite.sparse import KernelMap, find_neighbours, resolve_backend, submanifold_conv
from elite.sparse.spconv_conv import warn_once


def voxels() -> Tensor:
    """Distinct voxels of two scans, in ascending order."""
    torch.manual_seed(0)
    spread = torch.randint(-6, 6, (900, 4)) * torch.tensor([0, 1, 1, 1]) + torch.tensor([0, 0, 5, -9])
    coords = torch.unique(spread, dim=0)
    return torch.cat([coords, coords + torch.tensor([1, 0, 0, 0])])


def assert_close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def spconvs_own_layers_equal_torch() -> None:
    import spconv.pytorch as spconv

    coords = (torch.rand(2, 6, 7, 8) < 0.4).nonzero()
    feats = torch.randn(len(coords), 16)
    sparse = spconv.SparseConvTensor(feats, coords.int().contiguous(), [6, 7, 8], 2)
    three, one = (spconv.SubMConv3d(16, 16, size, bias=False) for size in (3, 1))
    ours = three.weight.permute(1, 2, 3, 4, 0).reshape(27, 16, 16)
    with torch.no_grad():
        assert_close(submanifold_conv(feats, ours, KernelMap.build(coords)), three(sparse).features)
        assert_close(feats @ one.weight.view(16, 16), one(sparse).features)


def two_layers_equal_torch() -> None:
    coords = voxels()
    feats, weights = torch.randn(len(coords), 5), torch.randn(2, 27, 5, 5)
    results = [
        submanifold_conv(submanifold_conv(feats, weights[0], grid), weights[1], grid)
        for grid in (KernelMap.build(coords), find_neighbours(coords, "spconv"))
    ]
    assert_close(results[1], results[0])


def no_voxels_give_no_rows() -> None:
    none = find_neighbours(torch.empty(0, 4, dtype=torch.int64), "spconv")
    assert submanifold_conv(torch.empty(0, 5), torch.randn(27, 5, 5), none).shape == (0, 5)


def gradients_on_a_cpu_are_refused() -> None:
    coords = voxels()
    feats, weight = torch.randn(len(coords), 5), torch.randn(27, 5, 5, requires_grad=True)
    with pytest.raises(ConfigError, match="--backend native"):
        submanifold_conv(feats, weight, find_neighbours(coords, "spconv"))


def autocast_reaches_spconv_in_float32() -> None:
    """Of features in any precision, in both 16-bit types, with one notice."""
    import spconv.pytorch as spconv
    from spconv.pytorch import ops

    coords, weight = voxels(), torch.randn(27, 5, 5)
    feats, seen, multiply, forward = torch.randn(len(coords), 5), set(), ops.indice_conv, spconv.SubMConv3d.forward

    def recorded(features: Tensor, filters: Tensor, *rest: object, **options: object) -> Tensor:
        seen.update([features.dtype, filters.dtype])
        return multiply(features, filters, *rest, **options)

    def without_autocast(layer: torch.nn.Module, given: spconv.SparseConvTensor) -> spconv.SparseConvTensor:
        # On CUDA spconv casts what it is given to float16 wherever autocast is on.
        assert not torch.is_autocast_enabled(given.features.device.type)
        return forward(layer, given)

    warn_once.cache_clear()
    with (
        patch.object(ops, "indice_conv", recorded),
        patch.object(spconv.SubMConv3d, "forward", without_autocast),
        warnings.catch_warnings(record=True) as notices,
    ):
        warnings.simplefilter("always")
        for dtype in (torch.bfloat16, torch.float16):
            for given in (feats, feats.to(dtype)):
                expected = submanifold_conv(given.float(), weight, KernelMap.build(coords))
                with torch.autocast("cpu", dtype):
                    assert_close(submanifold_conv(given, weight, find_neighbours(coords, "spconv")), expected)
    assert seen == {torch.float32}
    assert [str(n.message) for n in notices if "float32" in str(n.message)] == [
        "backend spconv convolves in float32 at any precision. Backend torch convolves in 16 bits."
    ]


def threads_do_not_share_a_layer() -> None:
    """Both threads are inside their layer, with their weights in place, before either computes."""
    import spconv.pytorch as spconv

    coords, weights = voxels(), torch.randn(2, 27, 5, 5)
    feats, both, forward = torch.randn(len(coords), 5), threading.Barrier(2, timeout=60), spconv.SubMConv3d.forward
    found: dict[int, Tensor] = {}

    def together(layer: torch.nn.Module, given: spconv.SparseConvTensor) -> spconv.SparseConvTensor:
        both.wait()
        return forward(layer, given)

    def convolve(i: int) -> None:
        found[i] = submanifold_conv(feats, weights[i], find_neighbours(coords, "spconv"))

    with patch.object(spconv.SubMConv3d, "forward", together):
        threads = [threading.Thread(target=convolve, args=(i,)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for i in range(2):
        assert_close(found[i], submanifold_conv(feats, weights[i], KernelMap.build(coords)))


def a_new_layer_leaves_the_generator_alone() -> None:
    """Otherwise a resumed run, which makes its layers again, would draw other numbers."""
    coords = voxels()
    feats, weight = torch.randn(len(coords), 6), torch.randn(27, 6, 7)
    before = torch.get_rng_state()
    submanifold_conv(feats, weight, find_neighbours(coords, "spconv"))
    assert torch.equal(torch.get_rng_state(), before)


def neighbours_are_found_once_for_all_layers() -> None:
    from spconv.pytorch import ops

    coords, weight = voxels(), torch.randn(27, 5, 5)
    with patch.object(ops, "get_indice_pairs", side_effect=ops.get_indice_pairs) as search:
        grid = find_neighbours(coords, "spconv")
        feats = torch.randn(len(coords), 5)
        for _ in range(3):
            feats = submanifold_conv(feats, weight, grid)
    assert search.call_count == 1


def voxels_beyond_int32_equal_torch() -> None:
    """Cell 2**32 would become cell 0, and two far apart clumps one."""
    near = torch.cartesian_prod(torch.tensor([0]), *[torch.arange(3)] * 3)
    for far in (2**32, 2**24):  # past int32 along one axis; past int64 as a volume of 2**24 cells along all three
        shift = torch.tensor([0, 0, 0, far]) if far == 2**32 else torch.tensor([0, far, far, far])
        coords = torch.cat([near, near + shift])
        feats, weight = torch.randn(len(coords), 5), torch.randn(27, 5, 5)
        found = submanifold_conv(feats, weight, find_neighbours(coords, "spconv"))
        assert_close(found, submanifold_conv(feats, weight, KernelMap.build(coords)))


def float64_equals_torch() -> None:
    coords = voxels()
    feats, weight = torch.randn(len(coords), 5, dtype=torch.float64), torch.randn(27, 5, 5, dtype=torch.float64)
    found = submanifold_conv(feats, weight, find_neighbours(coords, "spconv"))
    assert torch.equal(found, submanifold_conv(feats, weight, KernelMap.build(coords)))


def the_cpu_package_is_refused_on_cuda() -> None:
    with pytest.raises(ConfigError, match="found spconv, a build for CPUs"):
        resolve_backend("spconv", torch.device("cuda"))
    assert resolve_backend("spconv", torch.device("cpu")) == "spconv"


CASES: dict[str, Callable[[], None]] = {
    case.__name__: case
    for case in (
        spconvs_own_layers_equal_torch,
        two_layers_equal_torch,
        no_voxels_give_no_rows,
        gradients_on_a_cpu_are_refused,
        autocast_reaches_spconv_in_float32,
        threads_do_not_share_a_layer,
        a_new_layer_leaves_the_generator_alone,
        neighbours_are_found_once_for_all_layers,
        voxels_beyond_int32_equal_torch,
        float64_equals_torch,
        the_cpu_package_is_refused_on_cuda,
    )
}


def fault(case: Callable[[], None]) -> str | None:
    """The traceback of a case that fails."""
    try:
        case()
    except Exception:
        return traceback.format_exc()
    return None


if __name__ == "__main__":
    print(json.dumps({name: fault(case) for name, case in CASES.items()}))
