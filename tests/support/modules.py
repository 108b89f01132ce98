"""Source files of the package, and the modules that they import."""

import ast
from pathlib import Path

import elite

ROOT = Path(elite.__file__).parent


def modules() -> list[Path]:
    return [p for p in ROOT.rglob("*.py") if p.name not in ("__init__.py", "__main__.py") or p.parent != ROOT]


def tree_without_type_checking(path: Path) -> ast.Module:
    """The module without its ``if TYPE_CHECKING`` blocks."""

    class Remover(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | None:
            return None if getattr(node.test, "id", "") == "TYPE_CHECKING" else self.generic_visit(node)

    return Remover().visit(ast.parse(path.read_text()))


def module_name(path: Path) -> str:
    """``elite.sparse.conv``; a package is named by its folder."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def defining_module(module: str, name: str) -> str:
    """The module that defines what ``from module import name`` imports."""
    folder = ROOT.parent.joinpath(*module.split("."))
    if not folder.is_dir():
        return module
    if (folder / f"{name}.py").exists() or (folder / name).is_dir():
        return f"{module}.{name}"
    for node in ast.walk(ast.parse((folder / "__init__.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and name in {a.asname or a.name for a in node.names}:
            return defining_module(node.module, name)
    return module
