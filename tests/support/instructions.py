"""Tests with a chosen instruction set of the C++ kernels."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from elite.native.loader import opened

FLOAT = ("portable", "avx2", "avx512", "avx512bf16", "neon")
BFLOAT16 = ("portable", "avx512bf16", "avx512amx", "neon", "neonbf16")
INT8 = ("portable", "avxvnni", "avx512bf16", "avx512amx", "neon", "neondot")


@contextmanager
def limited_to(instructions: str) -> Iterator[None]:
    """Use this instruction set, or skip the test if the processor lacks it."""
    opened().elite_limit(instructions.encode())
    try:
        if opened().elite_instructions().decode() != instructions:
            pytest.skip(f"this processor has no {instructions}")
        yield
    finally:
        opened().elite_limit(None)


def available(names: Iterable[str]) -> list[str]:
    """The instruction sets among these that the processor has."""
    found = []
    for name in names:
        opened().elite_limit(name.encode())
        if opened().elite_instructions().decode() == name:
            found.append(name)
    opened().elite_limit(None)
    return found
