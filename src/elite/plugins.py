"""Classes of other packages, named package.module:Class. No other module imports code by name."""

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
        made = resolve_name(name)()
        if not isinstance(made, role):
            parts = [*role.__annotations__, *(part for part in vars(role) if not part.startswith("_"))]
            raise TypeError(f"it lacks {', '.join(part for part in parts if not hasattr(made, part))}")
        return made
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ConfigError(
            f"'{name}' is not a {role.__name__} ({error}); expected package.module:Class, a class made without "
            "arguments."
        ) from error
