"""Quantisation: which format each tensor of a layer has, how scales are found, and the bits that result."""

from accelgym.costmodels.quantization.calibration import calibrate
from accelgym.costmodels.quantization.formats import Calibration, ScaleSharing, TensorFormat
from accelgym.costmodels.quantization.quantized_tensor import QuantizedTensor, quantise
from accelgym.costmodels.quantization.spec import LayerQuantization, QuantizationSpec

__all__ = [
    "Calibration",
    "LayerQuantization",
    "QuantizationSpec",
    "QuantizedTensor",
    "ScaleSharing",
    "TensorFormat",
    "calibrate",
    "quantise",
]
