"""A number format of one's own: signed powers of two, whose products are shifts."""

import numpy as np

from accelgym.costmodels.datatypes import CodebookFormat

EXPONENTS = range(-6, 1)


def powers_of_two() -> CodebookFormat:
    """Returns zero and plus or minus 2**-6 to 1: 15 values in four bits (Miyashita et al., arXiv 1603.01025, 2016)."""
    magnitudes = [2.0**exponent for exponent in EXPONENTS]
    return CodebookFormat("powers_of_two", (*(-x for x in reversed(magnitudes)), 0.0, *magnitudes))


if __name__ == "__main__":
    from accelgym.costmodels.datatypes import get_datatype

    values = np.random.default_rng(0).normal(scale=0.3, size=100_000)
    for datatype in (powers_of_two(), get_datatype("nf4"), get_datatype("e2m1"), get_datatype("int4q3")):
        error = values - datatype.decode(datatype.encode(values))
        print(
            f"{datatype.name:14} {datatype.bits} bits, {10 * np.log10((values**2).mean() / (error**2).mean()):5.1f} dB"
        )
