"""Time of the Lovasz-softmax loss and its gradient for 20 classes by the native kernel and by torch.

    python benchmarks/lovasz.py [--rounds 7] [--threads 1]

The published style processes class by class and sorts errors as floats with torch. Logits are random, with the
accuracy of a student during training.
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

Inputs = tuple[Tensor, Tensor]  # logits (n, classes), labels (n,)


def random_inputs(rows: int, seed: int) -> Inputs:
    """Inputs with a tenth of the rows unlabelled and two thirds of the predictions correct."""
    random = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, CLASSES, generator=random)
    labels = torch.randint(1, CLASSES, (rows,), generator=random)
    logits[torch.arange(rows), labels] += 8 * (torch.rand(rows, generator=random) < 2 / 3)
    labels[::10] = 0
    return logits.requires_grad_(), labels


def by_torch(inputs: Inputs) -> Tensor:
    found = native.library
    native.library = lambda: None  # type: ignore[assignment]
    try:
        return value_and_gradient(lovasz_softmax, inputs)
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


def value_and_gradient(loss: Callable[[Tensor, Tensor], Tensor], inputs: Inputs) -> Tensor:
    logits, labels = inputs
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
        inputs = [random_inputs(rows, seed) for seed in range(rounds + 1)]
        values = [contestant(inputs[0]) for contestant in contestants.values()]
        torch.testing.assert_close(values[1:], values[:1] * 2)
        seconds = fair_rounds(contestants, inputs, rounds)
        ratios = [spread(seconds[name], seconds[NATIVE]) for name in (TORCH, PUBLISHED)]
        lines.append([f"{rows:,} rows", f"{1000 * min(seconds[NATIVE]):.1f}", *ratios])
    print(table(["", "native, fastest ms", *(f"{name} / native" for name in (TORCH, PUBLISHED))], lines))


if __name__ == "__main__":
    main(arguments(__doc__, rounds=7, files=False).rounds)
