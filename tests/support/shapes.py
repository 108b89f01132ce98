"""Runtime checks of the shapes and dtypes in signatures.

jaxtyping's import hook is not used. It compiles every package that elite imports, wraps also functions without shapes,
and checks arguments twice: together half of the processor time of the tests.
"""

import ast
import functools
import sys
import threading
from collections.abc import Sequence
from dataclasses import is_dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from inspect import isgeneratorfunction, signature
from itertools import chain, repeat
from types import CodeType, ModuleType, NoneType
from typing import Any

import jaxtyping
import numpy as np
import torch
from beartype import BeartypeConf, beartype
from jaxtyping import jaxtyped

# Functions whose own errors for wrong shapes and dtypes are tested.
REFUSE_THEMSELVES = ("Segmenter.__call__", "Segmenter.crop", "write_dense")
_PLAIN = (bool, int, float, str, NoneType)
_MOST_ITEMS, _MOST_KINDS = 16, 1000
INT_IS_FLOAT = BeartypeConf(is_pep484_tower=True)


def check_shapes(definition: Any) -> Any:
    """Decorate a function, or a dataclass: check each argument and result that is annotated with a shape.

    Other annotations are the task of the static type checker: tests pass minimal fakes for records and services.
    """
    if isinstance(definition, type):
        if is_dataclass(definition) and "__init__" in vars(definition):
            definition.__init__ = check_shapes(definition.__init__)  # type: ignore[misc]
        return definition
    shapes = {name: hint for name, hint in definition.__annotations__.items() if "jaxtyping." in repr(hint)}
    if definition.__qualname__ in REFUSE_THEMSELVES or not shapes:
        return definition
    definition.__annotations__ = shapes
    check = beartype(conf=INT_IS_FLOAT)
    if isgeneratorfunction(definition):  # beartype checks its arguments at the first item, within the caller's axes
        return jaxtyped(typechecker=check)(definition)
    return _checked(definition, check)


def _checked(definition: Any, check: Any) -> Any:
    """Check those calls of a function whose shaped arguments or result are of a kind that has not passed before.

    Whether a call is valid depends on these kinds only: most calls of a training repeat those of its first step.
    """
    parameters = signature(definition).parameters.values()
    has_shape = [p.name in definition.__annotations__ for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    unshaped = {p.name for p in parameters} - definition.__annotations__.keys()
    valid, results = set[Any](), threading.local()

    @functools.wraps(definition)
    def replay(*_: Any, **__: Any) -> Any:
        return results.value

    checked, checked_result = check(definition), check(replay)

    @functools.wraps(definition)
    def call(*args: Any, **kwargs: Any) -> Any:
        shaped = [_kind(value) for value, is_shaped in zip(args, chain(has_shape, repeat(True))) if is_shaped]  # noqa: B905
        named = [(name, _kind(value)) for name, value in kwargs.items() if name not in unshaped]
        arguments = len(args), *shaped, *named
        if arguments not in valid:
            with jaxtyped("context"):  # within it, each axis name has one length
                result = checked(*args, **kwargs)
            kinds = arguments, (arguments, _kind(result))
        else:
            result = definition(*args, **kwargs)
            kinds = ((arguments, _kind(result)),)
            if kinds[0] not in valid:
                results.value = result
                with jaxtyped("context"):
                    checked_result(*args, **kwargs)
        if len(valid) < _MOST_KINDS:
            valid.update(kinds)
        return result

    return call


def _kind(value: Any) -> Any:
    """Properties of a value that a check depends on; equal to no other ones if there may be more."""
    if isinstance(value, np.ndarray | torch.Tensor):
        return type(value), value.dtype, value.shape
    if isinstance(value, tuple | list) and len(value) <= _MOST_ITEMS:
        return type(value), *map(_kind, value)
    return type(value) if isinstance(value, _PLAIN) else object()


class _Decorating(ast.NodeTransformer):
    """Decorate every function and class of a module with ``check_shapes``."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.decorator_list.append(_decorator(node))  # below the decorators that hide the annotations
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.decorator_list.insert(0, _decorator(node))  # above @dataclass
        return self.generic_visit(node)


def _decorator(node: ast.AST) -> ast.expr:
    return ast.copy_location(ast.Name(check_shapes.__name__, ast.Load()), node)


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        """Code with decorators, from the source: the bytecode on the disk has none."""
        tree = _Decorating().visit(ast.parse(self.get_data(self.path)))
        return compile(tree, self.path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        vars(module)[check_shapes.__name__] = check_shapes
        super().exec_module(module)


class _Finder(MetaPathFinder):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname.split(".")[0] == "elite" else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def install_shape_checks() -> None:
    """Check the shapes and dtypes in the signatures of every module of elite that is imported from now on."""
    sys.modules["elite.shapes"] = jaxtyping
    sys.meta_path.insert(0, _Finder())
