"""End of a command: each outside cause of failure becomes one line and an exit status, never a traceback."""

import errno
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from elite.errors import EliteError, StoppedError, first_line, is_out_of_memory, missing_extra
from elite.signals import Terminated, raise_on_signal
from elite.terminal import notice, one_line, say

USAGE, INTERRUPTED, PIPE_GONE, STOPPED = 2, 130, 141, 143


def exit_status(run: Callable[[], int]) -> int:
    """Run a command and return its exit status. Report an outside cause of failure in one line on stderr.

    Errors of the program itself (neither EliteError, OSError nor lack of memory) pass through.
    """
    _open_standard_streams()
    try:
        with raise_on_signal(), _warnings_as_notices():
            return _flushed(run)
    except BrokenPipeError:
        _discard_output()
        return PIPE_GONE
    except ModuleNotFoundError as error:
        missing = missing_extra(error)
        if missing is None:
            raise
        return _report_error(missing)
    except (Terminated, KeyboardInterrupt, EliteError, OSError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not is_out_of_memory(error):
            raise
        return _report_error(error)


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
    """Run a command and flush its output: a full disk must not pass as success."""
    try:
        status = run()
    except SystemExit:  # of --help and --print-config
        sys.stdout.flush()
        raise
    sys.stdout.flush()
    return status


def _report_error(error: BaseException) -> int:
    line, status = _describe(error)
    try:
        say(f"elite: {line}", error=True)
    except OSError:  # stderr is gone too; only the status remains
        pass
    finally:
        _discard_output()
    return status


def _describe(error: BaseException) -> tuple[str, int]:
    """(line to print, exit status)."""
    match error:
        case Terminated():
            return _with_advice(str(error), error), error.status
        case KeyboardInterrupt():
            return _with_advice("interrupted", error), INTERRUPTED
        case StoppedError():
            return one_line(error), STOPPED
        case EliteError():
            return f"error: {one_line(error)}", USAGE
        case OSError(filename=str() | bytes() as name):
            where = one_line(os.fsdecode(name))
            found = f"{where}: expected a file or folder that can be accessed, found '{first_line(error)}'."
            return f"error: {found} Check the path, its permissions and the storage.", USAGE
        case OSError():
            remedy = " Free the disk." if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
            return f"error: {one_line(first_line(error))}.{remedy}", USAGE
        case _:
            where = " on the GPU" if "CUDA" in str(error) else ""
            remedy = "Use smaller inputs or batches, fewer --workers, or a larger machine."
            return f"error: not enough memory{where}. {remedy}", USAGE


def _with_advice(text: str, error: BaseException) -> str:
    """Add how to continue the command, which is a note of the exception."""
    advice = " ".join(filter(None, getattr(error, "__notes__", ())))
    return f"{text}. {advice}" if advice else text


def _open_standard_streams() -> None:
    """Open a null device in place of missing descriptors 0 to 2, and escape characters that cannot be encoded.

    Without it, the next opened file would become stdout or stderr.
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
    """Discard buffered output. Otherwise Python fails again when it closes stdout at exit."""
    for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, descriptor)
            os.close(null)
