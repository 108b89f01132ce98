"""Commands of a page of the documentation."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def guide_commands(page: str) -> list[str]:
    """Words after ``elite`` of the commands of a page below ``docs``, in its order."""
    return re.findall(r"^elite (.+)$", "\n".join((DOCS / page).read_text().split("```")[1::2]), re.MULTILINE)
