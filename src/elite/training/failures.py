"""Named errors for the failures of a training run."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from elite.errors import ConfigError, EliteError, OutputError, TrainingError, first_line
from elite.signals import Terminated

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG)
_RESUME = "Look for its own message, or for a lack of memory or of shared memory (/dev/shm), then use --resume last."


@contextmanager
def named_errors(processes: int) -> Iterator[None]:
    """Within the block, turn the failures of a run of so many ``processes`` into the library's errors.

    Raises:
        TrainingError: a loader process, or another process of the run, is gone.
        ConfigError: deterministic operations are required, and one has no deterministic form.
        OutputError: the disk is full, or fails.
    """
    try:
        yield
    except EliteError as error:
        raise _without_traceback(error) from error.__cause__
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        raise OutputError(
            f"cannot write to the run folder ({error.strerror}). Check the disk and its limits, then resume with "
            "--resume last."
        ) from error
    except Exception as error:
        if (named := _named(error, processes)) is None:
            raise
        raise named from error


def _named(error: Exception, processes: int) -> BaseException | None:
    """Error of elite for ``error`` or one of its causes, or None."""
    for cause in _causes(error):
        if isinstance(cause, EliteError):
            return _without_traceback(cause)
        if isinstance(cause, Terminated):
            return cause
        if isinstance(cause, RuntimeError) and (lost := _lost_process(str(cause), processes)):
            return TrainingError(f"{lost} ({first_line(cause)}). {_RESUME}")
        if operation := _without_deterministic_form(str(cause)):
            return ConfigError(
                f"deterministic training: expected deterministic operations, found {operation}, which has no such form "
                "on this device. Set --no-deterministic."
            )
    return None


def _without_traceback(error: EliteError) -> EliteError:
    """Original error, without the traceback of a loader process that its text may contain."""
    _, marker, text = str(error).rpartition(f"{type(error).__module__}.{type(error).__name__}: ")
    return type(error)(text.strip()) if marker and str(error).startswith("Caught ") else error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes. The loss of a loader process is raised by a signal handler, within any other code."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _lost_process(message: str, processes: int) -> str | None:
    """Description of the lost process, if the message is about one."""
    if "DataLoader worker" in message:
        return "a loader process was killed"
    if re.search("ancdata|too many open files", message, re.IGNORECASE):
        return "the loader processes cannot hand over a batch, as this process has too many open files (ulimit -n)"
    if processes > 1 and re.search("gloo|nccl|process group|peer|timed? ?out", message, re.IGNORECASE):
        return "another process of this run is gone or does not respond"
    return None


def _without_deterministic_form(message: str) -> str | None:
    """Operation that torch refuses in deterministic mode according to the message, or None."""
    found = re.match(r"(\w+) does not have a deterministic implementation", message)
    return found and found[1]
