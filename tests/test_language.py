"""The language check of ``make lint``: which phrases it finds, and where it reads."""

from pathlib import Path

import pytest

from tools.check_language import findings, main

# The phrases are built from parts, because the check reads this file as well.
WORD, PHRASE, START = "to" + "ld", "are" + " no", "Wh" + "at"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.md", f"first line\nlabels {PHRASE}\npredictions", [(2, f"{PHRASE} predictions")]),
        ("a.py", f'x = 1\n"""Report.\n\nAll are {WORD}."""\n', [(4, WORD)]),
        ("a.py", f"x = 1  # these {PHRASE.split()[0]}\n# no labels\n", [(1, f"{PHRASE} labels")]),
        ("a.py", f'raise ValueError(f"{{x}} {PHRASE.split()[0]} "\n    "no labels")\n', [(1, f"{PHRASE} labels")]),
        ("a.py", f"is_{WORD} = file.{WORD}()\n", []),
        ("a.py", f"{WORD} = 1\n", [(1, WORD)]),
        ("a.yaml", f"key: 1 # {WORD.upper()}\n", [(1, WORD.upper())]),
        ("a.py", f'def f():\n    """{START} it returns."""\n', [(2, f'"""{START}')]),
        ("a.py", f'"""Report.\n\n{START} it returns."""\n', []),
        ("a.md", "There are not any. It is normal.\n", []),
    ],
)
def test_findings_text_gives_line_and_words(tmp_path: Path, name: str, text: str, expected: list) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert list(findings(path)) == expected


def test_main_repository_has_no_findings(capsys) -> None:
    assert main([]) == 0, capsys.readouterr().out
