"""Batches from loader processes, with bounded waits: a failed or stalled loader ends the run with a named cause."""

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from elite.errors import DataError, TrainingError, first_line
from elite.stopping import SIGNALS, Stopping

SHARED_MEMORY = Path("/dev/shm")
_PREFETCH = 2  # batches that each loader process of torch prepares in advance
_PAGE = 4096
_QUEUES = 2**17  # bytes of the queues and locks of the loaders, which are in shared memory too
_REMEDY = (
    "Enlarge /dev/shm (docker run --shm-size 8g, or --ipc=host), lower --data.batch-size, or give --data.workers 0."
)
_OUT_OF_SPACE = re.compile("shared memory|shm|no space left|file too large|too many open files", re.IGNORECASE)
_END = object()


class BatchLoader(DataLoader[Any]):
    """DataLoader whose waits end after ``limit`` seconds (0 = no limit), or when a signal arrives.

    Raises when iterated:
        DataError: no batch arrived in time. The message names the open files.
        TrainingError: loader processes cannot be started, or cannot pass on a batch.
        Terminated: ``stopping`` has received a signal.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        *,
        collate: Callable[[list[Any]], Any],
        workers: int,
        limit: float,
        stopping: Stopping,
        **settings: Any,
    ) -> None:
        super().__init__(
            dataset,
            collate_fn=SharedMemoryCollate(collate),
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=survive_first_signal,
            timeout=limit if workers > 0 else 0,
            generator=torch.Generator(),  # each sample has its own generator, so the global one stays unused
            **settings,
        )
        self.limit, self.stopping = limit, stopping
        self._processes: set[BaseProcess] = set()
        self._open_before: set[str] = set()

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        self._open_before = open_files()
        before = set(active_children())
        try:
            batches = self._guarded(super().__iter__)
        except BaseException as error:
            kill(set(active_children()) - before)
            if not isinstance(error, OSError):
                raise
            raise TrainingError(
                f"cannot start {self.num_workers} loader processes ({error.strerror}): expected space for their queues "
                f"in {SHARED_MEMORY}, free process ids and free memory. {_REMEDY}"
            ) from error
        self._processes |= set(active_children()) - before
        return self._bounded(batches)

    def check_worker_number_rationality(self) -> None:
        """No advice of PyTorch: more processes than cores are not a fault, since they also wait for files."""

    @property
    def processes(self) -> set[BaseProcess]:
        """Loader processes that this loader has started."""
        return set(self._processes)

    def _bounded(self, batches: Iterator[Any]) -> Iterator[Any]:
        while (batch := self._guarded(lambda: next(batches, _END))) is not _END:
            yield batch

    def _guarded(self, step: Callable[[], Any]) -> Any:
        """Return the result of a step that may wait.

        If it fails, the loader processes are killed, since one that waits for a file would delay the end of the run.
        """
        try:
            with self.stopping.wait(self.limit, self._timeout_error):
                return step()
        except BaseException as error:
            # PyTorch's own limit holds in threads, where an alarm cannot be set.
            timed_out = isinstance(error, RuntimeError) and "DataLoader timed out" in str(error)
            timeout_error = self._timeout_error() if timed_out else None
            kill(self._processes)
            if timeout_error is not None:
                raise timeout_error from error
            raise

    def _timeout_error(self) -> DataError:
        pids = [process.pid for process in self._processes if process.pid]
        return timeout_error(self.limit, self._open_before, *pids)


def timeout_error(limit: float, open_before: set[str], *pids: int) -> DataError:
    """Error for data that did not arrive within ``limit`` seconds.

    It names the files that the reading processes (default: this one) have opened since ``open_before``.
    """
    files = ", ".join(sorted(open_files(*pids) - open_before)) or "none"
    return DataError(
        f"no data in {limit:g} s: expected a batch within data.timeout, found the loader still reading these "
        f"files: {files}. Check that storage, or raise --data.timeout (0 = no limit)."
    )


class SharedMemoryCollate:
    """Collate function that moves its batch into shared memory in the loader process.

    The queue between the processes would do that in a thread, where an error is only printed and the batch is lost.

    Raises when called:
        TrainingError: the shared memory is too small for the batch.
    """

    def __init__(self, collate: Callable[[list[Any]], Any]) -> None:
        self.collate = collate

    def __call__(self, samples: list[Any]) -> Any:
        if get_worker_info() is None:
            return self.collate(samples)
        try:
            batch = self.collate(samples)
            for tensor in tensors_of(batch):
                tensor.share_memory_()
        except RuntimeError as error:
            if not _OUT_OF_SPACE.search(str(error)):
                raise
            raise TrainingError(
                f"a loader process cannot pass its batch through shared memory ({first_line(error)}): expected space "
                f"in {SHARED_MEMORY} and no limit on file sizes or open files (ulimit -f, -n). {_REMEDY}"
            ) from error
        return batch


def tensors_of(value: Any) -> Iterator[Tensor]:
    """Yield all tensors of a record, tuple or list, at any depth."""
    if isinstance(value, Tensor):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from tensors_of(getattr(value, field.name))
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors_of(part)


def shared_bytes(batch: Any) -> int:
    """Bytes of a batch in shared memory: each tensor takes a number of complete pages."""
    return sum(-(-tensor.nbytes // _PAGE) * _PAGE for tensor in tensors_of(batch))


def bytes_in_flight(batch: int, workers: int) -> int:
    """Bytes of shared memory for the batches that ``workers`` processes prepare, and the one in use."""
    return (workers * _PREFETCH + 1) * batch + _QUEUES if workers else 0


def check_shared_memory(needed: int) -> None:
    """Check that the batches in flight fit into shared memory.

    Raises:
        TrainingError: /dev/shm is too small, as in a container with its default of 64 MB.
    """
    if not SHARED_MEMORY.is_dir():  # other systems have shared memory elsewhere
        return
    found = os.statvfs(SHARED_MEMORY)
    free = found.f_bavail * found.f_frsize
    if free < needed:
        raise TrainingError(
            f"{SHARED_MEMORY}: expected {_megabytes(needed)} for the batches of the loader processes, found "
            f"{_megabytes(free)} free. {_REMEDY}"
        )


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.3g} MiB"


def survive_first_signal(_worker: int = 0) -> None:
    """Let a loader process survive the first signal to its process group: the run still needs it for its step."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                signal.signal(number, lambda arrived, _: signal.signal(arrived, signal.SIG_DFL))


def open_files(*pids: int) -> set[str]:
    """Paths of the open files of these processes (default: this one); empty on systems without /proc."""
    return {path for pid in pids or [os.getpid()] for path in _descriptors(pid)}


def _descriptors(pid: int) -> Iterator[str]:
    with suppress(OSError):
        for descriptor in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                path = os.readlink(descriptor.path)
                if path.startswith("/") and not path.startswith(("/dev/", "/proc/", "/sys/", "/memfd:")):
                    yield path


def kill(processes: set[BaseProcess]) -> None:
    """Kill loader processes, which have nothing to save."""
    with _without_reports_of_killed_loaders():
        for process in processes:
            process.kill()
        for process in processes:
            process.join(1)  # it may take longer in uninterruptible sleep (an unreachable network disk)
    processes.clear()


@contextmanager
def _without_reports_of_killed_loaders() -> Iterator[None]:
    """Disable PyTorch's handler of SIGCHLD, which raises an error at any line of this process for a killed loader."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, handler)
