"""Checks of the values of result files. They raise a ConfigError, which the reader turns into one about the file."""

from elite.errors import ConfigError

LARGEST_COUNT = 2**53  # floats represent all smaller integers exactly


def require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def check_shares(where: str, **values: float | tuple[float | None, ...] | None) -> None:
    for name, value in values.items():
        for share in value if isinstance(value, tuple) else (value,):
            in_range = share is None or 0 <= share <= 1 + 1e-6
            require(in_range, f"{_joined(where, name)}: expected a number from 0 to 1, found {share}.")


def check_counts(where: str, **values: int | None) -> None:
    for name, value in values.items():
        in_range = value is None or 0 <= value <= LARGEST_COUNT
        require(in_range, f"{_joined(where, name)}: expected a count, found {str(value)[:30]}.")


def _joined(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
