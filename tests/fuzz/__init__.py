"""Damaged files for every reader: whatever is in a file, a reader gives a good result or one of our named errors.

By hand: ``python -m tests.fuzz --target NAME --count 100000 --seed 1``; ``--list`` tells the targets.
"""
