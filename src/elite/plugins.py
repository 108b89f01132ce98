"""Classes of other packages, named package.module:Class: the only place that imports code by a name."""

from pkgutil import resolve_name
from typing import Any

from elite.errors import ConfigError


def make_plugin(name: str, *, role: str) -> Any:
    """An instance of the class ``package.module:Class``, made without arguments. Importing it runs its package.

    A name from a configuration file comes here only with --allow-import (elite.cli.config_file).

    Raises:
        ConfigError: there is no such class; ``role`` says what it was meant to be.
    """
    try:
        if ":" not in name:
            raise ValueError("not of the form package.module:Class")
        return resolve_name(name)()
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ConfigError(
            f"'{name}' is not a {role} ({error}); expected package.module:Class, a class that can be made without "
            "arguments."
        ) from error
