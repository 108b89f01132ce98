"""Environment of a result: versions, code state, hardware."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from elite.version import __version__

_PACKAGES = ("torch", "numpy", "scipy", "lightning", "spconv", "transformers", "peft")


def describe() -> dict[str, Any]:
    """Return versions, the git commit of the code (None outside a checkout), kernels, processor and GPU."""
    from elite import native

    return {
        "elite": __version__,
        "commit": git_commit(),
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "kernels": native.describe(),
        "hardware": _hardware(),
    }


@cache
def git_commit() -> str | None:
    """Return the commit of the checkout of this package, with ``-dirty`` if files differ from it.

    A process reads it once, because its code does not change any more.
    """
    folder = Path(__file__).parent
    git = ["git", "-C", str(folder)]
    try:
        tracked = subprocess.run([*git, "ls-files", "--error-unmatch", __file__], capture_output=True, timeout=10)
        if tracked.returncode:
            return None
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True)
        dirty = subprocess.run([*git, "diff", "--quiet", "HEAD"], capture_output=True, timeout=10).returncode
    except (OSError, subprocess.SubprocessError):
        return None
    return commit.stdout.strip() + ("-dirty" if dirty else "")


@cache
def _version(package: str) -> str | None:
    """Version of a package, with the name of its distribution if that differs: spconv-cu126 installs spconv."""
    try:
        return version(package)
    except PackageNotFoundError:
        if find_spec(package) is None:
            return None
    names = sorted(set(packages_distributions().get(package, [])))
    return ", ".join(f"{name} {version(name)}" for name in names) or "unknown"


def _hardware() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return ", ".join([f"{_processor()} ({cores} cores)", *_gpus()])


def _gpus() -> list[str]:
    """Names of the GPUs that PyTorch finds, if it is installed."""
    if find_spec("torch") is None:
        return []
    import torch

    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
