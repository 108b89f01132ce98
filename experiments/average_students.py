"""The mean of the weights of students, of which each continued the training of the one before.

    python -m experiments.average_students STUDENT STUDENT ... -o OUT.elite

Such a mean is often as accurate as the best of them on data like their own, and more accurate on others (model soups,
Wortsman et al., ICML 2022). Students of other beginnings have no useful mean.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from elite.errors import ConfigError
from elite.student import SPVCNN, load_student
from elite.student.model_file import save_model


def average(students: Sequence[SPVCNN]) -> SPVCNN:
    """The last student, with the mean of all weights and of all batch-norm statistics.

    Raises:
        ConfigError: students of different shapes.
    """
    last = students[-1]
    if any(student.config != last.config for student in students):
        raise ConfigError("students: expected equal settings, found others. Average students of one beginning.")
    states = [student.state_dict() for student in students]
    with torch.no_grad():
        for name, value in last.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.stack([state[name].double() for state in states]).mean(dim=0))
    return last


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("students", type=Path, nargs="+")
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    save_model(average([load_student(path) for path in args.students]), args.out, half=True)


if __name__ == "__main__":
    main()
