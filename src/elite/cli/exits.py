"""How a command ends: whatever happens becomes one line and an exit status, never a traceback of an outside cause."""

import errno
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from elite.errors import EliteError, StoppedError
from elite.signals import Terminated, raise_on_signal
from elite.terminal import notice, one_line, say

USAGE, INTERRUPTED, PIPE_GONE, STOPPED = 2, 130, 141, 143


def exit_status(run: Callable[[], int]) -> int:
    """The exit status of ``run``, with every outside cause of failure reported in one line on stderr.

    Errors of the program itself (anything that is neither an EliteError, an OSError nor a MemoryError) pass through.
    """
    _open_standard_streams()
    try:
        with raise_on_signal(), _warnings_as_notices():
            return _flushed(run)
    except BrokenPipeError:
        _discard_output()
        return PIPE_GONE
    except (Terminated, KeyboardInterrupt, EliteError, OSError, MemoryError) as error:
        return _report(error)


@contextmanager
def _warnings_as_notices() -> Iterator[None]:
    """Print a warning as one line, without the place in the code that raised it."""
    before = warnings.showwarning
    warnings.showwarning = lambda message, *_: notice(one_line(message))
    try:
        yield
    finally:
        warnings.showwarning = before


def _flushed(run: Callable[[], int]) -> int:
    """Output that is still buffered belongs to the command: a full disk must not pass as success."""
    try:
        status = run()
    except SystemExit:  # of --help and --print_config
        sys.stdout.flush()
        raise
    sys.stdout.flush()
    return status


def _report(error: BaseException) -> int:
    line, status = _explained(error)
    try:
        say(f"elite: {line}", error=True)
    except OSError:  # stderr is gone too; the status is all that is left
        pass
    finally:
        _discard_output()
    return status


def _explained(error: BaseException) -> tuple[str, int]:
    """(what to print, exit status)."""
    match error:
        case Terminated():
            return str(error), error.status
        case KeyboardInterrupt():
            return "interrupted", INTERRUPTED
        case StoppedError():
            return one_line(error), STOPPED
        case EliteError():
            return f"error: {one_line(error)}", USAGE
        case OSError(filename=str() | bytes() as name):
            where = one_line(os.fsdecode(name))
            return f"error: cannot access {where} ({error.strerror}). Check its permissions and the storage.", USAGE
        case OSError():
            remedy = " Free the disk." if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
            return f"error: {one_line(error.strerror or error)}.{remedy}", USAGE
        case _:
            return "error: not enough memory; use smaller inputs, fewer --workers, or a larger machine.", USAGE


def _open_standard_streams() -> None:
    """Give a process that was started without some of the descriptors 0 to 2 a null device in their place.

    Otherwise the next file that is opened becomes its stdout or stderr. What cannot be encoded is escaped.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (as long as the process)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """Send what is still buffered nowhere, or Python fails once more when it closes stdout at exit."""
    for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, descriptor)
            os.close(null)
