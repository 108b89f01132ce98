"""Records of the native kernels as ctypes structures; kernels.h documents their fields."""

from ctypes import POINTER, Structure, c_float, c_int64, c_void_p
from typing import Any


def _structure(name: str, **fields: Any) -> type[Structure]:
    return type(name, (Structure,), {"_fields_": list(fields.items())})


Pairs = _structure("Pairs", first=c_void_p, second=c_void_p, count=c_void_p, stride=c_int64)
Rows = _structure(
    "Rows",
    rows=c_int64,
    channels=c_int64,
    conv=c_void_p,
    conv_weight=c_void_p,
    conv_channels=c_int64,
    pairs=POINTER(Pairs),
    dense=c_void_p,
    dense_weight=c_void_p,
    dense_channels=c_int64,
    bias=c_void_p,
    add=c_void_p,
    add_row=c_void_p,
    slope=c_float,
    out=c_void_p,
    out_format=c_int64,
    plus=c_void_p,
    sum=c_void_p,
)
Pool = _structure(
    "Pool",
    targets=c_int64,
    channels=c_int64,
    feats=c_void_p,
    offsets=c_void_p,
    column=c_void_p,
    count=c_void_p,
    total=c_void_p,
    slope=c_float,
    out=c_void_p,
)
PointMeans = _structure(
    "PointMeans",
    channels=c_int64,
    points=c_void_p,
    remission=c_void_p,
    order=c_void_p,
    offsets=c_void_p,
    coords=c_void_p,
    corner=c_void_p,
    size=c_void_p,
    weight=c_void_p,
    bias=c_void_p,
)
Chain = _structure(
    "Chain",
    rows=c_int64,
    channels=c_int64,
    feats=c_void_p,
    pool=POINTER(Pool),
    points=POINTER(PointMeans),
    count=c_int64,
    layers=POINTER(Rows),
)
WeightGradient = _structure(
    "WeightGradient",
    rows=c_int64,
    in_channels=c_int64,
    out_channels=c_int64,
    feats=c_void_p,
    grad=c_void_p,
    pairs=POINTER(Pairs),
    weight=c_void_p,
)
PointMeansGradient = _structure(
    "PointMeansGradient",
    of=PointMeans,
    voxels=c_int64,
    weight=c_void_p,
    grad=c_void_p,
    grad_weight=c_void_p,
    grad_bias=c_void_p,
)
Combine = _structure(
    "Combine",
    rows=c_int64,
    channels=c_int64,
    first=c_void_p,
    first_scale=c_void_p,
    sign=c_void_p,
    sign_slope=c_float,
    second=c_void_p,
    second_scale=c_void_p,
    shift=c_void_p,
    slope=c_float,
    out=c_void_p,
)
Sums = _structure(
    "Sums",
    rows=c_int64,
    channels=c_int64,
    feats=c_void_p,
    sign=c_void_p,
    slope=c_float,
    first=c_void_p,
    second=c_void_p,
    out=c_void_p,
)
