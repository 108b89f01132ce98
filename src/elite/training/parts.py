"""Parts of the student that are not trained."""

from torch import nn

from elite.errors import ConfigError
from elite.layout import parse_names
from elite.student import SPVCNN


def freeze(student: SPVCNN, names: str) -> list[nn.Module]:
    """Stop training the named parts (``stages.0,classifier``; none = all are trained), and return them.

    Raises:
        ConfigError: the student has no such part, or nothing is left to train.
    """
    parts = []
    for name in parse_names(names):
        try:
            parts.append(student.get_submodule(name).requires_grad_(False))
        except AttributeError as error:
            known = ["point_mlp", *(f"stages.{i}" for i in range(len(student.stages))), "classifier"]
            raise ConfigError(
                f"freeze names '{name}', but the student's parts are {', '.join(known)}, and their parts."
            ) from error
    if not any(p.requires_grad for p in student.parameters()):
        raise ConfigError(f"freeze '{names}' leaves nothing of the student to train; name fewer parts.")
    return parts
