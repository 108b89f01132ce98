"""Damaged files for every reader: whatever is in a file, a reader gives a good result or one of our named errors.

By hand: ``python -m tests.fuzz --target NAME --count 100000 --seed 1``; ``--list`` prints the targets.
"""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # else a damaged name is asked for on the hub, again and again for 23 s
