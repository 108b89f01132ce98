"""Classes of other packages, named package.module:Class. No other module imports code by name."""

from inspect import signature
from pkgutil import resolve_name
from typing import Any, TypeVar

from elite.errors import ConfigError

Role = TypeVar("Role")


def make_plugin(name: str, role: type[Role], *arguments: Any, **options: Any) -> Role:
    """Make an instance of the class ``package.module:Class``. Its import runs code of its package.

    Names from configuration files are accepted only with --allow-import (elite.cli.config_file).

    Args:
        name: the class.
        role: protocol that it must implement.
        *arguments: of the class.
        **options: of the class.

    Raises:
        ConfigError: the class does not exist or has other arguments, or its instances lack a part of the protocol.
    """
    try:
        if ":" not in name:
            raise ValueError("not of the form package.module:Class")
        plugin = resolve_name(name)
        signature(plugin).bind(*arguments, **options)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise _unusable(name, role, error, arguments, options) from error
    if missing := sorted(getattr(plugin, "__abstractmethods__", ())):
        raise _unusable(name, role, f"it does not define {', '.join(missing)}", arguments, options)
    made = plugin(*arguments, **options)  # its errors pass through: they are faults of its package
    if not isinstance(made, role):
        parts = [*role.__annotations__, *(part for part in vars(role) if not part.startswith("_"))]
        reason = f"it lacks {', '.join(part for part in parts if not hasattr(made, part))}"
        raise _unusable(name, role, reason, arguments, options)
    return made


def _unusable(
    name: str, role: type, reason: object, arguments: tuple[Any, ...], options: dict[str, Any]
) -> ConfigError:
    given = ", ".join([*(repr(str(value)) for value in arguments), *options])
    return ConfigError(
        f"'{name}' is not a {role.__name__} ({reason}); expected package.module:Class, a class made "
        f"{f'with ({given})' if given else 'without arguments'}."
    )
