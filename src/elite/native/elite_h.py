"""The C interface elite.h as ctypes structures and signatures; the header documents them."""

from ctypes import POINTER, Structure, c_char_p, c_double, c_float, c_int, c_int32, c_int64, c_uint32, c_void_p
from typing import Any


class Scan(Structure):
    _fields_ = (
        ("points", c_int64),
        ("xyz", c_void_p),
        ("xyz_stride", c_int64),
        ("intensity", c_void_p),
        ("intensity_stride", c_int64),
        ("age", c_void_p),
        ("age_stride", c_int64),
    )


class Options(Structure):
    _fields_ = (("threads", c_int32), ("fill_radius", c_float))


class Result(Structure):
    _fields_ = (
        ("labels", c_void_p),
        ("probabilities", c_void_p),
        ("entropy", c_void_p),
        ("class_probabilities", c_void_p),
    )


class Groups(Structure):
    _fields_ = (("groups", c_int64), ("logits", POINTER(c_float)), ("group_of_point", POINTER(c_int64)))


class Seconds(Structure):
    _fields_ = (("crop", c_double), ("geometry", c_double), ("network", c_double), ("labels", c_double))


class Info(Structure):
    _fields_ = (
        ("classes", c_int32),
        ("channels", c_int32),
        ("past_scans", c_int32),
        ("precision", c_int),
        ("low", c_float * 3),
        ("high", c_float * 3),
        ("sensor_height", c_float),
        ("sensor", c_char_p),
        ("taxonomy", c_char_p),
        ("instructions", c_char_p),
    )


FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "elite_api_version": (c_int32, []),
    "elite_last_error": (c_char_p, []),
    "elite_open": (c_int, [c_char_p, c_int, POINTER(c_void_p)]),
    "elite_open_bytes": (c_int, [c_char_p, c_int64, c_int, POINTER(c_void_p)]),
    "elite_close": (None, [c_void_p]),
    "elite_model_info": (Info, [c_void_p]),
    "elite_class_name": (c_char_p, [c_void_p, c_int32]),
    "elite_class_color": (c_uint32, [c_void_p, c_int32]),
    "elite_new_session": (c_int, [c_void_p, POINTER(c_void_p)]),
    "elite_close_session": (None, [c_void_p]),
    "elite_reserve": (c_int, [c_void_p, c_int64]),
    "elite_session_bytes": (c_int64, [c_void_p]),
    "elite_segment": (c_int, [c_void_p, POINTER(Scan), POINTER(Options), POINTER(Result)]),
    "elite_run": (c_int, [c_void_p, POINTER(Scan), POINTER(Options), POINTER(Groups)]),
    "elite_answers": (c_int, [c_void_p, c_int64, c_int32, POINTER(Options), POINTER(Result)]),
    "elite_last_seconds": (Seconds, [c_void_p]),
}
