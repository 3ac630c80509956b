"""One published figure beside ours, and the page that holds them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from accelgym.costmodels.files.whole_file import write_whole
from accelgym.experiments.markdown import markdown_table

__all__ = ["Claim", "Reproduction", "equal", "figure", "limit"]


@dataclass(frozen=True)
class Claim:
    """A figure that somebody published, and what we find."""

    name: str
    claim: str
    """What is claimed, in words."""
    published: float
    ours: float
    unit: str
    rule: Literal["equal", "at least", "at most", "shown"]
    """``shown``: the two are of different things, and stand beside each other without a verdict."""
    within: float = 0.0
    """Relative difference that counts as equal."""

    @property
    def agrees(self) -> bool | None:
        """The verdict; ``None`` where there is none."""
        if self.rule == "shown":
            return None
        if math.isnan(self.ours):
            return False
        slack = self.within * abs(self.published)
        if self.rule == "at least":
            return self.ours >= self.published - slack
        if self.rule == "at most":
            return self.ours <= self.published + slack
        return abs(self.ours - self.published) <= slack


def equal(name: str, claim: str, published: float, ours: float, unit: str, within: float = 0.0) -> Claim:
    """A figure to be met."""
    return Claim(name, claim, float(published), float(ours), unit, "equal", within)


def limit(
    name: str, claim: str, least_or_most: Literal["at least", "at most"], published: float, ours: float, unit: str
) -> Claim:
    """A figure that ours must not fall short of, or not exceed."""
    return Claim(name, claim, float(published), float(ours), unit, least_or_most)


def figure(name: str, claim: str, published: float, ours: float, unit: str) -> Claim:
    """Two figures of different things."""
    return Claim(name, claim, float(published), float(ours), unit, "shown")


@dataclass(frozen=True)
class Reproduction:
    """What was tried of one work."""

    name: str
    title: str
    source: str
    claims: Sequence[Claim]
    cannot: Sequence[str]
    """What cannot agree, and why."""
    notes: str = ""
    """Further tables, Markdown."""

    @property
    def agreed(self) -> tuple[int, int]:
        """Figures that agree, and those that were tried."""
        verdicts = [claim.agrees for claim in self.claims if claim.agrees is not None]
        return sum(verdicts), len(verdicts)

    def markdown(self) -> str:
        """Returns the page; of many alike claims only those that disagree are listed one by one."""
        agreed, tried = self.agreed
        parts = [
            f"# {self.title}",
            f"Source: {self.source}",
            f"```bash\nOMP_NUM_THREADS=1 python -m accelgym.experiments.reproductions {self.name} --out "
            f"results/{self.name}\n```",
            f"**Figures agreed / tried: {agreed} / {tried}.** `claims.csv` has all of them.",
            self._table(),
        ]
        if self.notes:
            parts.append(self.notes.strip())
        parts.append("## What cannot agree, and why")
        parts.append("\n".join(f"* {line}" for line in self.cannot))
        return "\n\n".join(parts) + "\n"

    def _table(self) -> str:
        groups: dict[str, list[Claim]] = {}
        for claim in self.claims:
            groups.setdefault(claim.claim, []).append(claim)
        rows = []
        for words, claims in groups.items():
            verdicts = [claim.agrees for claim in claims]
            shown = claims if len(claims) <= _FEW else [claim for claim in claims if claim.agrees is False]
            if len(claims) > _FEW:
                rows.append(
                    [
                        words,
                        f"{len(claims)} figures",
                        "",
                        "",
                        _within(claims[0]),
                        f"{sum(map(bool, verdicts))} of {len(claims)}",
                    ]
                )
            for claim in shown:
                verdict = {True: "yes", False: "**no**", None: "-"}[claim.agrees]
                numbers = [_number(claim.published), _number(claim.ours)]
                rows.append([words, claim.name, *numbers, _within(claim), verdict])
        return markdown_table(["claim", "figure", "published", "ours", "agrees if", "agrees"], rows, left=(0, 1, 4))

    def csv(self) -> str:
        """Returns all claims."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["name", "claim", "published", "ours", "unit", "rule", "within", "agrees"])
        for x in self.claims:
            verdict = "" if x.agrees is None else str(x.agrees).lower()
            writer.writerow([x.name, x.claim, repr(x.published), repr(x.ours), x.unit, x.rule, x.within, verdict])
        return out.getvalue()

    def write(self, folder: Path) -> None:
        """Writes ``claims.csv`` and ``page.md``."""
        write_whole(folder / "claims.csv", self.csv())
        write_whole(folder / "page.md", self.markdown())


_FEW = 12
"""Claims in the same words that are listed one by one."""


def _within(claim: Claim) -> str:
    if claim.rule == "shown":
        return f"({claim.unit}; not the same thing)"
    if claim.rule == "equal":
        return f"{claim.unit}, equal" if claim.within == 0 else f"{claim.unit}, within {claim.within:.2g}"
    return f"{claim.unit}, {claim.rule}"


def _number(value: float) -> str:
    if math.isnan(value):
        return ""
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}"
