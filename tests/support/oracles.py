"""Second formulations of scores and losses, written out."""

import numpy as np
import torch


def official_score(prediction: np.ndarray, truth: np.ndarray, classes: int = 20) -> tuple[float, np.ndarray, float]:
    """Mean IoU, per-class IoU and accuracy by the rule of the benchmark's evaluation script."""
    conf = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(conf, (prediction, truth), 1)
    include = [n for n in range(classes) if n != 0]
    conf = conf.astype(np.float64)
    conf[:, 0] = 0
    tp = np.diag(conf)
    fp = conf.sum(axis=1) - tp
    fn = conf.sum(axis=0) - tp
    union = tp + fp + fn + 1e-15
    return (tp[include] / union[include]).mean(), tp / union, tp.sum() / (tp[include].sum() + fp[include].sum() + 1e-15)


def official_nuscenes_score(prediction: np.ndarray, truth: np.ndarray) -> tuple[float, np.ndarray, float]:
    """Mean IoU, per-class IoU and frequency-weighted IoU by the rule of the nuScenes-lidarseg devkit."""
    conf = np.zeros((17, 17), dtype=np.int64)  # rows are the ground truth
    np.add.at(conf, (truth, prediction), 1)
    conf[0, :] = conf[:, 0] = 0
    with np.errstate(invalid="ignore"):
        iou = np.diagonal(conf) / (conf.sum(axis=1) + conf.sum(axis=0) - np.diagonal(conf))
    return float(np.nanmean(iou)), iou, float(np.nansum(conf.sum(axis=1) * iou) / conf.sum())


def lovasz_by_loop(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Lovász-softmax: per class, sort errors and weight each by the growth of 1 - IoU when its point becomes wrong."""
    keep = labels != 0
    p, y = torch.softmax(logits, 1)[keep].numpy(), labels[keep].numpy()
    losses = []
    for c in np.unique(y):
        truth = y == c
        errors = np.abs(truth - p[:, c])
        order = np.argsort(-errors, kind="stable")
        wrong, before, total = np.zeros(len(y), bool), 0.0, 0.0
        for i in order:
            wrong[i] = True
            predicted = truth ^ wrong
            loss = 1 - (truth & predicted).sum() / (truth | predicted | wrong & truth).sum()
            total += errors[i] * (loss - before)
            before = loss
        losses.append(total)
    return float(np.mean(losses))
