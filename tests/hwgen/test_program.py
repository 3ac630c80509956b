"""What the run-time parameters cannot express is refused."""

import pytest

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.config import make_config
from accelgym.costmodels.systolic.scheduler import Tiling
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.cache import ContentCache
from accelgym.hwgen.program import compile_layer
from accelgym.hwgen.verification import verify

CONFIG = make_config(rows=2, columns=2)


def test_images_beyond_the_coordinates():
    layer = Layer.gemm("tall", M=40_000, K=2, C=2)
    with pytest.raises(InputError, match="input height is 40000, allowed up to 32768"):
        compile_layer(CONFIG, layer, Tiling(100, 1, 1, 1))


def test_trip_counts_beyond_the_counters():
    layer = Layer.gemm("deep", M=1, K=2, C=200_000)
    with pytest.raises(InputError, match="trip count of tiles of the reduction is 100000, allowed up to 65536"):
        compile_layer(CONFIG, layer, Tiling(1, 1, 1, 1))


def test_products_of_tile_counts_beyond_the_counters():
    layer = Layer.conv("wide", K=2, C=2, H=300, W=300, N=2)
    with pytest.raises(InputError, match="trip count of tiles of output pixels is 180000"):
        compile_layer(CONFIG, layer, Tiling(1, 1, 1, 1, pixels_inner=True))


def test_what_no_memory_holds_is_refused_before_anything_is_built(tmp_path):
    layer = Layer.gemm("large", M=2**15, K=4, C=2**20)
    cache = ContentCache(tmp_path / "cache")
    with pytest.raises(InputError, match=r"layer 'large': its simulation takes about .* GB of memory"):
        verify(make_config(rows=64, columns=64, input_port_bits=512), (layer,), cache=cache)
    with pytest.raises(InputError, match="input height is 40000, allowed up to 32768"):
        verify(CONFIG, (Layer.gemm("tall", M=40_000, K=2, C=2),), cache=cache)
    assert not cache.root.exists()
