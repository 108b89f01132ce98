"""Checks of the values of settings."""

from itertools import pairwise
from typing import Any

from elite.errors import ConfigError


def require(condition: bool, name: str, expected: str, found: Any, remedy: str = "Change the value.") -> None:
    """Check the value of a setting.

    Args:
        condition: whether the value is possible.
        name: full name of the setting.
        expected: description of possible values.
        found: the value.
        remedy: a sentence.

    Raises:
        ConfigError: the condition does not hold.
    """
    if not condition:
        raise ConfigError(f"{name}: expected {expected}, found {found}. {remedy}")


def require_at_least(minimum: float, record: Any, prefix: str, *names: str) -> None:
    """Check that settings of a record are at least ``minimum``."""
    for name in names:
        value = getattr(record, name)
        require(value >= minimum, f"{prefix}{name}", f"at least {minimum}", value)


def require_positive(record: Any, prefix: str, *names: str) -> None:
    """Check that settings of a record are above 0."""
    for name in names:
        value = getattr(record, name)
        require(value > 0, f"{prefix}{name}", "a positive number", value)


def require_shares(record: Any, prefix: str, *names: str) -> None:
    """Check that settings of a record are shares in [0, 1]."""
    for name in names:
        value = getattr(record, name)
        require(0 <= value <= 1, f"{prefix}{name}", "a share in [0, 1]", value)


def require_shares_below_one(record: Any, prefix: str, *names: str) -> None:
    """Check that settings of a record are shares in [0, 1)."""
    for name in names:
        value = getattr(record, name)
        require(0 <= value < 1, f"{prefix}{name}", "a share in [0, 1)", value)


def require_seed(seed: int) -> None:
    """Check the setting ``seed``."""
    require(0 <= seed < 2**32, "seed", "a number in [0, 2^32)", seed)


def require_loader(record: Any) -> None:
    """Check the settings that all data loaders have."""
    require_at_least(1, record, "data.", "batch_size")
    require_at_least(0, record, "data.", "workers")
    require(0 <= record.timeout <= 1e8, "data.timeout", "seconds in [0, 1e8] (0 = no limit)", record.timeout)


def rises(values: tuple[int, ...]) -> bool:
    """Whether each value is larger than the one before it."""
    return all(a < b for a, b in pairwise(values))
