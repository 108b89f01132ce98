"""A few damaged files for every reader. ``python -m tests.fuzz`` runs many more."""

import pytest

from tests.fuzz.drive import drive
from tests.fuzz.targets import TARGETS

SLOW = {"teacher": 2, "foundation": 2, "sharded-foundation": 2, "config": 3, "heads": 10, "sam": 4}
SLOW |= {"published": 20, "run": 30, "stream": 10}


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "charts"])  # they take seconds each
def test_damaged_file_gives_a_result_or_a_named_error(name, tmp_path):
    assert not any(drive(TARGETS[name], tmp_path, count=SLOW.get(name, 60)))
