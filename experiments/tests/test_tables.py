"""Tables of the experiment pages agree with the CSV files."""

import pytest

from experiments.page_tables import TABLES
from experiments.tables import DOCS, TABLE, rewritten

PAGES = sorted((DOCS / "experiments").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_rewritten_published_page_is_unchanged(page) -> None:
    text = page.read_text(encoding="utf-8")
    assert rewritten(text, TABLES) == text, "run `python -m experiments.tables`"


def test_published_pages_show_each_table() -> None:
    shown = [name for page in PAGES for _, name, _ in TABLE.findall(page.read_text(encoding="utf-8"))]
    assert sorted(shown) == sorted(TABLES)


def test_rewritten_replaces_the_table_between_the_marks() -> None:
    page = "before\n<!-- table a -->\nold\n<!-- end -->\nafter\n"
    assert rewritten(page, {"a": lambda: "new"}) == "before\n<!-- table a -->\nnew\n<!-- end -->\nafter\n"
