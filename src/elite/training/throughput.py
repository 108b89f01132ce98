"""Throughput of a run."""

import time


class Throughput:
    """Scans per second, and the fraction of time spent waiting for data, since the last ``restart``.

    Validation does not count: ``pause`` before it and ``resume`` after it.
    """

    def __init__(self, processes: int = 1) -> None:
        self.processes = processes
        self.restart()

    def restart(self) -> None:
        self._start = self._idle_since = time.monotonic()
        self._scans, self._waited = 0, 0.0

    def batch_arrived(self) -> None:
        self._waited += time.monotonic() - self._idle_since

    def batch_done(self, scans: int) -> dict[str, float]:
        """Count a batch of this process. Returns the metrics ``scans/s`` (of all processes) and ``waiting``."""
        self._idle_since = time.monotonic()
        self._scans += scans
        passed = self._idle_since - self._start
        return {"scans/s": self._scans * self.processes / passed, "waiting": self._waited / passed}

    def pause(self) -> None:
        self._paused = time.monotonic()

    def resume(self) -> None:
        pause = time.monotonic() - self._paused
        self._start += pause
        self._idle_since += pause
