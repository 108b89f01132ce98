"""Runtime checks of the shapes and dtypes in signatures.

jaxtyping's import hook is not used. It compiles every package that elite imports, wraps also functions without shapes,
and checks arguments twice: together half of the processor time of the tests.
"""

import ast
import functools
import sys
from collections.abc import Sequence
from dataclasses import is_dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from inspect import isgeneratorfunction
from types import CodeType, ModuleType
from typing import Any

from beartype import BeartypeConf, beartype
from jaxtyping import jaxtyped

# Functions whose own errors for wrong shapes and dtypes are tested.
REFUSE_THEMSELVES = ("Segmenter.__call__", "Segmenter.crop", "write_dense")
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
    checked = check(definition)

    @functools.wraps(definition)
    def call(*args: Any, **kwargs: Any) -> Any:
        with jaxtyped("context"):  # within it, each axis name has one length
            return checked(*args, **kwargs)

    return call


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
    sys.meta_path.insert(0, _Finder())
