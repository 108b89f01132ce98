"""Runs a target on damaged files, within limits of time and memory."""

import resource
import signal
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np

from elite.errors import EliteError
from tests.fuzz.mutate import mutate, mutate_inside
from tests.fuzz.targets import Target

SECONDS = 30.0  # limit per input, for a busy machine
MEMORY = 2**29  # limit of its memory in bytes, above the earlier peak of the process
ADDRESSES = 2**33  # limit of its address space in bytes


class Hang(BaseException):
    """An input took too long. Readers catch Exception, so this is none."""


@dataclass(frozen=True)
class Finding:
    """An input for which a reader neither returned a result nor raised an EliteError."""

    number: int
    file: str
    content: bytes
    error: str
    where: str


def drive(target: Target, folder: Path, *, count: int, seed: int = 0, start: int = 0) -> Iterator[Finding | None]:
    """Yield the finding of each of the inputs ``start``, ``start + 1``, ... of ``seed``, None without one.

    An input depends only on the seed and its number.
    """
    files = target.make(folder)
    whole = {path: path.read_bytes() for path in files}
    target.read(folder)  # undamaged files are read without any error
    for number in range(start, start + count):
        rng = np.random.default_rng((seed, number))
        path = files[rng.integers(len(files))]
        damage = mutate_inside if rng.random() < 0.5 else mutate
        content = damage(whole[path], list(whole.values()), rng)
        path.write_bytes(content)
        finding = None
        try:
            _read(target, folder)
        except (Exception, Hang) as error:
            finding = Finding(number, path.name, content, f"{type(error).__name__}: {str(error)[:200]}", _where(error))
        path.write_bytes(whole[path])
        yield finding


def _read(target: Target, folder: Path) -> None:
    before = _peak()
    with _limits(), warnings.catch_warnings(), suppress(EliteError):
        warnings.simplefilter("error")
        target.read(folder)
    assert _peak() - before < MEMORY, f"{(_peak() - before) >> 20} MiB of memory"


def _peak() -> int:
    """Peak memory of the process in bytes; memory that is allocated and never touched does not count."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def _limits() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise Hang

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, stop)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ADDRESSES, before[1]))
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.signal(signal.SIGALRM, handler)


def _where(error: BaseException) -> str:
    """The innermost place of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "elite" in Path(f.filename).parts] or list(frames)
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
