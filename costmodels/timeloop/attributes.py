"""Attributes of Timeloop's components: those that the model reads, those that only price, and features it lacks."""

from __future__ import annotations

from typing import Any

__all__ = ["BLOCK", "DEPTH", "NEUTRAL", "PRICING", "READ", "SPARSE", "SPELLINGS", "WIDTH", "WORD"]

WIDTH = ("width", "memory_width", "data_storage_width")
DEPTH = ("depth", "memory_depth", "data_storage_depth")
WORD = ("word_bits", "word_width", "datawidth")
BLOCK = ("block_size", "n_words")
"""Spellings of one attribute, the preferred one first."""
SPELLINGS = (WIDTH, DEPTH, WORD, BLOCK)

NEUTRAL: dict[str, tuple[Any, ...]] = {
    "addr_gen_energy": (0,),
    "allow_overbooking": (False, 0),
    "cluster_area": (0,),
    "compression_supported": (False, 0),
    "concordant_compressed_tile_traversal": (False, 0),
    "decompression_supported": (False, 0),
    **{f"metadata_{key}": (0,) for key in ("block_size", "datawidth", "storage_depth", "storage_width", "word_bits")},
    "network_drain_latency": (0,),
    "network_fill_latency": (0,),
    "per_dataspace_bandwidth_consumption_scale": ({},),
    "reduction_supported": (True, 1),
    "tile_partition_supported": (False, 0),
}
"""Attributes of features that are not modelled, and the values that ask for none; ``null`` asks for none too."""

SPARSE = ("compress", "concordant", "metadata", "tile_partition")
"""How names of attributes begin, or what they contain, that describe compressed tensors."""

READ = frozenset(
    (
        *WIDTH,
        *DEPTH,
        *WORD,
        *BLOCK,
        "area_scale",
        "bandwidth",
        "cluster_size",
        "energy_scale",
        "entries",
        "instances",
        "meshX",
        "meshY",
        "min_utilization",
        "multiple_buffering",
        "read_bandwidth",
        "shared_bandwidth",
        "sizeKB",
        "vector_access_energy",
        "write_bandwidth",
    )
)
"""Attributes that decide counts, cycles or energies."""

PRICING = frozenset(
    (
        "accelergy_class",
        "action_latency_cycles",
        "adder_width",
        "cycle_seconds",
        "global_cycle_seconds",
        "has_power_gating",
        "latency",
        "multiplier_width",
        "n_banks",
        "n_instances",
        "n_ports",
        "n_rw_ports",
        "network_word_bits",
        "num_banks",
        "num_ports",
        "power_gated_at",
        "subclass",
        "technology",
        "type",
        "version",
    )
)
"""Attributes that Accelergy knows and that have no effect here beyond ``subclass`` and ``type``; kept for export."""
