"""Waiting for other threads and processes."""

import time
from collections.abc import Callable

PATIENCE_S = 180  # long enough for a busy machine


def wait_until(condition: Callable[[], object], what: str = "the condition") -> None:
    """Wait until the condition holds; fail after ``PATIENCE_S``."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)
