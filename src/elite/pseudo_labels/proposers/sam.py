"""Regions by SAM, SAM 2 or SAM-HQ: the image is encoded once, then every prompt costs a pass of the small decoder.

A prompt is its points and a mask prompt: what is known of the neighbourhood, drawn from the seeds.

Source: Kirillov et al., Segment Anything, 2023; Ravi et al., SAM 2, 2024; Ke et al., Segment Anything in High Quality,
2023; through transformers.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int64, UInt8
from PIL import Image
from torch import Tensor
from transformers import PreTrainedModel, Sam2Model, SamHQModel, SamModel
from transformers.utils import logging

from elite.errors import CheckpointError, ConfigError, DataError, first_line
from elite.pseudo_labels.records import Masks, Prompt, Seeds
from elite.teacher.backbone import MEAN, STD
from elite.teacher.sam_weights import load_sam
from elite.teacher.weights import described_by

_MODELS: dict[str, type[PreTrainedModel]] = {
    "sam": SamModel,
    "sam_hq": SamHQModel,
    "sam2": Sam2Model,
    "sam2_video": Sam2Model,  # the same weights and a memory, which single images do not need
}
_REMEDY = "give Meta's sam_vit_b, _l or _h .pth, or the transformers folder or hub id of a whole SAM, SAM 2 or SAM-HQ"
_OFFSET = 1.0  # logits: how much tighter and wider a mask is drawn to measure its stability
_CELLS_PER_PATCH = 4  # of mask prompts and masks, either way, in every SAM


# ---- an image in the network's square -------------------------------------------------------------------------


@dataclass(frozen=True)
class Placement:
    """Where an image lies in the square that the network sees: at its upper left, the rest is padding.

    Attributes:
        size: rows and columns of the image.
        inner: rows and columns of the square that it covers.
        side: pixels of the square's side.
        grid: cells of the side of a mask or a mask prompt, which cover the square.
    """

    size: tuple[int, int]
    inner: tuple[int, int]
    side: int
    grid: int

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of cells that the image touches."""
        rows, columns = (math.ceil(n * self.grid / self.side) for n in self.inner)
        return rows, columns

    def positions(self, pixel: Int64[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Middle of each (row, column) of the image, as (row, column) in the square, whose corner is (0, 0)."""
        return (pixel + 0.5) * (np.array(self.inner) / np.array(self.size))

    def cell(self, pixel: Int64[np.ndarray, "n 2"]) -> Int64[np.ndarray, "n 2"]:
        """(row, column) of the cell that each pixel's middle falls into."""
        return (self.positions(pixel) * (self.grid / self.side)).astype(np.int64)


def place(model: PreTrainedModel, size: tuple[int, int]) -> Placement:
    """How ``model`` takes an image of ``size``: SAM scales the longest side to the square's, SAM 2 both sides."""
    config: Any = model.config
    side, patch = config.prompt_encoder_config.image_size, config.prompt_encoder_config.patch_size
    grid = _CELLS_PER_PATCH * (side // patch)
    if isinstance(model, Sam2Model):
        return Placement(size, (side, side), side, grid)
    rows, columns = (max(1, int(n * side / max(size) + 0.5)) for n in size)
    return Placement(size, (rows, columns), side, grid)


def to_square(image: UInt8[np.ndarray, "h w 3"], placement: Placement) -> Float[Tensor, "1 3 side side"]:
    """The network's input: the image resized, normalised, and padded with zeros after that, as SAM was trained."""
    rows, columns = placement.inner
    small = np.asarray(Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR), np.float32)
    normal = (small - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    padding = (0, placement.side - columns, 0, placement.side - rows)
    return F.pad(torch.from_numpy(normal).permute(2, 0, 1)[None], padding)


def mask_prompts(
    seeds: Seeds, placement: Placement, prompts: Sequence[Prompt]
) -> Float32[np.ndarray, "prompts grid grid"]:
    """One mask prompt (logits) per prompt, drawn from the seeds; 0 where there is none.

    If several kinds of seeds share a cell, the segment's own count, then those akin to it, then other objects.
    """
    row, column = placement.cell(seeds.pixel).T
    maps = np.zeros((len(prompts), placement.grid, placement.grid), np.float32)
    for drawn, prompt in zip(maps, prompts, strict=True):
        alike = seeds.label == seeds.label[prompt.segment]
        own = np.arange(len(alike)) == prompt.segment
        kinds = ((alike & (seeds.instance > 0), prompt.sibling), (alike & (seeds.instance == 0), prompt.akin))
        drawn[row, column] = prompt.other
        for segments, logit in (*kinds, (own, prompt.own)):
            chosen = segments[seeds.segment]
            drawn[row[chosen], column[chosen]] = logit
    return maps


# ---- the proposer ---------------------------------------------------------------------------------------------


class Sam:
    """A proposer: SAM, SAM 2 or SAM-HQ asked for the region of one segment at a time, three answers to each prompt.

    Args:
        model: transformers' SamModel, Sam2Model or SamHQModel, in float32; it is put into eval mode.
        device: auto, cpu, cuda.
        precision: bf16 runs the network in mixed precision.
        batch: prompts decoded at once; it bounds the memory and changes nothing else.
        max_prompts: how many prompts an image is worth.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        device: str = "cpu",
        precision: Literal["fp32", "bf16"] = "fp32",
        batch: int = 16,
        max_prompts: int = 75,
    ) -> None:
        if precision not in ("fp32", "bf16"):
            raise ConfigError(f"'{precision}' is no precision of SAM's; expected fp32 or bf16.")
        self.device = _device(device)
        self.model = model.to(self.device).eval()  # type: ignore[arg-type]
        self.precision = precision
        self.batch = batch
        self.max_prompts: int | None = max_prompts

    @classmethod
    def load(cls, weights: str, *, device: str = "auto", **settings: Any) -> "Sam":
        """SAM from Meta's .pth, or SAM, SAM 2 or SAM-HQ from a transformers folder or the hub. Strict.

        Raises:
            CheckpointError: weights that cannot be read, that do not fit, or that are an image encoder alone.
        """
        path = Path(weights)
        return cls(load_sam(path) if path.is_file() else _load_folder(weights), device=device, **settings)

    def open(self, image: UInt8[np.ndarray, "h w 3"], seeds: Seeds) -> "SamSession":
        """Encode the image, once.

        Raises:
            DataError: the seeds are of an image of another size.
        """
        if image.shape[:2] != seeds.size:
            raise DataError(
                f"the image is {image.shape[0]} x {image.shape[1]} pixels (rows x columns) but its seeds are of one of "
                f"{seeds.size[0]} x {seeds.size[1]}; find them with the image's own size."
            )
        placement = place(self.model, seeds.size)
        with torch.inference_mode(), self._mixed():
            embedding = _encode(self.model, to_square(image, placement).to(self.device))
        return SamSession(self, embedding, seeds, placement)

    def describe(self) -> dict[str, Any]:
        """Name, architecture, hash of the weights, precision, number of prompts."""
        return {
            "name": "sam",
            "architecture": self.model.config.model_type,
            "weights": self.weights_hash,
            "precision": self.precision,
            "max_prompts": self.max_prompts,
        }

    @cached_property
    def weights_hash(self) -> str:
        """SHA-256 over names, shapes and values of all weights, by name."""
        digest = hashlib.sha256()
        for name, value in sorted(self.model.state_dict().items()):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    def _mixed(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")


@dataclass(frozen=True)
class SamSession:
    """One encoded image."""

    sam: Sam
    embedding: dict[str, Any]
    seeds: Seeds
    placement: Placement

    def propose(self, prompts: list[Prompt]) -> Masks:
        """Every answer of the network to every prompt, in the prompts' order.

        They take answers x rows x columns bytes: 22 MB for those to 16 prompts on an image of KITTI. Logits at full
        size, eight times as much, exist for one batch at a time.
        """
        answers: dict[int, _Answers] = {}
        for chosen in _batches([len(p.points) for p in prompts], self.sam.batch):
            answers |= zip(chosen, self._decode([prompts[i] for i in chosen]), strict=True)
        found = [answers[i] for i in range(len(prompts))]
        return Masks(
            np.repeat(np.arange(len(found)), [len(a.iou) for a in found]),
            np.concatenate([a.inside for a in found] or [np.zeros((0, *self.seeds.size), bool)]),
            np.concatenate([a.iou for a in found] or [np.zeros(0, np.float32)]),
            np.concatenate([a.stability for a in found] or [np.zeros(0, np.float32)]),
        )

    @torch.inference_mode()
    def _decode(self, prompts: list[Prompt]) -> list["_Answers"]:
        """Answers to some prompts of equally many points."""
        given = self._inputs(prompts)
        with self.sam._mixed():
            out: Any = self.sam.model(**_repeated(self.embedding, len(prompts)), **given, multimask_output=True)
        logits, iou = out.pred_masks[:, 0].float(), out.iou_scores[:, 0].float().clamp(0, 1)
        inside = full_size(logits, self.placement) > 0
        stable = stability(logits, self.placement)
        arrays = (t.cpu().numpy() for t in (inside, iou, stable))
        return [_Answers(*of_prompt) for of_prompt in zip(*arrays, strict=True)]

    def _inputs(self, prompts: list[Prompt]) -> dict[str, Tensor]:
        points = np.stack([self.placement.positions(p.points) for p in prompts])[:, None, :, ::-1]
        masks = mask_prompts(self.seeds, self.placement, prompts)[:, None]
        # The network counts from the middle of a pixel, and adds that half itself.
        xy = torch.from_numpy(points.astype(np.float32) - np.float32(0.5))
        inputs = {
            "input_points": xy,
            "input_labels": torch.ones(xy.shape[:3], dtype=torch.int64),
            "input_masks": torch.from_numpy(masks),
        }
        return {name: value.to(self.sam.device) for name, value in inputs.items()}


@dataclass(frozen=True)
class _Answers:
    """What the network says to one prompt: (answers, h, w) bool, (answers,), (answers,)."""

    inside: np.ndarray
    iou: np.ndarray
    stability: np.ndarray


def _batches(points: list[int], batch: int) -> Iterator[list[int]]:
    """Prompts by their numbers of points, at most ``batch`` of equal number at once.

    A point that pads is not masked in the decoder's attention: the answer would depend on what else is in the batch.
    """
    for count in sorted(set(points)):
        alike = [i for i, n in enumerate(points) if n == count]
        yield from (alike[i : i + batch] for i in range(0, len(alike), batch))


def full_size(
    logits: Float[Tensor, "prompts answers grid grid"], placement: Placement
) -> Float[Tensor, "prompts answers h w"]:
    """Logits of the square's cells at the image's own pixels: drawn up to the square, cropped, resized, as SAM does.

    Padding is left out before rather than after drawing up, but for a margin that the interpolation reaches into.
    """
    rows, columns = (min(placement.grid, n + 1) for n in placement.cells)
    up = F.interpolate(logits[..., :rows, :columns], scale_factor=placement.side / placement.grid, mode="bilinear")
    inner = up[..., : placement.inner[0], : placement.inner[1]]
    return F.interpolate(inner, placement.size, mode="bilinear")


def stability(
    logits: Float[Tensor, "prompts answers grid grid"], placement: Placement
) -> Float[Tensor, "prompts answers"]:
    """IoU of each mask drawn tighter and wider by one logit, on the cells that the image touches; 0 if it has none."""
    valid = logits[..., : placement.cells[0], : placement.cells[1]]
    tight, wide = ((valid > level).flatten(2).sum(-1) for level in (_OFFSET, -_OFFSET))
    return tight / wide.clamp(min=1)


# ---- where the three models differ ----------------------------------------------------------------------------


def _encode(model: Any, pixels: Tensor) -> dict[str, Any]:
    """What ``model`` takes instead of the image: tensors whose first axis is the image, and lists of them."""
    embedding = model.get_image_embeddings(pixels)
    if isinstance(model, SamHQModel):
        # The decoder uses the first of the intermediate maps only; the others are not worth keeping.
        return {"image_embeddings": embedding[0], "intermediate_embeddings": list(embedding[1][:1])}
    return {"image_embeddings": embedding}


def _repeated(embedding: dict[str, Any], times: int) -> dict[str, Any]:
    """The embedding as if there were ``times`` images; nothing is copied."""

    def repeat(value: Any) -> Any:
        return [repeat(v) for v in value] if isinstance(value, list) else value.expand(times, -1, -1, -1)

    # SAM-HQ adds its intermediate map to a map of every image: one will do for all, and is convolved once.
    return {name: v if name == "intermediate_embeddings" else repeat(v) for name, v in embedding.items()}


# ---- loading --------------------------------------------------------------------------------------------------


def _load_folder(source: str) -> PreTrainedModel:
    config = described_by(source, option="--weights")
    cls: Any = _MODELS.get(config.model_type)
    if cls is None:
        raise CheckpointError(f"'{source}' {_why_not(config.model_type)}; {_REMEDY}.")
    return _load_strictly(cls, config, source)


def _why_not(kind: str) -> str:
    if kind.endswith("vision_model"):
        return f"is an image encoder alone ({kind}), which cannot be prompted: it has no mask decoder"
    return f"is a model of type {kind}, expected one of {', '.join(_MODELS)}"


def _load_strictly(cls: Any, config: Any, source: str) -> PreTrainedModel:
    logging.disable_progress_bar()
    try:
        model, report = cls.from_pretrained(
            source, config=config, output_loading_info=True, dtype=torch.float32, trust_remote_code=False
        )
    except Exception as error:  # see above
        raise CheckpointError(
            f"the weights in '{source}' cannot be loaded as {config.model_type} ({first_line(error)}); check its "
            "config.json, or download them again."
        ) from error
    for kind, verb in (("missing_keys", "lacks"), ("unexpected_keys", "holds unknown")):
        names = sorted(report[kind])
        if names:
            raise CheckpointError(
                f"'{source}' {verb} {len(names)} weights of {config.model_type}, the first is '{names[0]}'; {_REMEDY}."
            )
    return model


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"'{name}' is no device; expected auto, cpu or cuda.") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"no device '{name}': torch sees {torch.cuda.device_count()} CUDA devices; use cpu.")
    return device
