"""Documentation: commands parse, links exist, examples run."""

import pkgutil
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from elite.cli import parse
from elite.cli.settings import configuration
from elite.config import TrainConfig
from elite.datasets.described.description import load_description
from elite.student import SPVCNN, save_student

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
PLACEHOLDERS = {"...": None, "N": "2", "W": "0.5", "STREET": "5", "WAY": "logits", "NAME": "synthetic"}
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """Text of a page without its blocks of code."""
    return "".join(page.read_text().split("```")[::2])


def anchors(page: Path) -> set[str]:
    """Anchors of the headings of a page, as GitHub derives them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(page: Path) -> list[list[str]]:
    """Words after ``elite`` of each command in the blocks of code of a page, also if torchrun or srun starts it."""
    blocks = "\n".join(page.read_text().split("```")[1::2]).replace("\\\n", " ")
    lines = [line for line in blocks.splitlines() if re.match(r"\s*(elite|torchrun|srun) (?!.*\[(options|--))", line)]
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[line.index("elite") + 1 :] for line in words]


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=name)
def test_commands_of_a_page_parse(page: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    if file := re.search(r"```yaml\n# (\S+)\n(.*?)```", page.read_text(), re.DOTALL):
        Path(file[1]).parent.mkdir(parents=True, exist_ok=True)
        Path(file[1]).write_text(file[2])
        if Path(file[1]).name == "dataset.yaml":
            load_description(Path(file[1]))
    for words in commands(page):
        words = [PLACEHOLDERS.get(word, word) for word in words]
        _, args = parse([word for word in words if word is not None])
        if words[0] == "train":
            configuration(args, TrainConfig)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_of_a_page_exist(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def is_importable(dotted: str) -> bool:
    """Whether a name such as ``elite.module.Class`` exists."""
    try:
        pkgutil.resolve_name(dotted)
    except (ImportError, AttributeError):
        return False
    return True


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name)
def test_names_and_files_of_a_page_exist(page: Path) -> None:
    text = prose(page)
    names = set(re.findall(r"`(elite(?:\.\w+)+)", text))
    assert not [dotted for dotted in names if not is_importable(dotted)]
    files = set(re.findall(r"`((?:\w+/)+\w+\.(?:py|cpp|h)|test_\w+\.py)`", text))
    folders = (ROOT, ROOT / "src/elite", ROOT / "tests")
    assert not [file for file in files if not any((folder / file).exists() for folder in folders)]


def test_architecture_names_every_module() -> None:
    text = (DOCS / "explanation/architecture.md").read_text()
    modules = {path.stem for path in (ROOT / "src/elite").iterdir() if path.suffix in ("", ".py")}
    assert not [module for module in modules if module[0] != "_" and f"`{module}" not in text]


def test_index_links_every_page() -> None:
    indexes = (DOCS / "README.md", DOCS / "experiments/README.md")
    links = [(page.parent, link.partition("#")[0]) for page in indexes for link in LINK.findall(page.read_text())]
    linked = {(folder / file).resolve() for folder, file in links}
    assert not {name(page) for page in {*DOCS.rglob("*.md")} - linked - {DOCS / "README.md"}}


def test_readme_has_at_most_130_lines() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


@pytest.mark.parametrize("page", ["README.md", "docs/reference/python-api.md"])
def test_python_example_of_a_page_runs(page: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rng.uniform((-40, -40, -3, 0), (40, 40, 1, 1), (300, 4)).astype("<f4").tofile("000000.bin")
    save_student(SPVCNN(channels=8, cells=(50, 50, 10)), Path("student.safetensors"))
    code = re.search(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert code is not None
    values: dict = {}
    exec(code[1], values)
    assert values["result"].labels.shape == (300,)


@pytest.mark.parametrize("file", ["tram_reader.py", "trams.yaml"])
def test_page_of_readers_contains_the_example(file: str) -> None:
    blocks = (DOCS / "datasets/own-reader.md").read_text().split("```")[1::2]
    assert (ROOT / "examples" / file).read_text() in [block.partition("\n")[2] for block in blocks]
