"""PyTorch's operators by what they do to a workload."""

from __future__ import annotations

import re

from accelgym.costmodels.workloads.importers.traced import words

__all__ = [
    "ACTIVATIONS",
    "ADAPTIVE_POOLS",
    "CONVS",
    "ELEMENTWISE",
    "FACTORIES",
    "INLINED",
    "NORMS",
    "PERMUTES",
    "POOLS",
    "PRODUCTS",
    "PRODUCT_NAMES",
    "RECURRENT",
    "REDUCTIONS",
    "TRANSPOSED_CONVS",
    "VIEWS",
    "WITHOUT_FALLBACK",
]

ACTIVATIONS = words(
    "relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish sigmoid tanh hardtanh hardswish hardsigmoid "
    "softplus softsign log_sigmoid logsigmoid threshold glu exp log log1p expm1 sqrt rsqrt reciprocal sin cos erf "
    "abs neg square sign floor ceil round logical_not bitwise_not clamp clamp_min clamp_max"
)
ELEMENTWISE = words(
    "add sub rsub mul div pow maximum minimum where masked_fill addcmul addcdiv lerp eq ne lt le gt ge "
    "logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor true_divide "
    "floor_divide remainder atan2 tril triu cumsum"
)
PERMUTES = words(
    "cat concat stack hstack vstack repeat repeat_interleave tile pixel_shuffle pixel_unshuffle channel_shuffle pad "
    "constant_pad_nd reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d roll flip gather "
    "index_select index upsample_nearest1d upsample_nearest2d upsample_bilinear2d upsample_bicubic2d im2col "
    "upsample_linear1d upsample_nearest3d upsample_trilinear3d _upsample_nearest_exact1d _upsample_nearest_exact2d "
    "_upsample_bilinear2d_aa _upsample_bicubic2d_aa reflection_pad3d replication_pad3d grid_sampler grid_sampler_2d "
    "grid_sampler_3d col2im topk sort masked_scatter scatter_add select_scatter rot90 meshgrid "
    "unfold slice_scatter index_put scatter"
)
VIEWS = words(
    "view reshape _unsafe_view view_as reshape_as flatten unflatten squeeze unsqueeze permute transpose t mT "
    "contiguous clone detach alias lift_fresh_copy expand expand_as broadcast_to slice select narrow split "
    "split_with_sizes chunk tensor_split unbind unsafe_split unsafe_chunk diagonal movedim swapaxes swapdims "
    "numpy_T to _to_copy type_as float half dropout feature_dropout alpha_dropout native_dropout "
    "_assert_tensor_metadata _assert_async copy"
)
REDUCTIONS = words("mean sum amax amin max min prod var std argmax argmin norm linalg_vector_norm any all")
POOLS = {
    "max_pool1d": "max",
    "max_pool2d": "max",
    "max_pool2d_with_indices": "max",
    "max_pool3d": "max",
    "max_pool3d_with_indices": "max",
    "avg_pool1d": "avg",
    "avg_pool2d": "avg",
    "avg_pool3d": "avg",
}
ADAPTIVE_POOLS = words(
    "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d "
    "adaptive_max_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d"
)
NORMS = words("layer_norm native_layer_norm rms_norm _fused_rms_norm group_norm native_group_norm instance_norm")
CONVS = words("conv1d conv2d conv3d convolution _convolution")
TRANSPOSED_CONVS = words("conv_transpose1d conv_transpose2d conv_transpose3d")
PRODUCTS = words("mm bmm matmul dot mv addmm baddbmm addbmm addmv linear _int_mm _scaled_mm")
RECURRENT = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
"""Products of the width of the state for each step."""
FACTORIES = words(
    "zeros_like ones_like full_like empty_like rand_like randn_like randint_like new_zeros new_ones new_full new_empty "
    "new_empty_strided new_tensor"
)
"""Take shape and type of a tensor, not its values: their results are known beforehand."""
INLINED = words("wrap_with_set_grad_enabled wrap_with_autocast")
"""Regions whose operators run as if they stood in the graph itself."""
WITHOUT_FALLBACK = ("fft", "_fft", "linalg", "_linalg", "cholesky", "inverse", "det", "matrix_exp", "svd", "qr")
"""Prefixes of operators that may keep a shape and whose work is not that of their elements."""
PRODUCT_NAMES = re.compile(r"mm$|mm_|(^|_|d)mv$|matmul|conv|attention|lstm|gru|rnn|linear|solve|ormqr")
"""Names that tell of products, which no operator of unknown kind may leave out."""
