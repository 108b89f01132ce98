"""Lock of a run folder, since two runs that write into one folder would destroy their results."""

import errno
import fcntl
import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from elite.errors import ConfigError
from elite.files import parse_json
from elite.terminal import say

_HELD = {errno.EACCES, errno.EAGAIN}


class RunLock:
    """Exclusive access to the run folder ``out``: a lock on ``path``, from ``acquire`` to the end of the block.

    The record lock belongs to this process only, not to loader processes that may end a moment later. If the file
    system does not support locks, the run prints a notice and continues.
    """

    def __init__(self, out: Path, path: Path) -> None:
        self.out, self.path = out, path
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            with suppress(OSError):
                self.path.unlink()  # while it is locked, so that no other process can have acquired it
            os.close(self._descriptor)
            self._descriptor = None

    def acquire(self) -> None:
        """Acquire the lock unless this object already holds it.

        Raises:
            ConfigError: another process holds it.
        """
        while self._descriptor is None:
            try:
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError as error:
                return self._warn(error)
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                holder = _read_holder(descriptor)
                os.close(descriptor)
                if error.errno not in _HELD:
                    return self._warn(error)
                raise ConfigError(
                    f"{self.out}: expected a folder that no other run writes to, found the run of {holder}. Wait "
                    "until it ends, or choose another --out."
                ) from error
            if _is_file_at(descriptor, self.path):
                self._descriptor = descriptor
                _write_holder(descriptor)
            else:
                os.close(descriptor)  # the previous holder has just removed this file

    def _warn(self, error: OSError) -> None:
        say(
            f"{self.path} cannot be locked ({error.strerror}). Make sure that no other run writes to {self.out}",
            error=True,
        )


def _is_file_at(descriptor: int, path: Path) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def _write_holder(descriptor: int) -> None:
    with suppress(OSError):  # the lock holds without it
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)


def _read_holder(descriptor: int) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        holder: dict[str, Any] = parse_json(os.pread(descriptor, 4096, 0))
        return f"process {holder['pid']} on {holder['host']}"
    return "another process"
