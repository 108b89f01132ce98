"""Builds of libelite by CMake."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

LIBELITE = Path(__file__).resolve().parents[2] / "libelite"


def run(*command: object, **environment: str) -> str:
    """Run a command, and return its output; it must succeed."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, env=os.environ | environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def program(name: str) -> str:
    """Path of a program; skips the test without it."""
    return shutil.which(name) or pytest.skip(f"{name} is not installed")


def build(folder: Path, *options: str) -> None:
    run(program("cmake"), "-S", LIBELITE, "-B", folder, *options)
    run("cmake", "--build", folder, "--parallel", os.cpu_count())
