"""Runtime checks of the shapes and dtypes in signatures."""

import functools
from dataclasses import is_dataclass
from typing import Any
from unittest.mock import patch

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook, jaxtyped

# Functions whose own errors for wrong shapes and dtypes are tested.
REFUSE_THEMSELVES = ("Segmenter.__call__", "Segmenter.crop", "write_dense")
INT_IS_FLOAT = BeartypeConf(is_pep484_tower=True)


def install_shape_checks() -> None:
    """Check the shapes and dtypes in the signatures of every module of elite that is imported from now on.

    The import hook applies ``jaxtyping.jaxtyped`` to each function. That wraps also functions without a shape, and
    checks arguments twice, which is half of the processor time of the tests. ``check_shapes`` replaces it.
    """
    patch("jaxtyping.jaxtyped", lambda **_: check_shapes).start()
    install_import_hook("elite", None)


def check_shapes(definition: Any) -> Any:
    """Check each argument and result that is annotated with a shape.

    Other annotations are the task of the static type checker: tests pass minimal fakes for records and services.

    Args:
        definition: function; or class, of which ``__init__`` is checked if it is a dataclass.
    """
    if isinstance(definition, type):
        if is_dataclass(definition) and "__init__" in vars(definition):
            definition.__init__ = check_shapes(definition.__init__)  # type: ignore[misc]
        return definition
    shapes = {name: hint for name, hint in definition.__annotations__.items() if "jaxtyping." in repr(hint)}
    if definition.__qualname__ in REFUSE_THEMSELVES or not shapes:
        return definition
    definition.__annotations__ = shapes
    checked = beartype(definition, conf=INT_IS_FLOAT)

    @functools.wraps(definition)
    def call(*args: Any, **kwargs: Any) -> Any:
        with jaxtyped("context"):  # within it, a name of an axis has one value
            return checked(*args, **kwargs)

    return call
