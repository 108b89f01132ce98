"""Picture of the page on pseudo-labels: what ``elite pseudo-label --pictures`` draws of a rendered street.

    python docs/figures/pseudo_label.py

Renders two full-size frames, and labels one of them with the watershed.
"""

import argparse
import tempfile
from pathlib import Path

from PIL import Image

from elite.cli import main as elite


def run(*words: str) -> None:
    if status := elite(list(words)):
        raise SystemExit(status)


def main(out: Path, width: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as drive:
        run("synth", "-o", drive, "--sequences", "1", "--frames", "2", "--seed", str(seed))
        run("pseudo-label", drive, "--sequences", "08", "--frames", "1", "--pictures")
        (path,) = Path(drive).glob("sequences/08/image_2_pseudo/pictures/*.png")
        picture = Image.open(path).convert("RGB")
    height = round(picture.height * width / picture.width)
    # A palette of 256 colours would merge the colours of classes.
    picture.resize((width, height), Image.Resampling.LANCZOS).save(out, quality=86, subsampling=0)
    print(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images/pseudo_label.jpg"))
    parser.add_argument("--width", type=int, default=827, help="pixels")
    parser.add_argument("--seed", type=int, default=3, help="seed of the street")
    args = parser.parse_args()
    main(args.out, args.width, args.seed)
