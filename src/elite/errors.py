"""The few exceptions a user can meet. Each message says what was expected, what was found and what to do."""

from importlib.util import find_spec


class EliteError(Exception):
    """Something the user can mend. The command line prints it as one line and exits with status 2."""


class DataError(EliteError):
    """A file of the data set is missing, damaged, or does not fit the others."""


class CheckpointError(EliteError):
    """A checkpoint cannot be read, or does not fit the network it is meant for."""


class ConfigError(EliteError):
    """A setting has an impossible value."""


class TrainingError(EliteError):
    """A run cannot go on: its numbers are no longer finite, or one of its processes is gone."""


class StoppedError(EliteError):
    """A run was asked to stop, did so after its step, and can go on later. The command exits with status 143."""


class OutputError(EliteError):
    """A result cannot be written where it was asked to go."""


class MissingExtraError(EliteError):
    """An optional package is needed and not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f'{package} is not installed; run: pip install "elite-lidar[{extra}]"')


def require_extra(package: str, extra: str) -> None:
    """Raises MissingExtraError unless the package is installed."""
    if find_spec(package) is None:
        raise MissingExtraError(package, extra)


def first_line(error: Exception) -> str:
    """What another library complained about, short enough to stand in a message of ours."""
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
