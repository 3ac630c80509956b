"""Runs a lottery: a benchmark of every setting, then what it says."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from accelgym.costmodels.errors import MissingExtraError
from accelgym.costmodels.files.pictures import save_figure
from accelgym.experiments.lottery.analysis import analyse
from accelgym.experiments.lottery.config import LotteryConfig, load_lottery
from accelgym.experiments.lottery.figure import lottery_figure
from accelgym.experiments.lottery.report import write_lottery
from accelgym.experiments.results import BenchResults
from accelgym.experiments.runner import BenchProgress, BenchResult, run_bench

__all__ = ["LotteryResult", "run_lottery"]


@dataclass(frozen=True)
class LotteryResult:
    """What a run of the lottery did."""

    bench: BenchResult
    files: tuple[Path, ...]
    """``lottery.md``, ``lottery.json``, ``lottery.csv``, and ``lottery.png`` where matplotlib is installed."""


def run_lottery(
    config: LotteryConfig | Path | str,
    out: Path | str,
    *,
    progress: Callable[[BenchProgress], None] | None = None,
    executor: str = "process",
    address: str | None = None,
    workers: int | None = None,
) -> LotteryResult:
    """Runs all searches of a lottery that are not over yet, and writes its report.

    The folder is that of a benchmark, whose agents are the settings: ``ga.000`` is the default one of ``ga``.

    Args:
        config: The lottery, a YAML file with it, or the name of a shipped one.
        out: Folder of the results; the same call goes on with what is there.
        progress: Called when a search advances or is over.
        executor: As for :func:`~accelgym.experiments.run_bench`.
        address: Likewise.
        workers: Likewise.

    Raises:
        InputError: A fault in the config, or a folder that holds something else; raised before anything runs.
        MissingExtraError: An agent or the executor needs a package that is not installed.
    """
    out = Path(out)
    if not isinstance(config, LotteryConfig):
        config = load_lottery(config)
    result = run_bench(config.bench(), out, progress=progress, executor=executor, address=address, workers=workers)
    agents = analyse(config, BenchResults.load(out))
    files = write_lottery(config, agents, out)
    with suppress(MissingExtraError):
        save_figure(lottery_figure(agents), out / "lottery.png", dpi=150)
        files.append(out / "lottery.png")
    return LotteryResult(result, tuple(files))
