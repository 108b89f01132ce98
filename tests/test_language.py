"""The language check of ``make lint``: which phrases it finds, and where it reads."""

from pathlib import Path

import pytest

from tools.check_language import findings, main

# The phrases are built from parts, because the check reads this file as well.
TOLD, NONE = "to" + "ld", "are" + " no"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.md", f"first line\nlabels {NONE}\npredictions", [(2, f"{NONE} predictions")]),
        ("a.py", f'x = 1\n"""Report.\n\nAll are {TOLD}."""\n', [(4, TOLD)]),
        ("a.py", f"x = 1  # these {NONE.split()[0]}\n# no labels\n", [(1, f"{NONE} labels")]),
        ("a.py", f'raise ValueError(f"{{x}} {NONE.split()[0]} "\n    "no labels")\n', [(1, f"{NONE} labels")]),
        ("a.py", f"{TOLD} = 1\n", []),
        ("a.yaml", f"key: 1 # {TOLD.upper()}\n", [(1, TOLD.upper())]),
        ("a.md", "There are not any. It is normal.\n", []),
    ],
)
def test_findings_text_gives_line_and_words(tmp_path: Path, name: str, text: str, expected: list) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert list(findings(path)) == expected


def test_main_repository_has_no_findings(capsys) -> None:
    assert main([]) == 0, capsys.readouterr().out
