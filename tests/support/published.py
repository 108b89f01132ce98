"""The published student's state dict, made from a student."""

from collections.abc import Callable

import torch
from torch import Tensor

from elite.student import SPVCNN

# Entries of the published file that the student does not use.
UNUSED_ENTRIES = ("model_3d.criterion.ce_loss.weight", "model_2d.conv1.weight", "fusion.classifier.0.weight")


def published_state(student: SPVCNN, layout: str) -> dict[str, Tensor]:
    """State dict of a student in the published names and memory layout (KRSC, RSKC or RSCK)."""
    state: dict[str, Tensor] = {}
    ours = student.state_dict()

    def put(published: str, own: str, change: Callable[[Tensor], Tensor] = lambda value: value) -> None:
        names = [name for name in ours if name.startswith(own + ".")]
        assert names
        state.update({f"model_3d.{published}{name[len(own) :]}": change(ours[name]) for name in names})

    def three(weight: Tensor) -> Tensor:
        kernel = weight.view(3, 3, 3, *weight.shape[1:])  # z y x in out
        axes = {"KRSC": (4, 0, 1, 2, 3), "RSKC": (0, 1, 2, 4, 3), "RSCK": (0, 1, 2, 3, 4)}[layout]
        return kernel.permute(axes).contiguous()

    def one(weight: Tensor) -> Tensor:
        memory, c = weight.T.contiguous(), len(weight)  # (in, out), independent of the axis names
        return memory.view(c, 1, 1, 1, c) if layout == "KRSC" else memory.view(1, 1, 1, c, c)

    put("voxel_3d_generator.PPmodel.0", "point_mlp.hidden")
    put("voxel_3d_generator.PPmodel.2", "point_mlp.out")
    for i in range(len(student.stages)):
        for b in (0, 1):
            spv, own = f"spv_enc.{i}.v_enc.{b}", f"stages.{i}.voxel.{b}"
            put(f"{spv}.layers_in.0", f"{own}.shortcut", one)
            put(f"{spv}.layers_in.1", f"{own}.shortcut_norm")
            put(f"{spv}.layers.0", f"{own}.conv1", three)
            put(f"{spv}.layers.1", f"{own}.norm1")
            put(f"{spv}.layers.3", f"{own}.conv2", three)
            put(f"{spv}.layers.4", f"{own}.norm2")
        put(f"spv_enc.{i}.p_enc.layer_in.0", f"stages.{i}.point.own")
        for layer in (0, 2, 3, 5, 6):
            put(f"spv_enc.{i}.p_enc.PPmodel.{layer}", f"stages.{i}.point.block.{layer}")
        put(f"spv_enc.{i}.p_enc.layer_out.0", f"stages.{i}.point.fuse")
        put(f"spv_enc.{i}.p_enc.layer_out.2", f"stages.{i}.point.out")
    put("classifier.0", "classifier.0")
    put("classifier.2", "classifier.2")
    assert len(state) == len(ours)

    weights = torch.ones(20)
    weights[0] = torch.inf  # log(0) in the published class weights
    return state | dict(zip(UNUSED_ENTRIES, (weights, torch.ones(3), torch.ones(2)), strict=True))
