"""Exceptions for users. Each message states the expectation, the finding and the remedy."""

from importlib.util import find_spec

# Optional packages by the extra that installs them.
_PACKAGES = {
    "train": ("torch", "lightning", "scipy"),
    "teacher": ("transformers", "peft"),
    "plg": ("skimage",),
    "synth": ("trimesh", "embreex"),
    "formats": ("pypcd4", "plyfile", "laspy", "lazrs"),
    "ros": ("rosbags", "mcap"),
    "report": ("matplotlib", "jinja2"),
    "view": ("viser", "websockets", "rich"),
    "spconv": ("spconv",),
}


class EliteError(Exception):
    """Error that the user can correct. The command line prints it as one line and exits with status 2."""


class DataError(EliteError):
    """A file of the data set is missing, damaged, or does not match the others."""


class CheckpointError(EliteError):
    """A checkpoint is not readable, or does not match its network."""


class ConfigError(EliteError):
    """A setting has an impossible value.

    Attributes:
        key: path of the setting in its file, such as ``cameras.front.K``; empty if it is unknown.
    """

    def __init__(self, message: str, *, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class TrainingError(EliteError):
    """A run cannot continue: its numbers are not finite, or one of its processes has ended."""


class StoppedError(EliteError):
    """A run has stopped after a step because of a signal, and can be resumed. The command exits with status 143."""


class OutputError(EliteError):
    """A result is not writable at its path."""


class MissingExtraError(EliteError):
    """A required optional package is not installed."""

    def __init__(self, package: str, extra: str, *, needed_for: str = "") -> None:
        purpose = f" and is needed for {needed_for}" if needed_for else ""
        super().__init__(  # elite is not on PyPI
            f"{package} is not installed{purpose}. Run 'pip install \".[{extra}]\"' in the clone of elite."
        )


def require_extra(package: str, extra: str, *, needed_for: str = "") -> None:
    """Check that an optional package is installed.

    Raises:
        MissingExtraError: it is not.
    """
    if find_spec(package) is None:
        raise MissingExtraError(package, extra, needed_for=needed_for)


def missing_extra(error: ModuleNotFoundError) -> MissingExtraError | None:
    """Return the error of an import whose package an extra installs; None for other modules."""
    package = (error.name or "").partition(".")[0]
    extra = next((extra for extra, packages in _PACKAGES.items() if package in packages), None)
    return None if extra is None else MissingExtraError(package, extra)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the memory of the machine or of a GPU does not suffice, whatever library reports it."""
    if isinstance(error, RuntimeError):  # PyTorch: a class of its own on a GPU, a plain RuntimeError on a CPU
        return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
    return isinstance(error, MemoryError)


def is_machine_fault(error: BaseException) -> bool:
    """Whether memory does not suffice or a GPU has failed, so that no file and no setting is at fault."""
    has_failed = type(error).__name__ == "AcceleratorError" or "CUDA error" in str(error)
    return (isinstance(error, RuntimeError) and has_failed) or is_out_of_memory(error)


def first_line(error: BaseException) -> str:
    """Return the first line of another library's error, or the reason of the system's, short enough for a message."""
    reason = getattr(error, "strerror", None) or str(error)  # without '[Errno 2]' and the path
    return (reason.splitlines() or [type(error).__name__])[0][:160]
