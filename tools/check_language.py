"""Report wording that the style guide excludes: ``python tools/check_language.py [FILE ...]``.

Without arguments it reads every tracked text file. Attributes such as ``file.tell`` are free. Exit status 1 means that
at least one phrase was found.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SKIPPED = ("LICENSE", "tools/check_language.py")  # a text of others, and the list itself
GAP = r"""(?:\s|//|#|["']\s+[a-z]*["'])+"""  # between two words: blanks, marks of comments, ends of adjacent strings
PHRASES = (
    r"(?<!\.)\b(?:tells?|told|serves|goes on|makes again|made again|stands in|anew|so-many|puts? up with"
    r"|(?:is|are) no \w+|not to be had|knows nothing|in hand|nobody)\b"
).replace(" ", GAP)
DOCSTRING_START = r'^[ \t]*"""(?-i:What|How|Which|Where|Who)\b'
EXCLUDED = re.compile(f"{PHRASES}|{DOCSTRING_START}", re.IGNORECASE | re.MULTILINE)


def tracked_files() -> list[Path]:
    """Text files that git tracks."""
    listed = subprocess.run(["git", "grep", "-Il", ""], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in listed.splitlines()]


def findings(path: Path) -> Iterator[tuple[int, str]]:
    """Line number and words of each excluded phrase, and of each docstring that starts with a free relative."""
    text = path.read_text(encoding="utf-8")
    for match in EXCLUDED.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, re.sub(GAP, " ", match[0]).strip()


def main(arguments: list[str]) -> int:
    """Print ``file:line: words`` for each finding."""
    found = 0
    for path in [Path(name).resolve() for name in arguments] or tracked_files():
        name = path.relative_to(ROOT).as_posix()
        if name in SKIPPED:
            continue
        for line, words in findings(path):
            print(f"{name}:{line}: '{words}'")
            found += 1
    if found:
        print(f"{found} phrases of the excluded list found. Rewrite them in plain English.", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
