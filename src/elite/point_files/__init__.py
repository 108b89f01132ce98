"""Files of points: .bin, .npy, .npz, .pcd, .ply, .las and .laz."""

from elite.point_files.fields import ANSWER_FIELDS, PointFields, fields_of
from elite.point_files.reading import SUFFIXES, decode_points, read_point_file
from elite.point_files.writing import encode_points

__all__ = ["ANSWER_FIELDS", "SUFFIXES", "PointFields", "decode_points", "encode_points", "fields_of", "read_point_file"]
