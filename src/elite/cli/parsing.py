"""Arguments and output that several commands share."""

import json
import re
import shlex
import sys
from collections.abc import Collection, Iterable
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, get_args, get_type_hints

from jsonargparse import ArgumentParser, Namespace

from elite.cli.config_file import IMPORTS, all_settings, config_text, settings_of
from elite.errors import ConfigError, DataError, EliteError, OutputError
from elite.files import TEXT_BYTES, parse_json, read_file, refuse_inputs
from elite.paths import expanded
from elite.terminal import notice

if TYPE_CHECKING:
    from elite.datasets import SemanticKITTI
    from elite.inference import Segmenter

FAULTY = 1  # exit status of a command that ran and found faults
Config = TypeVar("Config")


class Parser(ArgumentParser):
    """Errors of the arguments are one line, like every other error. Paths may begin with ~; options are whole words."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def parse_args(self, *given: Any, **options: Any) -> Namespace:  # type: ignore[override]
        args = super().parse_args(*given, **options)
        for name, value in list(args.items()):
            args[name] = _home_expanded(value)
        _check_outputs(args)
        return args

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if isinstance(ex, EliteError):
            raise ex
        raise ConfigError(f"{' '.join(message.split())}{self._meant(message)} (see '{self.prog} --help')")

    def _meant(self, message: str) -> str:
        """The option that an unknown one may stand for."""
        if typed := re.search(r"nrecognized arguments.*?(--[^\s=]+)", message, re.DOTALL):
            close = get_close_matches(typed[1], self._option_string_actions, 1)
            return f"; did you mean {close[0]}?" if close else ""
        return ""


def _home_expanded(value: Any) -> Any:
    if isinstance(value, list):
        return [_home_expanded(item) for item in value]
    if isinstance(value, Path):
        return expanded(value)
    return str(expanded(value)) if isinstance(value, str) and value.startswith("~") else value


_OUTPUTS = ("out", "json")


def _check_outputs(args: Namespace) -> None:
    """No file that a command writes is one that it reads, whatever the two are called.

    Raises:
        OutputError: it is; or --json names a file that is not JSON.
    """
    outputs = {name: args.get(name) for name in _OUTPUTS if isinstance(args.get(name), Path)}
    others = [value for name, value in args.items() if name not in outputs]
    inputs = [v for value in others for v in (value if isinstance(value, list) else [value])]
    for out in (path for path in outputs.values() if path.is_file()):
        refuse_inputs(out, *(Path(v) for v in inputs if isinstance(v, Path | str) and str(v)))
    if (result := outputs.get("json")) is not None and result.exists():
        _check_replaceable(result)


def _check_replaceable(path: Path) -> None:
    """Check that a file that --json would replace is a result of elite."""
    expected = f"--json {path}: expected a new file or a result of elite"
    try:
        found = parse_json(read_file(path, TEXT_BYTES) or b"{}")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "a file that is not JSON"
        raise OutputError(f"{expected}, found {reason}. Choose another file.") from error
    if not (isinstance(found, dict) and (not found or str(found.get("command")).startswith("elite "))):
        raise OutputError(f"{expected}, found other JSON. Choose another file.")


def underscored(argv: list[str]) -> list[str]:
    """Settings that come from a configuration class may be typed with dashes too: --test-frames, --val-every."""
    return [_dash_to_underscore(a) if a.startswith("--") else a for a in argv]


def _dash_to_underscore(option: str) -> str:
    name, equals, value = option[2:].partition("=")
    return f"--{name.replace('-', '_')}{equals}{value}"


def resolve_config(
    argv: list[str], cls: type, *, skip: Collection[str] = (), importable: Collection[str] = ()
) -> list[str]:
    """``--config`` first, so that typed options win, and each one as the JSON of its settings, checked.

    A NAME is a packaged configuration if there is no file of that name. A value typed for a group is checked alike.
    """
    groups = {f"--{name}": kind for name, kind in all_settings(cls) if isinstance(kind, type) and is_dataclass(kind)}
    configs, rest, words = [], [], iter(argv)
    for option in words:
        name, equals, value = option.partition("=")
        if name == "--config":
            path = _config_path(value if equals else next(words, ""))
            configs.append(f"--config={config_text(path, cls, skip=skip, importable=importable)}")
        elif name in groups:
            text = value if equals else next(words, "")
            rest.append(f"{name}={json.dumps(settings_of(text, groups[name], name, prefix=f'{name[2:]}.'))}")
        else:
            rest.append(option)
    return configs + rest


def _config_path(name: str) -> Path:
    packaged = Path(__file__).parents[1] / "configs"
    if (path := expanded(name)).exists() and not path.is_dir():
        return path
    if (packaged / f"{name}.yaml").is_file():
        return packaged / f"{name}.yaml"
    known = ", ".join(sorted(p.stem for p in packaged.glob("*.yaml")))
    raise ConfigError(
        f"'{name}' is neither a configuration file nor a packaged configuration; expected one of {known}."
    )


def parse_config(
    parser: ArgumentParser, argv: list[str], cls: type[Config], *, skip: Collection[str] = ()
) -> tuple[Namespace, Config]:
    """(all arguments, the configuration of a run): ``--config`` and any setting of ``cls`` that is not to ``skip``."""
    parser.add_argument("--config", action="config", help="a packaged name or a YAML file of differences")
    parser.add_class_arguments(cls, skip=set(skip))
    if any(f.metadata.get(IMPORTS) for f in fields(cls)):  # type: ignore[arg-type]
        parser.add_argument(
            "--allow-import",
            "--allow_import",
            action="append",
            metavar="PACKAGE",
            help="package whose classes a --config file may name as package.module:Class",
        )
    return read_config(parser, argv, cls, skip=skip)


def read_config(
    parser: ArgumentParser, argv: list[str], cls: type[Config], *, skip: Collection[str] = ()
) -> tuple[Namespace, Config]:
    """The same by a parser that knows the settings, whose own checks let null pass for anything.

    Raises:
        ConfigError: a setting that must have a value has none, or one beyond all numbers.
    """
    try:
        argv = switched(underscored(argv), _switches(cls))
        args = parser.parse_args(resolve_config(argv, cls, skip=skip, importable=_allowed_imports(argv)))
    except OverflowError as error:
        raise ConfigError(f"a setting is larger than any number here ({error}); give a smaller one.") from error
    if empty := _without_value(cls, args):
        raise ConfigError(f"{', '.join(empty)} must have a value, found null; give one, or leave the setting out.")
    made = vars(parser.instantiate(args))
    names = [f.name for f in fields(cls) if f.name not in skip]  # type: ignore[arg-type]
    return args, cls(**{name: made[name] for name in names})


def _allowed_imports(argv: list[str]) -> list[str]:
    """Packages that --allow-import names: they must be known before a configuration file is read."""
    option = "--allow_import"
    return [b for a, b in pairwise([*argv, ""]) if a == option] + [
        a.partition("=")[2] for a in argv if a.startswith(f"{option}=")
    ]


def _without_value(kind: Any, values: Any, name: str = "") -> list[str]:
    """Names of the settings that are None and may not be."""
    if values is None:
        return [] if type(None) in get_args(kind) else [name[1:]]
    if not is_dataclass(kind):
        return []
    given = ((part, of, values.get(part, ...)) for part, of in get_type_hints(kind).items())
    return [
        empty for part, of, value in given if value is not ... for empty in _without_value(of, value, f"{name}.{part}")
    ]


def switched(argv: list[str], switches: Collection[str]) -> list[str]:
    """``--lift`` alone means ``--lift true``."""
    pairs = pairwise([*argv, "--"])
    return [f"{a}=true" if a in switches and b.lower() not in ("true", "false") else a for a, b in pairs]


def _switches(cls: Any) -> set[str]:
    """Options of a configuration that are true or false."""
    return {f"--{name}" for name, kind in all_settings(cls) if kind is bool}


def add_selection(parser: ArgumentParser, *, split: bool = False) -> None:
    if split:
        parser.add_argument("--split", default="valid", help="train, valid, test or sequence numbers: 00,08")
    else:
        parser.add_argument("--sequences", type=str | None, help="split names or numbers (default: all there are)")
    parser.add_argument("--frames", type=str | None, help="frames of each sequence: 0-2,7 (default: all)")


def add_labels(parser: ArgumentParser) -> None:
    parser.add_argument("--labels", type=str, default="labels", help="label folder: labels, labels_partial, ...")


def add_json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", type=Path | None, help="also write the result to this file")


def add_device(parser: ArgumentParser) -> None:
    parser.add_argument("--device", type=str, default="auto", help="auto, cpu, cuda")


def add_compute(parser: ArgumentParser) -> None:
    """How the student computes; ``load_segmenter`` reads it."""
    add_device(parser)
    backends, precisions = ("auto", "native", "torch", "spconv"), ("fp32", "bf16")
    parser.add_argument("--backend", choices=backends, default="auto", help="who computes: " + ", ".join(backends))
    parser.add_argument("--precision", choices=precisions, default="fp32", help="bf16 is faster where it is had")
    parser.add_argument("--votes", type=int, default=1, help="views of each scan; turned ones vote on its labels")
    ways = "mean of their softmax, or of their logits, or as released: of the logits of turned views only"
    parser.add_argument("--vote-by", choices=("softmax", "logits", "released"), default="softmax", help=ways)
    parser.add_argument("--seed", type=int, default=0, help="of the turned views")
    add_strict(parser)


def add_strict(parser: ArgumentParser) -> None:
    parser.add_argument("--strict", action="store_true", help="doubtful inputs are errors, not warnings")


def load_segmenter(checkpoint: Path, args: Namespace) -> "Segmenter":
    from elite.inference import Segmenter

    return Segmenter.load(
        checkpoint,
        args.device,
        backend=args.backend,
        precision=args.precision,
        votes=args.votes,
        vote_by=args.vote_by,
        seed=args.seed,
        report=notice,
        strict=args.strict,
    )


def find_scans(inputs: list[Path], sequences: str | None, frames: str | None) -> list[tuple[Path, Path]]:
    """Each scan of a data set, of folders and of files, and the path of its labels below an output folder.

    A data set keeps its layout, loose scans become N.label.
    """
    from elite.datasets import SemanticKITTI
    from elite.layout import Layout, is_root

    if len(inputs) == 1 and is_root(inputs[0]):
        dataset, below = SemanticKITTI(inputs[0], sequences, frames=frames, cameras=()), Layout(Path())
        report_unused(dataset)
        entries = enumerate(dataset.index)
        return [(dataset.scan_path(i), below.prediction(e.sequence, e.name)) for i, e in entries]
    if sequences or frames:
        raise ConfigError("--sequences and --frames select within a data set; loose scans are given one by one.")
    files = [f for path in inputs for f in (_loose_scans(path) if path.is_dir() else [path])]
    if not files:
        raise DataError(f"{inputs[0]} holds no .bin file and no folder 'sequences'; give scans to label.")
    return [(f, Path(f"{f.stem}.label")) for f in files]


def _loose_scans(folder: Path) -> list[Path]:
    """The .bin files of a folder; other files in it are reported, but for the labels of scans."""
    files = [path for path in folder.iterdir() if not path.name.startswith(".")]
    scans = sorted(path for path in files if path.suffix == ".bin")
    others = sorted(path.name for path in files if path.suffix not in (".bin", ".label", ".confidence"))
    if scans and others:
        notice(f"{folder}: {len(others)} files are not read ({others[0]}, ...); scans are .bin files.")
    return scans


def report_unused(dataset: "SemanticKITTI") -> None:
    """Files of a data set that are present and not used, each group of them once."""
    for line in dataset.unused:
        notice(line)


def save_json(path: Path | None, result: dict[str, Any], command: str, argv: list[str]) -> None:
    if path is None:
        return
    from elite.environment import describe
    from elite.files import write_json

    write_json(path, {**result, "command": shlex.join(["elite", command, *argv]), "versions": describe()})


def bar(items: Iterable[Any], total: int | None = None, *, unit: str = "scan", name: str = "") -> Iterable[Any]:
    from tqdm import tqdm

    return tqdm(items, total=total, unit=unit, desc=name, file=sys.stderr)


def percent(value: float) -> str:
    return f"{100 * value:5.1f}"


def names(text: str) -> tuple[str, ...]:
    return () if text in ("", "none") else tuple(name.strip() for name in text.split(","))
