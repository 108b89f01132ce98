"""The spconv backend against plain torch, in a process of its own: spconv's CPU build is exact on one thread only."""

import importlib.util
import os
import subprocess
import sys

import pytest

PROOF = """
import torch
from elite.errors import ConfigError
from elite.sparse import kernel_map, submanifold_conv
from elite.sparse.backends import neighbours

torch.manual_seed(0)
coords = torch.unique(torch.randint(-6, 6, (900, 4)) * torch.tensor([0, 1, 1, 1]) + torch.tensor([0, 0, 5, -9]), dim=0)
coords = torch.cat([coords, coords + torch.tensor([1, 0, 0, 0])])  # two scans
torch.manual_seed(1)
feats, weights = torch.randn(len(coords), 5), torch.randn(2, 27, 5, 5)
results = [
    submanifold_conv(submanifold_conv(feats, weights[0], grid), weights[1], grid)
    for grid in (kernel_map(coords), neighbours(coords, "spconv"))
]
torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-4 * float(results[0].abs().max()))
none = neighbours(torch.empty(0, 4, dtype=torch.int64), "spconv")
assert submanifold_conv(torch.empty(0, 5), weights[0], none).shape == (0, 5)
try:
    submanifold_conv(feats, weights[0].requires_grad_(), neighbours(coords, "spconv"))
    raise AssertionError
except ConfigError as error:
    assert "--backend native" in str(error)
"""


@pytest.mark.skipif(importlib.util.find_spec("spconv") is None, reason="spconv is not installed")
def test_convolutions_of_two_layers_equal_torch():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROOF],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
