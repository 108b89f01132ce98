"""Modules import from lower layers only."""

import ast
import re
from pathlib import Path

from tests.support.modules import ROOT, defining_module, module_name, modules, tree_without_type_checking

LAYERS = (
    ("version", "shapes"),
    ("types", "batches", "lenses", "beams", "config", "errors", "lazy_names", "paths", "formatting"),
    ("files", "label_mapping", "segmentation_result"),
    ("descriptions", "packaged_students", "sensor_rendering"),
    ("taxonomy", "sensor", "point_files"),
    ("label_records",),
    (
        *("geometry", "remission", "occlusion", "pixels", "layout", "metrics", "terminal", "signals", "plugins"),
        *("folder_watch", "arrivals", "stopping", "latency_budget"),
        *("rotations", "filters", "nearest", "kd_tree"),
        *("environment", "device", "native", "sparse", "pictures", "figures", "processes"),
    ),
    ("weights", "camera_tiles"),
    ("datasets", "synthetic", "student", "teacher", "losses"),
    ("data", "recordings"),
    (
        "conversion",
        *("training", "teacher_training", "evaluation", "pseudo_labels"),
        *("inference", "input_conversion", "test_time_augmentation", "latency", "streaming", "stream_summary"),
        *("scan_crop", "prediction_files", "prediction_formats", "inspection", "labelled_recordings", "adaptation"),
    ),
    ("submission", "report", "viewer", "zero_shot"),
    ("cli",),
    ("api",),
)
LAYER = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
# Rooms of one layer that lean on another one of it, each for a reason.
SAME_LAYER = {
    ("paths", "errors"),
    ("lazy_names", "errors"),  # of a missing extra
    ("config", "paths"),  # ~ in settings
    ("types", "lenses"),  # a camera has one
    ("types", "beams"),  # a frame has those of its LiDAR
    ("occlusion", "geometry"),
    ("lenses", "errors"),
    ("config", "errors"),  # impossible settings are refused with the library's own errors
    ("sparse", "native"),  # one of its backends
    ("geometry", "nearest"),
    ("nearest", "native"),
    ("nearest", "kd_tree"),  # without native kernels
    ("sparse", "device"),  # names of the backends
    ("stopping", "signals"),
    ("environment", "native"),  # results name the kernels that computed them
    ("figures", "pictures"),
    ("figures", "geometry"),
    ("synthetic", "datasets"),  # one codec for dense labels: datasets.dense_labels
    ("teacher_training", "training"),  # one trainer, one schedule, one run lock
    ("inference", "test_time_augmentation"),
    ("inference", "input_conversion"),
    ("inference", "scan_crop"),
    ("scan_crop", "input_conversion"),
    ("adaptation", "inference"),
    ("prediction_files", "inference"),
    ("prediction_files", "prediction_formats"),
    *(("labelled_recordings", used) for used in ("inference", "prediction_files", "prediction_formats")),
    ("latency", "prediction_files"),
    ("latency", "test_time_augmentation"),
    ("streaming", "prediction_files"),
    ("streaming", "prediction_formats"),
    ("streaming", "stream_summary"),
    ("latency", "inference"),
    ("arrivals", "folder_watch"),
    ("folder_watch", "signals"),  # its waits have no end
    ("streaming", "inference"),
    ("evaluation", "inference"),  # one of its predictors
    ("evaluation", "prediction_formats"),  # predictions of other formats are named
}


def imports_of(path: Path) -> set[str]:
    """Rooms of elite that a module imports, anywhere in it except for type checking."""
    names: set[str] = set()
    for node in ast.walk(tree_without_type_checking(path)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} if node.module != "elite" else {f"elite.{a.name}" for a in node.names}
        elif isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
    return {name.split(".")[1] for name in names if name.startswith("elite.")}


def test_layers_include_every_module() -> None:
    assert {p.relative_to(ROOT).parts[0].removesuffix(".py") for p in modules()} == set(LAYER)


def test_modules_import_from_lower_layers_only() -> None:
    wrong = []
    for path in modules():
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        for used in imports_of(path) - {room}:
            if LAYER[used] >= LAYER[room] and (room, used) not in SAME_LAYER:
                wrong.append(f"{path.relative_to(ROOT)} imports elite.{used}")
    assert not wrong


def test_modules_import_each_other_without_circles() -> None:
    """Imports inside functions count, so that they cannot hide a circle."""
    graph = {module_name(path): imported_modules(path) for path in modules()}
    circles = []
    while graph:
        leaves = {name for name, used in graph.items() if not used & graph.keys() - {name}}
        if not leaves:
            circles = sorted(circle_from(graph))
            break
        graph = {name: used for name, used in graph.items() if name not in leaves}
    assert not circles


def imported_modules(path: Path) -> set[str]:
    """Modules of elite that a module imports anywhere in it, except for type checking.

    An import from a package counts for the module that defines the name, not for the package: a package's __init__
    imports all its modules, and they may import each other by way of it.
    """
    found: set[str] = set()
    for node in ast.walk(tree_without_type_checking(path)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "elite":
            found |= {defining_module(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("elite.")}
    return found


def circle_from(graph: dict[str, set[str]]) -> list[str]:
    """Modules of one circle, in a graph in which every module imports another one of it."""
    name, passed = min(graph), []
    while name not in passed:
        passed.append(name)
        name = min(graph[name] & graph.keys() - {name})
    return passed[passed.index(name) :]


def test_readers_alone_know_the_files_of_semantickitti() -> None:
    """Every other module opens any data set. Generated labels have paths of ``Layout``, whatever the data set."""
    names = {
        "elite.datasets.semantickitti": {"SemanticKITTI", "open_derived"},
        "elite.datasets.formats": {"read_cameras", "read_cam_velo", "read_poses"},
        "elite.layout": {"CAMERAS", "SPLITS", "is_root", "open_layout", "parse_sequences", "select_sequences"},
    }
    path_of_a_file = re.compile(r"layout\.(scans?|image|calibration|poses|times|found_sequences|cameras_with_images)\(")
    users = set()
    for path in modules():
        imported = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        pairs = {(defining_module(node.module or "", a.name), a.name) for node in imported for a in node.names}
        if any(name in names.get(module, ()) for module, name in pairs) or path_of_a_file.search(path.read_text()):
            users.add(path.relative_to(ROOT).parts[0])
    assert users <= {"datasets", "synthetic", "submission"}


def test_records_are_complete_when_built() -> None:
    """A frozen record is converted in its ``__post_init__`` at most, and never patched afterwards."""
    converting = {"synthetic/config.py", "config/_records.py"}
    users = {str(p.relative_to(ROOT)) for p in modules() if re.search(r"__dict__|object\.__setattr__", p.read_text())}
    assert users <= converting


def test_lightning_stays_in_training() -> None:
    """Inference, evaluation and pseudo-labels must run where only the core packages are installed."""
    users = {str(p.relative_to(ROOT)) for p in modules() if "lightning" in {n.split(".")[0] for n in _all_imports(p)}}
    assert all(u.startswith(("training/", "teacher_training/")) or u == "processes.py" for u in users), users


def _all_imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
    return names
