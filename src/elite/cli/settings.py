"""Settings of a command: options made from a dataclass, packaged configurations, configuration files."""

from argparse import SUPPRESS, Action, Namespace
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml

from elite.cli.config_file import IMPORTS, all_settings, config_settings, settings_of, typed_value
from elite.cli.docstrings import documented
from elite.cli.parser import Parser, is_negation, with_negations
from elite.config import from_plain, is_union, plain
from elite.errors import ConfigError
from elite.paths import expanded
from elite.terminal import say

Config = TypeVar("Config")
_PACKAGED = Path(__file__).parents[1] / "configs"
_METAVARS = {int: "N", float: "X", Path: "PATH", str: "NAME"}


@dataclass(frozen=True)
class Setting:
    """One field of a dataclass of settings.

    Attributes:
        name: full name, such as data.label_fraction.
        kind: its type annotation.
        default: its default value.
        text: its meaning, from the docstring of the dataclass.
        section: description of the dataclass that has it.
    """

    name: str
    kind: Any
    default: Any
    text: str
    section: str

    @property
    def meaning(self) -> str:
        """The text with a capital, if it begins with a word."""
        first, space, rest = self.text.partition(" ")
        is_word = first.rstrip(",;:.").replace("-", "").isalpha() and first.islower() and not rest.startswith("=")
        return f"{first.capitalize()}{space}{rest}" if is_word else self.text

    @property
    def help(self) -> str:
        """Meaning and default."""
        text = self.meaning.rstrip(".")
        return f"{text} (default: {self.default_text})." if self.default_text else f"{text}."

    @property
    def default_text(self) -> str:
        if isinstance(self.default, bool):
            return "on" if self.default else ""
        return "" if self.default is None else str(plain(self.default)).replace("'", "")


def list_settings(record: Any, prefix: str = "") -> Iterator[Setting]:
    """Settings of a record and of the records in it, in order."""
    cls = type(record)
    summary, texts = documented(cls)
    section = summary.partition(". ")[0].replace("``", "").rstrip(".")
    for name, kind in get_type_hints(cls).items():
        value = getattr(record, name)
        if is_dataclass(value):
            yield from list_settings(value, f"{prefix}{name}.")
        else:
            yield Setting(f"{prefix}{name}", kind, value, texts.get(name, "").replace("``", ""), section)


def option_of(name: str) -> str:
    """Option of a setting: data.label_fraction -> --data.label-fraction."""
    return f"--{name.replace('_', '-')}"


# ---- options ------------------------------------------------------------------------------------------------------


def add_settings(
    parser: Parser,
    cls: type,
    common: Mapping[str, Sequence[str]],
    *,
    skip: Collection[str] = (),
    data: str | None = None,
    from_files: bool = True,
) -> None:
    """Add an option for each setting of ``cls``; ``configuration`` reads them.

    Args:
        parser: parser of the command.
        cls: dataclass whose fields all have defaults.
        common: heading -> settings that --help shows below it. --help-all shows the others.
        skip: settings without an option.
        data: setting that the positional argument DATA gives.
        from_files: also add --config, --print-config and, where a setting can name a class, --allow-import.
    """
    parser.set_defaults(settings=[], config=[], allow_import=[], print_config=False, data=None)
    parser.set_defaults(data_setting=data, skip=skip)
    settings = {s.name: s for s in list_settings(cls()) if s.name.partition(".")[0] not in skip}
    if from_files:
        _add_files(parser, any(f.metadata.get(IMPORTS) for f in fields(cls)))
    for heading, names in common.items():
        for name in names:
            _add_setting(parser, settings.pop(name), heading)
    for setting in settings.values():
        _add_setting(parser, setting, setting.section, advanced=True, hidden=setting.name == data)
    for name, kind in all_settings(cls):
        if is_dataclass(kind):
            parser.add(option_of(name), action=_SettingAction, dest=name, hidden=True, default=SUPPRESS, help="")


def _add_files(parser: Parser, imports: bool) -> None:
    packaged = ", ".join(packaged_names())
    text = f"Packaged configuration or YAML file with settings; repeatable, later ones win. Packaged: {packaged}."
    parser.add("--config", action="append", default=SUPPRESS, metavar="NAME", help=text)
    text = "Print all settings as YAML and exit."
    parser.add("--print-config", action="store_true", default=SUPPRESS, advanced=True, help=text)
    if imports:
        text = "Package whose classes a --config file may name as package.module:Class; repeatable."
        parser.add("--allow-import", action="append", default=SUPPRESS, metavar="PACKAGE", advanced=True, help=text)


def _add_setting(
    parser: Parser, setting: Setting, heading: str, *, advanced: bool = False, hidden: bool = False
) -> None:
    names = ["-o", "--out"] if setting.name == "out" else [option_of(setting.name)]
    parser.add(
        *names,
        action=_FlagAction if setting.kind is bool else _SettingAction,
        dest=setting.name,
        metavar=None if setting.kind is bool else metavar(setting.kind),
        default=SUPPRESS,
        help=setting.help,
        heading=heading,
        advanced=advanced,
        hidden=hidden,
    )


def metavar(kind: Any) -> str:
    """Placeholder for a value of a type: N, X, PATH, NAME, [X,...] or the possible words."""
    if is_union(kind):
        kind = next(part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is Literal:
        return "{" + ",".join(get_args(kind)) + "}"
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        inner = [metavar(part) for part in parts if part is not ...]
        return "[" + ",".join([*inner, *(["..."] if ... in parts else [])]) + "]"
    return _METAVARS[kind]


class _SettingAction(Action):
    """Append (name, text) to ``namespace.settings``: the order of options matters."""

    def __call__(self, parser: Any, namespace: Namespace, values: Any, option_string: str | None = None) -> None:
        namespace.settings = [*namespace.settings, (self.dest, values)]


class _FlagAction(_SettingAction):
    """``--name`` and ``--no-name``."""

    def __init__(self, option_strings: list[str], dest: str, **options: Any) -> None:
        super().__init__(with_negations(option_strings), dest, nargs=0, **options)

    def __call__(self, parser: Any, namespace: Namespace, values: Any, option_string: str | None = None) -> None:
        super().__call__(parser, namespace, "false" if is_negation(option_string or "") else "true")


# ---- values -------------------------------------------------------------------------------------------------------


def configuration(args: Namespace, cls: type[Config]) -> Config:
    """Settings of a command: those of ``--config`` files in order, then the typed ones.

    Raises:
        ConfigError: unreadable file, unknown setting, or impossible value.
        SystemExit: --print-config has printed them.
    """
    kinds = dict(all_settings(cls))
    typed = [(name, _typed_value(text, kinds[name], name)) for name, text in _typed(args)]
    config = compose(cls, args.config, typed, skip=args.skip, importable=args.allow_import)
    if args.print_config:
        _print_config(config)
    return config


def compose(
    cls: type[Config],
    files: Iterable[str],
    settings: Iterable[tuple[str, Any]],
    *,
    skip: Collection[str] = (),
    importable: Collection[str] = (),
) -> Config:
    """Settings of packaged configurations and files, in order, and then of pairs such as ``("data.batch_size", 2)``.

    Raises:
        ConfigError: unreadable file, unknown setting, or impossible value.
    """
    values: dict[str, Any] = {}
    for name in files:
        _merge(values, config_settings(_config_path(name), cls, skip=skip, importable=importable))
    for name, value in settings:
        _merge(values, _nested(name, value))
    return from_plain(cls, values)


def _typed(args: Namespace) -> list[tuple[str, str]]:
    """(name, text) of the settings on the command line, with DATA."""
    if args.data is None or args.data_setting is None:
        return args.settings
    if any(name == args.data_setting for name, _ in args.settings):
        raise ConfigError(f"DATA: expected the data set once, found also --{args.data_setting}. Give one of them.")
    return [*args.settings, (args.data_setting, str(args.data))]


def _typed_value(text: str, kind: Any, name: str) -> Any:
    """Value of a setting, or of a group of settings, from its text."""
    if is_dataclass(kind) and isinstance(kind, type):
        return settings_of(text, kind, name, prefix=f"{name}.")
    return typed_value(text, kind, name)


def _merge(into: dict[str, Any], values: dict[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value


def _nested(name: str, value: Any) -> dict[str, Any]:
    """``data.root`` and a value -> {data: {root: value}}."""
    for part in reversed(name.split(".")):
        value = {part: value}
    return value


def _print_config(config: Any) -> None:
    say(yaml.safe_dump(plain(config), sort_keys=False).rstrip())
    raise SystemExit(0)


def packaged_names() -> list[str]:
    """Names of the packaged configurations."""
    return sorted(path.stem for path in _PACKAGED.glob("*.yaml"))


def packaged_path(name: str) -> Path:
    """Path of a packaged configuration."""
    return _PACKAGED / f"{name}.yaml"


def _config_path(name: str) -> Path:
    """Path of a configuration: a file if there is one of that name, otherwise a packaged one."""
    path, packaged = expanded(name), packaged_path(name)
    if path.exists() and not path.is_dir():
        return path
    if packaged.is_file():
        return packaged
    known = ", ".join(packaged_names())
    raise ConfigError(f"--config {name}: expected a YAML file or one of {known}, found neither. Check the name.")
