"""The spconv backend against plain torch, and which backend is chosen where spconv is missing, broken or another build.

Cases that need spconv share one separate process (``spconv_cases``).
"""

import importlib.util
import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch

from elite import environment
from elite.errors import ConfigError, MissingExtraError
from elite.sparse import backends, resolve_backend, spconv_conv
from tests.support.spconv_cases import CASES
from tests.support.waiting import PATIENCE_S

CUDA = torch.device("cuda")


@pytest.fixture(scope="module")
def faults() -> dict[str, str | None]:
    """Traceback of each case, None if it passed."""
    if importlib.util.find_spec("spconv") is None:
        pytest.skip("spconv is not installed")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.support.spconv_cases"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", CASES)
def test_spconv(faults: dict[str, str | None], case: str) -> None:
    assert faults[case] is None, faults[case]


# ---- the choice -------------------------------------------------------------------------------------------------


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Replace spconv by a package with this distribution name, which runs this code when it is imported."""

    def put(distribution: str, on_import: str) -> None:
        package = tmp_path / "spconv"
        for folder in (package, package / "pytorch"):
            folder.mkdir()
            (folder / "__init__.py").write_text("")
        (package / "pytorch" / "__init__.py").write_text(on_import)
        (package / "cppconstants.py").write_text(f"CPU_ONLY_BUILD = {distribution == 'spconv'}")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setattr(spconv_conv, "packages_distributions", lambda: {"spconv": [distribution]})

    for name in [n for n in sys.modules if n.split(".")[0] == "spconv"]:
        monkeypatch.delitem(sys.modules, name)
    for cached in (spconv_conv.spconv_fault, spconv_conv.warn_once):
        cached.cache_clear()
    yield put
    for cached in (spconv_conv.spconv_fault, spconv_conv.warn_once):
        cached.cache_clear()
    for name in [n for n in sys.modules if n.split(".")[0] == "spconv"]:
        del sys.modules[name]


def test_resolve_backend_with_a_cuda_build_of_spconv_takes_it(install) -> None:
    install("spconv-cu126", "")
    assert resolve_backend("auto", CUDA) == resolve_backend("spconv", CUDA) == "spconv"


@pytest.mark.parametrize(
    ("distribution", "on_import", "message"),
    [
        ("spconv", "", "expected a build for CUDA, found spconv, a build for CPUs"),
        ("spconv-cu126", "raise ImportError('libcudart.so.12: no such file')", "spconv-cu126 .*libcudart.so.12"),
        ("spconv-cu126", "raise RuntimeError('made for another torch')", "spconv-cu126 .*made for another torch"),
    ],
    ids=["CPU build", "missing library", "other torch"],
)
def test_resolve_backend_with_a_useless_spconv_refuses_it_or_falls_back_with_a_notice(
    install, distribution: str, on_import: str, message: str
) -> None:
    install(distribution, on_import)
    with pytest.raises(ConfigError, match=f"{message}.*Install .*spconv-cu126.*--backend torch"):
        resolve_backend("spconv", CUDA)
    with pytest.warns(RuntimeWarning, match=f"{message}.*plain PyTorch"):
        assert resolve_backend("auto", CUDA) == "torch"
    assert resolve_backend("auto", CUDA) == "torch"  # and reports it once


def test_resolve_backend_without_spconv_falls_back_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (backends, spconv_conv):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setattr("elite.errors.find_spec", lambda name: None)
    spconv_conv.spconv_fault.cache_clear()
    assert resolve_backend("auto", CUDA) == "torch"
    with pytest.raises(ConfigError, match=r"not installed.*spconv-cu126"):  # the extra would install the CPU build
        resolve_backend("spconv", CUDA)
    with pytest.raises(MissingExtraError):
        resolve_backend("spconv", torch.device("cpu"))
    spconv_conv.spconv_fault.cache_clear()


def test_resolve_backend_in_deterministic_mode_takes_torch_and_refuses_spconv(
    install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("spconv-cu126", "")
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    assert resolve_backend("auto", CUDA) == "torch"
    with pytest.raises(ConfigError, match=r"deterministic.*--backend torch"):
        resolve_backend("spconv", CUDA)


def test_version_of_the_cuda_build_of_spconv_names_its_package(install, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(distribution: str) -> str:
        if distribution != "spconv-cu126":
            raise PackageNotFoundError(distribution)
        return "2.3.8"

    install("spconv-cu126", "")
    environment._version.cache_clear()
    monkeypatch.setattr(environment, "version", version)
    monkeypatch.setattr(environment, "packages_distributions", lambda: {"spconv": ["spconv-cu126"]})
    assert environment._version("spconv") == "spconv-cu126 2.3.8"
    assert environment._version("a_package_that_does_not_exist") is None
    environment._version.cache_clear()
