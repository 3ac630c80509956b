"""Random accelerators run random layers with random tilings: every output bit and every cycle must be right."""

import numpy as np
import pytest

from accelgym.costmodels.systolic.config import Template
from accelgym.hwgen.cache import ContentCache
from accelgym.hwgen.sampling import OPERAND_TYPES, draw_config, draw_layers, draw_tiling
from accelgym.hwgen.verification import verify

TEMPLATES = list(Template)


def check(cache: ContentCache, seed: int, largest: int, input_type: str, template: Template | None = None) -> None:
    generator = np.random.default_rng([7, seed, largest])
    config = draw_config(generator, largest, input_type=input_type, template=template)
    layers = draw_layers(generator)
    tilings = [draw_tiling(generator, config, layer) for layer in layers]
    fitting = [(layer, tiling) for layer, tiling in zip(layers, tilings, strict=True) if tiling is not None]
    assert fitting, "the sampler drew buffers in which no layer fits"
    record = verify(config, [layer for layer, _ in fitting], seed, tilings=[t for _, t in fitting], cache=cache)
    assert record.verified, (config, record.lint, record.layers)


@pytest.mark.parametrize("index", [0, 1, *(pytest.param(i, marks=pytest.mark.slow) for i in range(2, 20))])
def test_small_accelerators(index, cache):
    # A stride through the list of formats, so that few accelerators cover many; both templates in turn.
    kind = OPERAND_TYPES[(5 * index) % len(OPERAND_TYPES)]
    check(cache, index, 4, kind, TEMPLATES[index % 2])


@pytest.mark.slow
@pytest.mark.parametrize("index", range(300))
def test_accelerators_up_to_eight_by_eight(index, cache):
    check(cache, 1000 + index, 8, OPERAND_TYPES[index % len(OPERAND_TYPES)])
