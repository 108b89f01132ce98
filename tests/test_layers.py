"""The house stays in order: modules import only from lower layers."""

import ast
from pathlib import Path

import elite

ROOT = Path(elite.__file__).parent
LAYERS = (
    ("version", "types", "config", "errors", "paths"),
    (
        *("geometry", "pixels", "labels", "layout", "files", "metrics", "terminal", "signals", "plugins"),
        *("folder_watch", "arrivals", "stopping"),
        *("environment", "device", "native", "sparse", "pictures", "processes"),
    ),
    ("weights",),
    ("datasets", "synthetic", "student", "teacher", "losses"),
    ("data",),
    ("training", "teacher_training", "inference", "votes", "latency", "streaming", "evaluation", "pseudo_labels"),
    ("submission", "report", "viewer"),
    ("cli",),
)
LAYER = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
# Rooms of one layer that lean on another one of it, each for a reason.
SAME_LAYER = {
    ("paths", "errors"),
    ("config", "paths"),  # ~ in settings
    ("config", "errors"),  # impossible settings are refused with the library's own errors
    ("metrics", "labels"),  # the number of classes
    ("sparse", "native"),  # one of its backends
    ("stopping", "signals"),
    ("environment", "native"),  # results tell which kernels made them
    ("pictures", "geometry"),
    ("pictures", "labels"),
    ("synthetic", "datasets"),  # one codec for dense labels: datasets.dense_labels
    ("teacher_training", "training"),  # one trainer, one schedule, one run lock
    ("inference", "votes"),
    ("latency", "inference"),
    ("arrivals", "folder_watch"),
    ("streaming", "inference"),
    ("evaluation", "inference"),  # one of its predictors
    ("viewer", "report"),  # how a teacher is asked for every pixel
}


def imports_of(path: Path) -> set[str]:
    """Rooms of elite that a module imports, anywhere in it (imports for type checking alone do not count)."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(node)
        for guard in ast.walk(tree)
        if isinstance(guard, ast.If) and getattr(guard.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(guard)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in skipped:
            names |= {node.module} if node.module != "elite" else {f"elite.{a.name}" for a in node.names}
        elif isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
    return {name.split(".")[1] for name in names if name.startswith("elite.")}


def modules() -> list[Path]:
    return [p for p in ROOT.rglob("*.py") if p.name not in ("__init__.py", "__main__.py") or p.parent != ROOT]


def test_every_room_has_a_layer() -> None:
    assert {p.relative_to(ROOT).parts[0].removesuffix(".py") for p in modules()} == set(LAYER)


def test_imports_go_down() -> None:
    wrong = []
    for path in modules():
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        for used in imports_of(path) - {room}:
            if LAYER[used] >= LAYER[room] and (room, used) not in SAME_LAYER:
                wrong.append(f"{path.relative_to(ROOT)} imports elite.{used}")
    assert not wrong


def test_lightning_stays_in_training() -> None:
    """Inference, evaluation and pseudo-labels must run where only the core packages are installed."""
    users = {str(p.relative_to(ROOT)) for p in modules() if "lightning" in {n.split(".")[0] for n in _all_imports(p)}}
    assert all(
        u.startswith(("training/", "teacher_training/")) or u in ("data/datamodule.py", "processes.py") for u in users
    ), users


def _all_imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
    return names
