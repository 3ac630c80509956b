"""Formats by their names here and as other libraries hold them."""

import ml_dtypes
import numpy as np
from gfloat import formats

OF_GFLOAT = [
    ("e4m3fn", formats.format_info_ocp_e4m3),
    ("e5m2", formats.format_info_ocp_e5m2),
    ("e2m3", formats.format_info_ocp_e2m3),
    ("e3m2", formats.format_info_ocp_e3m2),
    ("e2m1", formats.format_info_ocp_e2m1),
    ("e8m0", formats.format_info_ocp_e8m0),
    ("int8q6", formats.format_info_ocp_int8),
]
OF_ML_DTYPES = [
    ("e4m3", ml_dtypes.float8_e4m3),
    ("e4m3fn", ml_dtypes.float8_e4m3fn),
    ("e5m2", ml_dtypes.float8_e5m2),
    ("e3m4", ml_dtypes.float8_e3m4),
    ("bf16", ml_dtypes.bfloat16),
    ("fp16", np.float16),
]
"""Signed, with infinities or NaN, and rounded by that library."""
