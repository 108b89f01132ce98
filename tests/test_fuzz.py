"""A few damaged files for every reader; many more by hand, see tests/fuzz."""

import pytest

from tests.fuzz.drive import drive
from tests.fuzz.targets import TARGETS

SLOW = {"teacher": 5, "foundation": 5, "config": 5, "charts": 1, "heads": 30, "sam": 20, "student": 60, "stream": 30}


@pytest.mark.parametrize("name", TARGETS)
def test_a_damaged_file_gives_a_result_or_a_named_error(name, tmp_path):
    pytest.importorskip("transformers")
    assert not list(drive(TARGETS[name], tmp_path, count=SLOW.get(name, 100)))
