"""What is known about an accelerator after its RTL ran."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from accelgym.hwgen.simulator import PortErrors

__all__ = ["LayerRecord", "VerificationRecord"]


@dataclass(frozen=True)
class LayerRecord:
    """How one layer ran with one pair of number formats."""

    name: str
    input_type: str
    weight_type: str
    tiling: dict[str, Any]
    rectify: bool
    runs: int
    """Stimuli, and ways to start the layer."""
    bit_exact: bool
    """Every output bit of every run is that of the golden."""
    cycles_rtl: int
    cycles_model: int
    macs: int
    errors: PortErrors
    """Of all runs."""
    mismatch: dict[str, Any] | None = None
    """Where the first wrong output comes from."""

    @property
    def cycles_exact(self) -> bool:
        """The model predicts the cycles."""
        return self.cycles_rtl == self.cycles_model

    def failures(self) -> list[str]:
        """Returns what is wrong, empty when nothing is."""
        found = [] if self.bit_exact else [f"wrong outputs ({self.mismatch})" if self.mismatch else "wrong outputs"]
        if not self.cycles_exact:
            found.append(f"{self.cycles_rtl} cycles instead of {self.cycles_model}")
        return found + [f"{name} {count}" for name, count in self.errors.named().items()]

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> LayerRecord:
        """Reads back what ``asdict`` made."""
        return cls(**{**data, "errors": PortErrors(**data["errors"])})


@dataclass(frozen=True)
class VerificationRecord:
    """What is known about a configuration after its RTL ran."""

    config: dict[str, Any]
    rtl: str
    """SHA-256 of the Verilog."""
    tools: str
    seed: int
    stimuli: tuple[str, ...]
    lint: dict[str, str]
    """Complaints of the two front ends; empty strings when there are none."""
    layers: tuple[LayerRecord, ...]
    directed: tuple[LayerRecord, ...]
    """Layers of our own, :mod:`accelgym.hwgen.directed_layers`."""

    @property
    def lints(self) -> bool:
        """No front end complains."""
        return not any(self.lint.values())

    @property
    def bit_exact(self) -> bool:
        """All layers are."""
        return all(layer.bit_exact for layer in (*self.layers, *self.directed))

    @property
    def cycles_exact(self) -> bool:
        """The model predicts the cycles of all layers."""
        return all(layer.cycles_exact for layer in (*self.layers, *self.directed))

    @property
    def ports_clean(self) -> bool:
        """No access is stray, duplicate or missing, none falls outside a layer, and every layer is done once."""
        return not any(layer.errors.named() for layer in (*self.layers, *self.directed))

    @property
    def verified(self) -> bool:
        """Lint-clean, bit-exact and cycle-exact, and the ports are clean."""
        return self.lints and self.bit_exact and self.cycles_exact and self.ports_clean

    def as_json(self) -> dict[str, Any]:
        """Returns the record with its verdicts as JSON data."""
        verdicts = {
            "bit_exact": self.bit_exact,
            "cycles_exact": self.cycles_exact,
            "ports_clean": self.ports_clean,
            "cycles_rtl": sum(layer.cycles_rtl for layer in self.layers),
            "cycles_model": sum(layer.cycles_model for layer in self.layers),
            "verified": self.verified,
        }
        return {**verdicts, **asdict(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> VerificationRecord:
        """Reads back what :meth:`as_json` wrote."""
        values = {name: data[name] for name in ("config", "rtl", "tools", "seed", "lint")}
        layers, directed = (tuple(map(LayerRecord.from_json, data[name])) for name in ("layers", "directed"))
        return cls(**values, stimuli=tuple(data["stimuli"]), layers=layers, directed=directed)
