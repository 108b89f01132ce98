"""Names of a package that its modules define, imported on first use."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from elite.errors import missing_extra


def lazy_names(package: str, names: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package, which raises MissingExtraError if a module requires an extra."""
    modules = {name: module for module, defined in names.items() for name in defined}

    def get(name: str) -> Any:
        if name in modules:
            try:
                return getattr(import_module(modules[name]), name)
            except ModuleNotFoundError as error:
                raise missing_extra(error) or error from error
        raise AttributeError(f"module '{package}' has no attribute '{name}'")

    return get
