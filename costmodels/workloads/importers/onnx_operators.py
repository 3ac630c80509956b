"""ONNX's operators by what they do to a workload, and operators of ONNX Runtime in terms of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads.importers.traced import words

__all__ = [
    "ACTIVATIONS",
    "ELEMENTWISE",
    "FOLDED",
    "GLOBAL_POOLS",
    "NORMS",
    "PERMUTES",
    "POOLS",
    "REDUCTIONS",
    "SEQUENCES",
    "VIEWS",
    "standard_form",
]

ACTIVATIONS = words(
    "Relu LeakyRelu PRelu Elu Selu Celu Gelu Sigmoid HardSigmoid HardSwish Tanh Mish Softplus Softsign Swish "
    "ThresholdedRelu Clip Erf Exp Log Sqrt Reciprocal Abs Neg Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh "
    "Floor Ceil Round Sign Not BitwiseNot IsNaN IsInf Shrink"
)
ELEMENTWISE = words(
    "Add Sub Mul Div Pow Sum Max Min Mean Where Equal Greater GreaterOrEqual Less LessOrEqual And Or Xor Mod "
    "BitShift BitwiseAnd BitwiseOr BitwiseXor CumSum Trilu DynamicQuantizeLinear RotaryEmbedding NonMaxSuppression"
)
PERMUTES = words(
    "Concat Resize Upsample DepthToSpace SpaceToDepth Pad Tile ScatterND Scatter ScatterElements GatherElements "
    "GatherND GridSample RoiAlign MaxRoiPool MaxUnpool TopK OneHot ReverseSequence Compress CenterCropPad Col2Im "
    "Unique TensorScatter"
)
VIEWS = words(
    "Reshape Flatten Squeeze Unsqueeze Transpose Identity Dropout Cast CastLike Slice Split Expand Gather Shape "
    "Size Constant ConstantOfShape Range QuantizeLinear DequantizeLinear NonZero BitCast"
)
SEQUENCES = words(
    "SplitToSequence SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength "
    "ConcatFromSequence"
)
NORMS = {
    "LayerNormalization": "layer_norm",
    "RMSNormalization": "rms_norm",
    "SimplifiedLayerNormalization": "rms_norm",
    "GroupNormalization": "group_norm",
    "InstanceNormalization": "instance_norm",
    "LpNormalization": "lp_norm",
    "LRN": "lrn",
    "MeanVarianceNormalization": "mean_variance_norm",
}
REDUCTIONS = words(
    "ReduceMean ReduceSum ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceProd ReduceSumSquare ReduceLogSum "
    "ReduceLogSumExp ArgMax ArgMin"
)
POOLS = {"MaxPool": "max", "AveragePool": "avg", "LpPool": "lp"}
GLOBAL_POOLS = {"GlobalMaxPool": "max", "GlobalAveragePool": "avg", "GlobalLpPool": "lp"}
FOLDED = words(
    "Constant ConstantOfShape Range Gather GatherElements GatherND Concat Slice Split Reshape Flatten Squeeze "
    "Unsqueeze Expand Tile Transpose Identity Cast CastLike Add Sub Mul Div Mod Pow Neg Abs Sign Sqrt Floor Ceil "
    "Round Reciprocal Exp Log Min Max Sum Mean Clip Relu Equal Greater GreaterOrEqual Less LessOrEqual And Or Xor "
    "Not Where NonZero ReduceProd ReduceSum ReduceMax ReduceMin ReduceMean ArgMax ArgMin ScatterND "
    "ScatterElements CumSum Trilu EyeLike OneHot TopK Pad BitShift BitwiseAnd BitwiseOr BitwiseNot BitwiseXor "
    "IsNaN IsInf Compress Unique"
)
"""Operators of shape arithmetic: evaluated where all inputs are known and small."""


class _Form(NamedTuple):
    op: str
    inputs: Callable[[int], list[int]]
    """Positions of the standard operator's inputs, from the number of inputs."""
    dropped: frozenset[str] = frozenset()
    """Attributes that the standard operator lacks; they change neither shapes nor products."""


def _at(*positions: int) -> Callable[[int], list[int]]:
    return lambda count: [position for position in positions if position < count]


_FORMS = {
    # Scales and zero points do not change shapes or products.
    "QLinearConv": _Form("Conv", _at(0, 3, 8)),
    "ConvInteger": _Form("Conv", _at(0, 1)),
    "QLinearMatMul": _Form("MatMul", _at(0, 3)),
    "MatMulInteger": _Form("MatMul", _at(0, 1)),
}
_RUNTIME_FORMS = {
    "FusedConv": _Form("Conv", _at(0, 1, 2), words("activation activation_params")),
    "FusedGemm": _Form("Gemm", _at(0, 1, 2), words("activation activation_alpha activation_beta activation_gamma")),
    "GemmFastGelu": _Form("MatMul", _at(0, 1)),
    "QGemm": _Form("Gemm", _at(0, 3)),
    "DynamicQuantizeMatMul": _Form("MatMul", _at(0, 1)),
    "MatMulIntegerToFloat": _Form("MatMul", _at(0, 1)),
    "QLinearAdd": _Form("Add", _at(0, 3)),
    "QLinearMul": _Form("Mul", _at(0, 3)),
    "QLinearSigmoid": _Form("Sigmoid", _at(0)),
    "QLinearLeakyRelu": _Form("LeakyRelu", _at(0)),
    "QLinearGlobalAveragePool": _Form("GlobalAveragePool", _at(0), words("channels_last")),
    "QLinearAveragePool": _Form("AveragePool", _at(0), words("channels_last")),
    "QLinearConcat": _Form("Concat", lambda count: list(range(2, count, 3))),
    "QuantizeLinear": _Form("QuantizeLinear", _at(0, 1, 2)),
    "DequantizeLinear": _Form("DequantizeLinear", _at(0, 1, 2)),
    "FastGelu": _Form("Gelu", _at(0)),
    "QuickGelu": _Form("Gelu", _at(0), words("alpha")),
    "BiasGelu": _Form("Gelu", _at(0)),
    "Gelu": _Form("Gelu", _at(0)),
}
_ONNX_DOMAINS = ("", "ai.onnx")


def standard_form(node: Any) -> tuple[Any, str]:
    """Returns a node in terms of ONNX's floating-point operators, and its domain, empty for ONNX's own.

    Quantised operators multiply as the plain ones do; those of ONNX Runtime (``com.microsoft``) that only add a scale,
    a bias or an activation stand as the operator they contain.

    Raises:
        InputError: An attribute asks for another layout of the data.
    """
    import onnx

    domain = "" if node.domain in _ONNX_DOMAINS else node.domain
    forms = {"": _FORMS, "com.microsoft": _RUNTIME_FORMS}.get(domain, {})
    form = forms.get(node.op_type)
    if form is None:
        return node, domain
    plain = onnx.NodeProto()
    plain.CopyFrom(node)
    plain.op_type, plain.domain = form.op, ""
    del plain.input[:]
    plain.input.extend(node.input[position] for position in form.inputs(len(node.input)))
    if any(attribute.name == "channels_last" and attribute.i for attribute in node.attribute):
        raise InputError("channels_last is set, allowed: 0")
    del plain.attribute[:]
    plain.attribute.extend(attribute for attribute in node.attribute if attribute.name not in form.dropped)
    return plain, ""
