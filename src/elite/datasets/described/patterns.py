"""Patterns of files in a description: one ``*`` stands for the name of a frame."""

from pathlib import Path

from elite.errors import ConfigError


def require_star(pattern: str, key: str) -> None:
    """Check that a pattern has one ``*``, which stands for the name of a frame.

    Raises:
        ConfigError: it has none or several, or leads out of the folder of a sequence.
    """
    path = Path(pattern)
    if pattern.count("*") != 1 or any(c in pattern for c in "?[") or path.is_absolute() or ".." in path.parts:
        raise ConfigError(
            f"{key}: expected a path below the folder of a sequence with one '*', such as lidar/*.pcd, found "
            f"'{pattern}'. Change the pattern.",
            key=key,
        )
