"""Damaged files for every reader: for any content, a reader returns a valid result or raises an EliteError.

By hand: ``python -m tests.fuzz --target NAME --count 100000 --seed 1``; ``--list`` prints the targets.
"""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # else a damaged name is requested from the hub, repeatedly for 23 s
os.environ["RUST_BACKTRACE"] = "0"  # lazrs panics on damaged files; a backtrace takes longer than its reading
