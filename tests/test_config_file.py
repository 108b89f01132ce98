"""Configuration files: plain settings, checked by name before use; a file imports no code."""

import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from elite.cli import main
from elite.config import DataConfig, PseudoLabelConfig, TrainConfig, from_plain
from elite.errors import ConfigError
from elite.plugins import make_plugin
from elite.pseudo_labels.records import Proposer
from tests.support.settings import parse_settings


def read(path: Path, text: str, *argv: str, cls: type = TrainConfig) -> object:
    path.write_text(text)
    return parse_settings([f"--config={path}", *argv], cls)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("00", "00"),
        ("8", "8"),
        ("010", "010"),
        ("[00, 01]", "00,01"),
        ("[0, 8]", "0,8"),
        ('"00"', "00"),
        ("0-7", "0-7"),
    ],
)
def test_config_file_sequences_are_what_was_written(written: str, meant: str, tmp_path: Path) -> None:
    """YAML 1.1 reads 00 as 0 and 010 as 8."""
    config = read(tmp_path / "a.yaml", f"data: {{sequences: {written}, val_frames: [0, 3]}}")
    assert (config.data.sequences, config.data.val_frames) == (meant, "0,3")  # type: ignore[attr-defined]


@pytest.mark.parametrize(("written", "value"), [("1e-3", 1e-3), ("1", 1.0), (".5", 0.5), ("+2.5E-1", 0.25)])
def test_config_file_numbers_are_numbers(written: str, value: float, tmp_path: Path) -> None:
    assert read(tmp_path / "a.yaml", f"optim: {{lr: {written}}}").optim.lr == value  # type: ignore[attr-defined]


def test_config_file_what_is_typed_wins_and_later_files_too(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("seed: 2\nsteps: 4")
    config = read(tmp_path / "a.yaml", "seed: 1\nout: x", "--config", str(tmp_path / "b.yaml"), "--steps=6")
    assert (config.seed, config.steps, str(config.out)) == (2, 6, "x")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optim: {lrr: 1}", "'optim.lrr' is not a setting of this command; did you mean optim.lr,"),
        ("lr: 1", "'lr' is not a setting of this command; did you mean optim.lr,"),
        ("data: 5", "data is a group of settings, found '5'"),
        ("optim: evilmod.X", r"optim is a group of settings, found 'evilmod\.X'"),
        ("data: {class_path: evilmod.X}", r"'data\.class_path' is not a setting"),
        ("optim: {lr: {class_path: evilmod.X}}", "optim.lr takes a single value"),
        ("[1, 2]", "expected settings by name, found 'sequence'"),
        ("just text", "expected settings by name, found 'just text'"),
        ("data: {root: a}\ndata: {sequences: 00}", "expected 'data' once, found it twice"),
        ("data: {sequences: [00, ~]}", r"data\.sequences takes a list of words"),
        ("augment.cutmix.tries: 3", r"Write 'augment: \{cutmix: \{tries: \.\.\.\}\}'"),
        ("config: other.yaml", "'config' is not a setting"),
        ("out: !!binary aGk=", "found the tag"),
        ("seed: [", "is not YAML"),
        ("seed: !!python/name:evilmod.X ", "found the tag 'tag:yaml.org,2002:python/name:evilmod.X'"),
        ("seed: &a [*a]", "nested without end"),
    ],
)
def test_config_file_with_anything_but_settings_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        read(tmp_path / "a.yaml", text)


def test_config_file_of_any_unicode_encoding_is_read(tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "a.yaml").write_bytes("out: ü".encode(encoding))
        assert str(parse_settings([f"--config={tmp_path / 'a.yaml'}"], TrainConfig).out) == "ü"


def test_config_path_that_is_named_like_a_group_is_a_path(tmp_path: Path) -> None:
    argv = ["--data.root", "./data", "--out", "./teacher"]
    config = parse_settings(argv, TrainConfig)
    assert (str(config.data.root), str(config.out)) == ("data", "teacher")


@pytest.mark.parametrize("argv", [("--conf", "a.yaml"), ("--confi=a.yaml",), ("--out", "a\0b"), ("--data.root=a\0b",)])
def test_command_line_with_abbreviations_or_nul_is_refused(argv: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is not an argument|NUL character"):
        parse_settings(list(argv), TrainConfig)


def test_config_file_that_repeats_or_lists_too_much_is_refused_at_once(tmp_path: Path) -> None:
    """Ten lines of aliases hold 10^11 values; a million keys take minutes to load."""
    lines = ["freeze:", "- &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"- &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 11)]
    for text in ("\n".join(lines), "\n".join(f"k{i}: 1" for i in range(10**6))):
        with pytest.raises(ConfigError, match="expected at most 10000 values"):
            read(tmp_path / "a.yaml", text)


@pytest.fixture
def evil(tmp_path: Path, monkeypatch) -> Path:
    """A package whose import leaves a mark, with a proposer in it."""
    package = tmp_path / "evilmod.py"
    package.write_text(
        textwrap.dedent(f"""
        open({str(tmp_path / "mark")!r}, "w").close()
        class Half:
            max_prompts = None
        """)
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "evilmod", raising=False)
    return tmp_path / "mark"


def test_class_in_a_file_is_imported_only_with_allow_import(evil: Path, tmp_path: Path) -> None:
    text, argv = "proposer: evilmod:Half", ("--allow-import", "evilmod")
    for given in ((), ("--allow-import", "other")):
        with pytest.raises(ConfigError, match=r"names the class evilmod:Half.*--allow-import evilmod"):
            read(tmp_path / "a.yaml", text, *given, cls=PseudoLabelConfig)
    assert read(tmp_path / "a.yaml", text, *argv, cls=PseudoLabelConfig).proposer == "evilmod:Half"  # type: ignore[attr-defined]
    assert not evil.exists()


def test_class_on_the_command_line_is_imported_and_checked(evil: Path, tiny_kitti: Path, capsys) -> None:
    assert main(["pseudo-label", str(tiny_kitti), "--proposer", "evilmod:Half"]) == 2
    assert "'evilmod:Half' is not a Proposer (it lacks open, describe)" in capsys.readouterr().err
    assert evil.exists()


@pytest.mark.parametrize(
    ("body", "expected", "message"),
    [
        ("raise ValueError('no licence')", ValueError, "^no licence$"),
        ("raise AttributeError('part')", AttributeError, "^part$"),
        ("pass", ConfigError, "'fragile:Proposer' is not a Proposer .it lacks max_prompts, open, describe"),
    ],
)
def test_make_plugin_whose_constructor_fails_keeps_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, expected: type[Exception], message: str
) -> None:
    (tmp_path / "fragile.py").write_text(f"class Proposer:\n    def __init__(self):\n        {body}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "fragile", raising=False)
    with pytest.raises(expected, match=message):
        make_plugin("fragile:Proposer", Proposer)


def test_make_plugin_of_a_class_with_required_arguments_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'elite\.layout:Layout' is not a Proposer .missing a required argument"):
        make_plugin("elite.layout:Layout", Proposer)


@pytest.mark.parametrize(
    "argv", [("--optim", "evilmod.Half"), ("--optim={class_path: evilmod.Half}",), ("--data", "evilmod")]
)
def test_group_on_the_command_line_imports_nothing(argv: tuple[str, ...], evil: Path, capsys) -> None:
    assert main(["train", *argv]) == 2
    assert "setting" in capsys.readouterr().err
    assert not evil.exists()


def test_group_on_the_command_line_takes_settings() -> None:
    config = parse_settings(['--optim={"lr": 0.5, "clip": 2}', "--optim.clip=3"], TrainConfig)
    assert (config.optim.lr, config.optim.clip) == (0.5, 3)


@dataclass(frozen=True)
class _Lists:
    flags: tuple[bool, ...] = ()
    counts: tuple[int, int] = (0, 0)
    corners: tuple[tuple[float, float], ...] = ()
    groups: tuple[DataConfig, ...] = ()
    words: tuple[Literal["x", "y"], ...] = ()
    either: tuple[int | str, ...] = ()
    tables: tuple[dict[str, int], ...] = ()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("flags", "a list of values true or false"),
        ("counts", "a list of 2 whole numbers"),
        ("corners", "a list of lists"),
        ("groups", "a list of settings"),
        ("words", "a list of words 'x' or 'y'"),
        ("either", "a list of whole numbers or texts"),
        ("tables", "a list of settings"),
    ],
)
def test_another_value_than_a_list_is_refused_with_its_kind_in_plural(name: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: expected {expected}, found 3"):
        from_plain(_Lists, {name: 3})
