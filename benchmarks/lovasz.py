"""What the native kernel buys the Lovasz-softmax loss: value and gradient of 20 classes, by it and by plain torch.

    python benchmarks/lovasz.py [--rounds 7] [--threads 1]

Beside them the published style: class by class, errors as floats sorted by torch. Rows are random, about as right as a
student in training.
"""

from collections.abc import Callable
from functools import partial

import torch
from _timing import arguments, conditions, fair_rounds, spread, table
from torch import Tensor

from elite import native
from elite.losses import lovasz_softmax

NATIVE, TORCH, PUBLISHED = "native", "torch", "published style"
CLASSES, ROWS = 20, (5_000, 25_000, 120_000)

Asked = tuple[Tensor, Tensor]  # logits (n, classes), labels (n,)


def asked(rows: int, seed: int) -> Asked:
    """Every tenth row without a label, two of three answers right."""
    random = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, CLASSES, generator=random)
    labels = torch.randint(1, CLASSES, (rows,), generator=random)
    logits[torch.arange(rows), labels] += 8 * (torch.rand(rows, generator=random) < 2 / 3)
    labels[::10] = 0
    return logits.requires_grad_(), labels


def by_torch(given: Asked) -> Tensor:
    found = native.library
    native.library = lambda: None  # type: ignore[assignment]
    try:
        return value_and_gradient(lovasz_softmax, given)
    finally:
        native.library = found


def class_by_class(logits: Tensor, labels: Tensor) -> Tensor:
    counted = labels != 0
    shares, labels = torch.softmax(logits[counted], dim=1), labels[counted]
    losses = []
    for c in torch.unique(labels):
        truth = (labels == c).float()
        errors, order = torch.sort((truth - shares[:, c]).abs(), descending=True)
        sorted_truth = truth[order]
        left = sorted_truth.sum() - sorted_truth.cumsum(0)
        jaccard = 1 - left / (sorted_truth.sum() + (1 - sorted_truth).cumsum(0))
        losses.append(errors @ torch.cat([jaccard[:1], jaccard.diff()]))
    return torch.stack(losses).mean()


def value_and_gradient(loss: Callable[[Tensor, Tensor], Tensor], given: Asked) -> Tensor:
    logits, labels = given
    logits.grad = None
    value = loss(logits, labels)
    value.backward()
    return value.detach()


def main(rounds: int) -> None:
    if native.library() is None:
        raise SystemExit(native.describe())
    print(conditions())
    contestants = {
        NATIVE: partial(value_and_gradient, lovasz_softmax),
        TORCH: by_torch,
        PUBLISHED: partial(value_and_gradient, class_by_class),
    }
    lines = []
    for rows in ROWS:
        inputs = [asked(rows, seed) for seed in range(rounds + 1)]
        values = [contestant(inputs[0]) for contestant in contestants.values()]
        torch.testing.assert_close(values[1:], values[:1] * 2)
        took = fair_rounds(contestants, inputs, rounds)
        ratios = [spread(took[name], took[NATIVE]) for name in (TORCH, PUBLISHED)]
        lines.append([f"{rows:,} rows", f"{1000 * min(took[NATIVE]):.1f}", *ratios])
    print(table(["", "native, ms at its quickest", *(f"{name} / native" for name in (TORCH, PUBLISHED))], lines))


if __name__ == "__main__":
    main(arguments(__doc__, rounds=7, files=False).rounds)
