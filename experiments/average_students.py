"""The mean of the weights of students, of which each continued the training of the one before.

    python -m experiments.average_students STUDENT STUDENT ... -o OUT.elite

Such a mean is often as accurate as the best of them on data like their own, and more accurate on others (model soups,
Wortsman et al., ICML 2022). Students of other beginnings have no useful mean.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from torch.optim.swa_utils import AveragedModel

from elite.errors import ConfigError
from elite.student import SPVCNN, load_student
from elite.student.model_file import save_model


def average(students: Sequence[SPVCNN]) -> SPVCNN:
    """The last student, with the mean of all weights and of all batch-norm statistics.

    Raises:
        ConfigError: students of different shapes.
    """
    if any(student.config != students[-1].config for student in students):
        raise ConfigError("students: expected equal settings, found others. Average students of one beginning.")
    mean = AveragedModel(students[-1], use_buffers=True)
    for student in students:
        mean.update_parameters(student)
    return cast(SPVCNN, mean.module)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("students", type=Path, nargs="+")
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    save_model(average([load_student(path) for path in args.students]), args.out, half=True)


if __name__ == "__main__":
    main()
