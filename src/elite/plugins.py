"""Classes of other packages, named package.module:Class. No other module imports code by name."""

from inspect import signature
from pkgutil import resolve_name
from typing import TypeVar

from elite.errors import ConfigError

Role = TypeVar("Role")


def make_plugin(name: str, role: type[Role]) -> Role:
    """Make an instance of the class ``package.module:Class`` without arguments. Its import runs code of its package.

    Names from configuration files are accepted only with --allow-import (elite.cli.config_file).

    Args:
        name: the class.
        role: protocol that it must implement.

    Raises:
        ConfigError: the class does not exist, or its instances lack a part of the protocol.
    """
    try:
        if ":" not in name:
            raise ValueError("not of the form package.module:Class")
        plugin = resolve_name(name)
        signature(plugin).bind()
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise _unusable(name, role, error) from error
    made = plugin()  # its errors pass through: they are faults of its package
    if not isinstance(made, role):
        parts = [*role.__annotations__, *(part for part in vars(role) if not part.startswith("_"))]
        raise _unusable(name, role, f"it lacks {', '.join(part for part in parts if not hasattr(made, part))}")
    return made


def _unusable(name: str, role: type, reason: object) -> ConfigError:
    return ConfigError(
        f"'{name}' is not a {role.__name__} ({reason}); expected package.module:Class, a class made without arguments."
    )
