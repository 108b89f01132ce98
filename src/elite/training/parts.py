"""Parts of the student that are not trained."""

from torch import nn

from elite.errors import ConfigError
from elite.layout import parse_names
from elite.student import SPVCNN


def freeze(student: SPVCNN, names: str) -> list[nn.Module]:
    """Freeze the named parts (such as ``stages.0,classifier``; none = train all), and return them.

    Raises:
        ConfigError: a part is unknown, or all parameters would be frozen.
    """
    parts = []
    for name in parse_names(names):
        try:
            parts.append(student.get_submodule(name).requires_grad_(False))
        except AttributeError as error:
            known = ["point_mlp", *(f"stages.{i}" for i in range(len(student.stages))), "classifier"]
            raise ConfigError(
                f"freeze: expected parts of the student ({', '.join(known)}, or submodules of these), found '{name}'. "
                "Correct the name."
            ) from error
    if not any(p.requires_grad for p in student.parameters()):
        raise ConfigError(
            f"freeze: expected at least one trained part, found '{names}', the complete student. Name fewer."
        )
    return parts
