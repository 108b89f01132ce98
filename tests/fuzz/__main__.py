"""``python -m tests.fuzz``: many damaged files."""

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.drive import drive
from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--target", choices=TARGETS, help="which reader")
    parser.add_argument("--count", type=int, default=1000, help="inputs")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after so long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="number of the first input")
    parser.add_argument("--keep", type=Path, help="folder for the first input of every kind of finding")
    parser.add_argument("--list", action="store_true", help="print the targets")
    args = parser.parse_args()
    if args.list or not args.target:
        print("\n".join(TARGETS))
        return 0
    found: Counter[tuple[str, str]] = Counter()
    done, began = 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for one in drive(TARGETS[args.target], Path(folder), count=args.count, seed=args.seed, start=args.start):
            if time.monotonic() - began > args.seconds:
                break
            done += 1
            if one is None:
                continue
            kind = (one.where, one.error.partition(":")[0])
            found[kind] += 1
            if found[kind] == 1:
                print(f"input {one.number} of {one.file}: {one.error} at {one.where}", flush=True)
                if args.keep:
                    args.keep.mkdir(parents=True, exist_ok=True)
                    (args.keep / f"{args.target}-{one.number}-{one.file}").write_bytes(one.content)
    print(f"{args.target}: {done} inputs, {sum(found.values())} findings of {len(found)} kinds")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
