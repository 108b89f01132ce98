"""Runtime checks of the shapes and dtypes in signatures."""

from typing import Any

from beartype import BeartypeConf, beartype

# Functions whose own errors for wrong shapes and dtypes are tested.
REFUSE_THEMSELVES = ("Segmenter.__call__", "Segmenter.crop", "write_dense")
INT_IS_FLOAT = BeartypeConf(is_pep484_tower=True)


def check_shapes(function: Any) -> Any:
    """Check each argument and result that is annotated with a shape.

    Other annotations are the task of the static type checker: tests pass minimal fakes for records and services.
    """
    shapes = {name: hint for name, hint in function.__annotations__.items() if "jaxtyping." in repr(hint)}
    if function.__qualname__ in REFUSE_THEMSELVES or not shapes:
        return function
    function.__annotations__ = shapes
    return beartype(function, conf=INT_IS_FLOAT)
