"""Pre-training of a vision foundation model from random weights, on images alone.

::

    OUT/config.json  model.safetensors  a transformers folder, for --teacher.weights OUT
        teacher.safetensors             objective classes: taps and heads too, for --teacher.heads pretrained
        training.json                   settings, versions, losses in the end

The objective ``segments`` stands in for what SAM was trained on: masks without names. Dense labels say only which
pixels belong together, never what they show.
"""

import tempfile
import time
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64, UInt8
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, SamVisionModel
from transformers.models.sam.modeling_sam import SamVisionEncoder

from elite.config import OptimConfig, PretrainConfig, TeacherConfig, plain
from elite.data.images import ImageIndex, Picture, PictureSet, Target, shuffled_keys
from elite.data.views import parse_names
from elite.environment import describe
from elite.errors import ConfigError, OutputError
from elite.files import make_folder, write_bytes, write_json
from elite.labels import NUM_CLASSES
from elite.losses import segmentation_loss
from elite.teacher.backbone import MEAN, AutoMaps, Backbone
from elite.teacher.heads import Tap, TeacherHeads
from elite.teacher.teacher import HEADS_FILE
from elite.teacher.weights import load_backbone
from elite.training.callbacks import ProgressBar
from elite.training.optim import cosine
from elite.training.run import _fit, _quiet

_STAGES = 4
_PATCH = 16  # side (pixels) of the squares that are hidden
_COLOUR_SCALE = 58.0  # about the standard deviation of natural images on 0..255
_FILES = {"config.json", "model.safetensors", "training.json", HEADS_FILE}
_TARGETS: dict[str, Target] = {"segments": "segments", "classes": "classes", "reconstruction": "none"}


@dataclass(frozen=True)
class PretrainResult:
    """The model, and losses and scores: means over the last tenth of the steps, val/... on held-out images."""

    folder: Path
    scores: dict[str, float]


def pretrain(config: PretrainConfig, *, progress: bool = True) -> PretrainResult:
    """Train as ``config`` says; ``config.out`` appears in the end, whole.

    Raises:
        ConfigError, DataError, OutputError: before the first step, if something does not fit.
        DataError: later too, at the first damaged image.
        ConfigError: the loss is no longer finite.
    """
    config = replace(config, out=config.out.resolve())
    _check_out(config)
    L.seed_everything(config.seed, workers=True, verbose=False)
    data = Images(config)
    backbone = load_backbone(TeacherConfig(weights="random", model=config.model), _STAGES)
    backbone.check_size(*config.image.crop)
    whole = whole_model(backbone)
    make_folder(config.out.parent)
    module = Pretraining(config, backbone)
    with _quiet():
        trainer = _trainer(config, progress, validated=data.val_set is not None)
        _fit(trainer, module, data)  # type: ignore[arg-type]
    scores = module.last_scores() | {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
    record = {"settings": plain(config), "images": len(data.train_set), "scores": scores, "versions": describe()}
    heads = module.objective.teacher.state_dict() if config.objective == "classes" else {}
    save_model(whole, config.out, record, heads)
    return PretrainResult(config.out, scores)


# ---- the training loop ----------------------------------------------------------------------------------------------


class Pretraining(L.LightningModule):
    """The backbone under its objective. AdamW with a cosine; norms, biases and positions do not decay."""

    def __init__(self, config: PretrainConfig, backbone: Backbone) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone.train()
        self.objective = Objective(config, backbone)
        self._last: deque[dict[str, float]] = deque(maxlen=max(1, config.steps // 10))

    def training_step(self, batch: Picture, _index: int) -> Tensor:
        scores = self.scores(batch)
        values = {name: float(value.detach()) for name, value in scores.items()}
        if not all(torch.isfinite(value) for value in scores.values()):
            raise ConfigError(
                f"the loss is no longer finite at step {self.global_step} ({values}); nothing is written; lower --lr "
                f"({self.config.lr:g}) or lengthen --warmup_steps ({self.config.warmup_steps})."
            )
        self._last.append(values)
        shown = ("loss", "mask_iou") if "mask_iou" in values else ("loss",)
        self.log_dict({name: values[name] for name in shown}, prog_bar=True, batch_size=len(batch.image))
        return scores["loss"]

    def validation_step(self, batch: Picture, _index: int) -> None:
        scores = {f"val/{name}": value for name, value in self.scores(batch).items()}
        self.log_dict(scores, batch_size=len(batch.image))

    def scores(self, batch: Picture) -> dict[str, Tensor]:
        """Every term of the loss, their sum ``loss``, and scores that are not minimised."""
        images, target = torch.as_tensor(batch.image), torch.as_tensor(batch.target)
        hidden = draw_hidden(images, self.config.hidden if self.objective.paints else 0.0)
        terms, scores = self.objective(self.backbone(hide(images, hidden)), images, hidden, target)
        return {"loss": torch.stack(list(terms.values())).sum(), **terms, **scores}

    def last_scores(self) -> dict[str, float]:
        """Means over the last tenth of the steps."""
        return {name: sum(s[name] for s in self._last) / len(self._last) for name in self._last[0]}

    def configure_optimizers(self) -> Any:
        trained = [(name, p) for name, p in self.named_parameters() if p.requires_grad]
        fixed = [p for name, p in trained if p.ndim < 2 or "pos" in name]
        decaying = [p for name, p in trained if not (p.ndim < 2 or "pos" in name)]
        groups = [{"params": decaying}, {"params": fixed, "weight_decay": 0.0}]
        # Runs are short: the second moment must follow within tens of steps, not a thousand.
        decay = self.config.weight_decay
        optimizer = torch.optim.AdamW(groups, lr=self.config.lr, betas=(0.9, 0.98), weight_decay=decay)
        rate = OptimConfig(lr=self.config.lr, warmup_steps=self.config.warmup_steps)
        schedule = LambdaLR(optimizer, lambda step: cosine(step, self.config.steps, rate))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _Rate(Callback):
    """Images per second since the start, loading included, in the progress bar."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._start, self._images = time.monotonic(), 0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Picture, batch_idx: int
    ) -> None:
        self._images += len(batch.image)
        rate = self._images / (time.monotonic() - self._start)
        pl_module.log("images/s", rate, prog_bar=True, batch_size=len(batch.image))


class Images(L.LightningDataModule):
    """Shuffled training pictures, as many as the steps take, and held-out ones in order if there are any."""

    def __init__(self, config: PretrainConfig) -> None:
        super().__init__()
        self.config, data = config, config.data
        if data.root is None:
            raise ConfigError("data.root is not set; give --data.root, the folder that holds 'sequences'.")
        self.train_set = self._pictures(data.sequences, data.frames, without=data.val_sequences, augment=True)
        validated = data.val_sequences != "none"
        self.val_set = self._pictures(data.val_sequences, data.val_frames, augment=False) if validated else None

    def train_dataloader(self) -> DataLoader[Picture]:
        data = self.config.data
        keys = shuffled_keys(len(self.train_set), self.config.steps * data.batch_size, self.config.seed)
        return DataLoader(self.train_set, data.batch_size, sampler=keys, num_workers=data.workers)

    def val_dataloader(self) -> DataLoader[Picture] | list[DataLoader[Picture]]:
        if self.val_set is None:
            return []
        keys = [(0, i) for i in range(len(self.val_set))]
        return DataLoader(self.val_set, 1, sampler=keys, num_workers=min(1, self.config.data.workers))

    def _pictures(
        self, sequences: str | None, frames: str | None, *, without: str = "none", augment: bool
    ) -> PictureSet:
        config, cameras = self.config, parse_names(self.config.data.cameras)
        assert config.data.root is not None
        index = ImageIndex(config.data.root, sequences, frames=frames, cameras=cameras, without=without)
        target = _TARGETS[config.objective]
        return PictureSet(index, config.image, target=target, seed=config.seed, augment=augment)


def _trainer(config: PretrainConfig, progress: bool, *, validated: bool) -> L.Trainer:
    try:
        return L.Trainer(
            max_steps=config.steps,
            max_epochs=1,
            limit_val_batches=None if validated else 0,
            gradient_clip_val=config.clip,
            precision=config.precision,
            accelerator=config.accelerator,
            devices=1,
            callbacks=[_Rate(), ProgressBar()] if progress else [_Rate()],
            logger=False,
            enable_checkpointing=False,  # what is made is one small model, written in the end
            num_sanity_val_steps=0,
            enable_progress_bar=progress,
            enable_model_summary=False,
        )
    except MisconfigurationException as error:
        raise ConfigError(f"this machine cannot train so ({error}); change --accelerator.") from error


# ---- the objective --------------------------------------------------------------------------------------------------


class Objective(nn.Module):
    """What the maps are asked for. Its layers are thrown away after pre-training, but for the objective classes.

    Taps bring every map to a quarter of the image's size and are summed. On the sum stand 1 x 1 convolutions: for
    masks a query and a key per cell, whose product says whether two cells are of one segment; one channel for
    boundaries; colours for hidden patches. For classes they are the taps and heads of a teacher, and are kept.
    """

    def __init__(self, config: PretrainConfig, backbone: Backbone) -> None:
        super().__init__()
        width, self.kind, self.queries = config.width, config.objective, config.queries
        if self.kind == "classes":
            self.teacher = TeacherHeads(backbone, channels=width, classes=NUM_CLASSES)
            return
        self.taps = nn.ModuleList(Tap(c, width, s) for c, s in zip(backbone.channels, backbone.strides, strict=True))
        if self.kind == "segments":
            self.query, self.key = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
            self.mask_bias = nn.Parameter(torch.zeros(()))
            self.boundary = nn.Conv2d(width, 1, 1)
        if self.paints:
            self.colour = nn.Conv2d(width, 3, 1)

    @property
    def paints(self) -> bool:
        """Whether patches are hidden and their colours asked for."""
        return self.kind != "classes"

    def forward(
        self,
        maps: list[Tensor],
        images: UInt8[Tensor, "b 3 h w"],
        hidden: Bool[Tensor, "b h w"],
        target: Int64[Tensor, "b h w"],
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The terms of the loss, and scores that are not minimised."""
        if self.kind == "classes":
            return self.class_terms(maps, target), {}
        fused = torch.stack([tap(m) for tap, m in zip(self.taps, maps, strict=True)]).sum(0)
        rows, columns = fused.shape[2:]
        target = at_cells(target, rows, columns)
        terms = {"colours": colour_loss(self.colour(fused), images, at_cells(hidden, rows, columns))}
        if self.kind == "reconstruction":
            return terms, {}
        masks, truth = self.masks(fused, target)
        edges = F.binary_cross_entropy_with_logits(self.boundary(fused)[:, 0], boundaries(target).float())
        iou = mask_iou(masks.detach() > 0, truth)
        return {"masks": mask_loss(masks, truth), "boundaries": edges, **terms}, {"mask_iou": iou}

    def class_terms(self, maps: list[Tensor], target: Int64[Tensor, "b h w"]) -> dict[str, Tensor]:
        """The losses of a teacher's heads in distillation, on every cell of dense labels."""
        refined = [tap(m) for tap, m in zip(self.teacher.taps, maps, strict=True)]
        rows, columns = refined[0].shape[2:]
        labels = at_cells(target, rows, columns).flatten()
        said = self.teacher.answer([m.permute(0, 2, 3, 1).flatten(0, 2) for m in refined])
        terms = {}
        for i, logits in enumerate(said.stages):
            terms[f"stage{i}"] = sum(segmentation_loss(logits, labels, None)) / len(said.stages)
        return terms | {"classes": sum(segmentation_loss(said.multi_stage, labels, None))}  # type: ignore[dict-item]

    def masks(
        self, fused: Float[Tensor, "b c h w"], target: Int64[Tensor, "b h w"]
    ) -> tuple[Float[Tensor, "b q cells"], Bool[Tensor, "b q cells"]]:
        """Logits of "the same segment as the query's" for every cell, and the truth."""
        segment = target.flatten(1)
        chosen = draw_queries(segment, self.queries)
        keys = self.key(fused).flatten(2)
        queries = self.query(fused).flatten(2).gather(2, chosen[:, None].expand(-1, keys.shape[1], -1))
        logits = queries.transpose(1, 2) @ keys * keys.shape[1] ** -0.5 + self.mask_bias
        return logits, segment.gather(1, chosen)[:, :, None] == segment[:, None]


def draw_hidden(images: UInt8[Tensor, "b 3 h w"], share: float) -> Bool[Tensor, "b h w"]:
    """Squares of 16 x 16 pixels, each hidden by chance."""
    b, _, h, w = images.shape
    squares = torch.rand(b, -(-h // _PATCH), -(-w // _PATCH), device=images.device) < share
    return squares.repeat_interleave(_PATCH, 1).repeat_interleave(_PATCH, 2)[:, :h, :w]


def hide(images: UInt8[Tensor, "b 3 h w"], hidden: Bool[Tensor, "b h w"]) -> UInt8[Tensor, "b 3 h w"]:
    """The images with a grey that the backbone's normalisation makes zero where they are hidden."""
    grey = torch.tensor(MEAN, device=images.device).round().to(torch.uint8).view(3, 1, 1)
    return torch.where(hidden[:, None], grey, images)


def at_cells(values: Tensor, rows: int, columns: int) -> Tensor:
    """(b, h, w) -> (b, rows, columns): the value at the pixel in the middle of every cell."""
    r = ((torch.arange(rows, device=values.device) + 0.5) * values.shape[1] / rows).long()
    c = ((torch.arange(columns, device=values.device) + 0.5) * values.shape[2] / columns).long()
    return values[:, r[:, None], c]


def boundaries(segment: Int64[Tensor, "b h w"]) -> Bool[Tensor, "b h w"]:
    """Cells that have a neighbour (left, right, above, below) of another segment."""
    down, right = segment.diff(dim=1) != 0, segment.diff(dim=2) != 0
    return F.pad(down, (0, 0, 0, 1)) | F.pad(down, (0, 0, 1, 0)) | F.pad(right, (0, 1)) | F.pad(right, (1, 0))


def draw_queries(segment: Int64[Tensor, "b cells"], count: int) -> Int64[Tensor, "b count"]:
    """Cells: the first half uniform over segments and then within the drawn one, the rest uniform over all cells."""
    size = torch.stack([s.bincount(minlength=int(segment.max()) + 1) for s in segment])
    rare = torch.multinomial(1 / size.gather(1, segment).float(), count - count // 2, replacement=True)
    uniform = torch.randint(segment.shape[1], (len(segment), count // 2), device=segment.device)
    return torch.cat([rare, uniform], dim=1)


def mask_loss(logits: Float[Tensor, "b q cells"], truth: Bool[Tensor, "b q cells"]) -> Float[Tensor, ""]:
    """Binary cross entropy + dice, means over masks. Inside and outside of a mask weigh the same, whatever its size."""
    inside, outside = truth.float(), (~truth).float()
    missed = (F.softplus(-logits) * inside).sum(2) / inside.sum(2)
    spilt = (F.softplus(logits) * outside).sum(2) / outside.sum(2).clamp(min=1)
    share = logits.sigmoid()
    dice = 1 - (2 * (share * inside).sum(2) + 1) / (share.sum(2) + inside.sum(2) + 1)
    return ((missed + spilt) / 2 + dice).mean()


def mask_iou(masks: Bool[Tensor, "b q cells"], truth: Bool[Tensor, "b q cells"]) -> Float[Tensor, ""]:
    return ((masks & truth).sum(2) / (masks | truth).sum(2)).mean()  # the truth holds the query, so it is never empty


def colour_loss(
    painted: Float[Tensor, "b 3 rows columns"],
    images: UInt8[Tensor, "b 3 h w"],
    hidden: Bool[Tensor, "b rows columns"],
) -> Float[Tensor, ""]:
    """Mean L1 at hidden cells between the painted and the mean true colour; 0 if nothing is hidden."""
    mean = torch.tensor(MEAN, device=images.device).view(3, 1, 1)
    rows, columns = painted.shape[2:]
    truth = F.adaptive_avg_pool2d((images - mean) / _COLOUR_SCALE, (rows, columns))
    off = (painted - truth).abs().mean(dim=1)
    return (off * hidden).sum() / hidden.sum().clamp(min=1)


# ---- what is written ------------------------------------------------------------------------------------------------


def whole_model(backbone: Backbone) -> PreTrainedModel:
    """The transformers model around ``backbone``, sharing its weights, that ``load_backbone`` reads again.

    Raises:
        ConfigError: an architecture of which only a part is trained.
    """
    model = backbone.model
    if isinstance(model, SamVisionEncoder):
        whole = SamVisionModel(model.config)
        whole.vision_encoder = model
        return whole
    if isinstance(backbone, AutoMaps) and isinstance(model, PreTrainedModel):
        return model
    raise ConfigError(
        f"pre-training writes SAM's image encoder or a model of transformers' AutoBackbone, not a "
        f"{type(model).__name__}; choose another --model."
    )


def save_model(
    model: PreTrainedModel, out: Path, record: dict[str, Any], heads: dict[str, Tensor] | None = None
) -> None:
    """Write the transformers folder, the trained heads if there are any and training.json beside ``out``, and move
    them there when they are whole.

    Raises:
        OutputError: the disk is full or the folder not writable; what stood at ``out`` before is intact.
    """
    try:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as parent:
            fresh = Path(parent) / "new"
            write_bytes(fresh / "model.safetensors", save(_plain_state(model), {"format": "pt"}))
            model.config.save_pretrained(fresh)
            if heads:
                write_bytes(fresh / HEADS_FILE, save({n: v.detach().cpu().contiguous() for n, v in heads.items()}))
            write_json(fresh / "training.json", record)
            _move(fresh, out, Path(parent) / "old")
    except OSError as error:
        raise OutputError(f"cannot write {out} ({error}); free the space or choose another --out.") from error


def _move(fresh: Path, out: Path, old: Path) -> None:
    """``fresh`` to ``out``; what stood there goes to ``old``, and back if that fails."""
    if out.exists():
        out.rename(old)
    try:
        fresh.rename(out)
    except BaseException:
        if old.exists():
            old.rename(out)
        raise


def _plain_state(model: PreTrainedModel) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}


def _check_out(config: PretrainConfig) -> None:
    """Raises ConfigError if ``out`` holds a model that must stay, or anything that is no model."""
    out = config.out
    if out == Path.cwd() or out.is_mount():
        raise ConfigError(f"{out} cannot be replaced by a new folder when the model is whole; choose another --out.")
    if not out.exists():
        return
    found = {p.name for p in out.iterdir()} if out.is_dir() else {out.name}
    if found - _FILES:
        raise ConfigError(f"{out} holds other things than a model ({sorted(found - _FILES)[0]}); choose another --out.")
    if found and not config.overwrite:
        raise ConfigError(f"{out} holds a model already; choose another --out, or give --overwrite true.")
