"""Report wording that the style guide excludes: ``python tools/check_language.py [FILE ...]``.

Without arguments it reads every tracked text file. Python files are read for their comments and strings only, so names
are free. Exit status 1 means that at least one line was found.
"""

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = {".md", ".py", ".pyi", ".yaml", ".yml", ".toml", ".cff", ".cpp", ".h", ".html", ".css", ".js", ".j2", ".txt"}
PHRASES = (
    r"tells?|told|serves|goes on|makes again|made again|stands in|anew|so-many|puts? up with|(?:is|are) no \w+"
    r"|not to be had|knows nothing|in hand|nobody"
)
EXCLUDED = re.compile(rf"\b(?:{PHRASES})\b".replace(" ", r"\s+"), re.IGNORECASE)
DOCSTRING_START = re.compile(r'^[ \t]*"""(?:What|How|Which|Where|Who)\b', re.MULTILINE)
NAMES = ("LICENSE", "tools/check_language.py")  # a text of others, and the list itself
TEXT_TOKENS = {getattr(tokenize, f"FSTRING_{part}", tokenize.STRING) for part in ("START", "MIDDLE", "END")}
TEXT_TOKENS |= {tokenize.STRING, tokenize.COMMENT}


def tracked_files() -> list[Path]:
    """Text files that git knows, without those in ``NAMES``."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in listed.splitlines() if Path(name).suffix in SUFFIXES or name == "Makefile"]


def python_prose(source: str) -> str:
    """Source of the same length and lines, with ``\\0`` in place of everything except comments and strings."""
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    prose = [character if character.isspace() else "\0" for character in source]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in TEXT_TOKENS:
            begin, end = starts[token.start[0] - 1] + token.start[1], starts[token.end[0] - 1] + token.end[1]
            prose[begin:end] = re.sub(r"""^[a-zA-Z]*["']+|["']+$|#""", lambda m: " " * len(m[0]), source[begin:end])
    return "".join(prose)


def prose_of(path: Path) -> str:
    """Text of a file in which a sentence that spans lines, comments or adjacent strings is separated by blanks only."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in (".py", ".pyi"):
        return python_prose(text)
    if path.suffix == ".md":
        return text
    return re.sub(r"//|#", lambda m: " " * len(m[0]), text)


def findings(path: Path) -> Iterator[tuple[int, str]]:
    """Line number and words of each excluded phrase, and of each docstring that starts with a free relative."""
    texts = [(EXCLUDED, prose_of(path))]
    if path.suffix in (".py", ".pyi"):
        texts.append((DOCSTRING_START, path.read_text(encoding="utf-8")))
    for excluded, text in texts:
        for match in excluded.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, " ".join(match[0].split())


def main(arguments: list[str]) -> int:
    """Print ``file:line: words`` for each finding."""
    paths = [Path(name).resolve() for name in arguments] or tracked_files()
    found = 0
    for path in paths:
        name = path.relative_to(ROOT).as_posix()
        if name in NAMES or not path.is_file():
            continue
        for line, words in findings(path):
            print(f"{name}:{line}: '{words}'")
            found += 1
    if found:
        print(f"{found} phrases of the excluded list found. Rewrite them in plain English.", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
