"""Labels a dataset: all shards of a recipe, in parallel, resumable at any moment."""

from __future__ import annotations

import json
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from accelgym.costmodels.errors import AccelGymError, InputError, warn_input
from accelgym.costmodels.executors import Event, Executor, make_executor
from accelgym.costmodels.files.lock import folder_lock
from accelgym.dse_dataset.card import write_card
from accelgym.dse_dataset.columns import arrow
from accelgym.dse_dataset.manifest import MANIFEST, RUN_LOG, claim_folder, describe, identity, write_manifest
from accelgym.dse_dataset.recipes.base import Recipe, RecipeSpec
from accelgym.dse_dataset.recipes.catalogue import build_recipe
from accelgym.dse_dataset.shards import Shard, plan_shards
from accelgym.dse_dataset.worker import LABEL_JOB, WORK

__all__ = ["LabelProgress", "LabelResult", "label_dataset"]


@dataclass(frozen=True)
class LabelProgress:
    """How far a dataset is."""

    rows_done: int
    """Rows labelled, those of unfinished shards included."""
    rows_total: int
    shards_done: int
    shards_total: int


@dataclass(frozen=True)
class LabelResult:
    """What a call did."""

    out: Path
    rows: int
    """Rows of the dataset."""
    made: int
    """Rows that this call labelled."""
    cpu_s: float
    """CPU seconds of the labelling."""


def label_dataset(
    spec: RecipeSpec,
    out: Path | str,
    *,
    executor: str = "process",
    address: str | None = None,
    workers: int | None = None,
    progress: Callable[[LabelProgress], None] | None = None,
) -> LabelResult:
    """Labels all rows of a dataset that are not labelled yet, and writes manifest and card.

    The bytes of shards, manifest and card depend on the specification and the versions of accelgym and pyarrow alone:
    neither on the executor, nor on the number of workers, nor on where an earlier call was killed.

    Args:
        spec: The dataset.
        out: Its folder; the same call goes on with what is there.
        executor: ``"process"`` labels in other processes side by side, ``"inline"`` in this one, ``"ray"`` on a Ray
            cluster whose machines share ``out``.
        address: Of a running Ray cluster; without one it is started on this machine.
        workers: Shards at a time; at most two by default, and every CPU of a running cluster.
        progress: Called when rows are labelled.

    Raises:
        InputError: A folder that holds another dataset or that another process uses, or a space that is too large.
        AccelGymError: Rows could not be labelled or written; says what is complete and how to go on.
        MissingExtraError: pyarrow, or a tool that makes the labels, is not installed; nothing was made then.
    """
    arrow()
    out = Path(out)
    pool = make_executor(
        executor,
        LABEL_JOB,
        workers=workers,
        address=address,
        log=out / WORK / "workers.log",
        progress=lambda event: run.take(event),
    )
    recipe = build_recipe(spec)
    recipe.check()
    described = describe(recipe)
    shards = plan_shards(recipe.splits, spec.shard_rows)
    with folder_lock(out):
        claim_folder(out, described)
        run = _Run(out, spec, identity(described), shards, progress)
        start = time.time()
        with run.said_how_to_go_on():
            (out / WORK).mkdir(exist_ok=True)
            (out / MANIFEST).unlink(missing_ok=True)
            try:
                with pool as ready:
                    run.work(ready)
            finally:
                with suppress(OSError):  # On a full disk the other message is the one that counts.
                    _log(out, start, run)
            _finish(out, recipe, described, shards, [run.digests[s.path] for s in shards])
    return LabelResult(out, sum(recipe.splits.values()), run.made, run.cpu_s)


def _finish(
    out: Path, recipe: Recipe, described: dict[str, object], shards: Sequence[Shard], digests: Sequence[str]
) -> None:
    write_manifest(out, described, shards, digests, recipe.extra_files(out))
    write_card(out)
    shutil.rmtree(out / WORK)


def _log(out: Path, start: float, run: _Run) -> None:
    entry = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start)),
        "wall_s": round(time.time() - start, 3),
        "cpu_s": round(run.cpu_s, 3),
        "rows_made": run.made,
        "host": platform.node(),
        "python": platform.python_version(),
    }
    with (out / RUN_LOG).open("a") as file:
        file.write(json.dumps(entry) + "\n")


class _Run:
    """The loop over shards, and what is known about those under way."""

    def __init__(
        self,
        out: Path,
        spec: RecipeSpec,
        mark: str,
        shards: Sequence[Shard],
        progress: Callable[[LabelProgress], None] | None,
    ) -> None:
        self.digests: dict[str, str] = {}
        self.made = 0
        self.cpu_s = 0.0
        self._out = out
        self._order = {"out": str(out), "recipe": spec.model_dump(mode="json"), "identity": mark}
        self._shards = {s.path: s for s in shards}
        self._rows = dict.fromkeys(self._shards, 0)
        self._rows_done = 0
        self._rows_total = sum(s.rows for s in shards)
        self._progress = progress
        self._failure: Event | None = None

    def work(self, pool: Executor) -> None:
        """Labels every shard.

        Raises:
            AccelGymError: One failed; the others under way end first.
        """
        pending = list(self._shards.values())
        while (pending and self._failure is None) or pool.running:
            while pending and self._failure is None and pool.has_room:
                shard = pending.pop(0)
                pool.start(shard.path, {**self._order, "shard": asdict(shard)})
            self.take(pool.next_event())
        if self._failure is not None:
            path = str(self._out / self._failure.key)
            why = self._failure.error if path in self._failure.error else f"{path}: {self._failure.error}"
            raise self._stopped(why) from self._failure.cause

    @contextmanager
    def said_how_to_go_on(self) -> Iterator[None]:
        """Words what the disk refuses around the shards as what it refuses of them.

        Raises:
            AccelGymError: A file or folder could not be made.
        """
        try:
            yield
        except (InputError, OSError) as error:
            where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
            raise self._stopped(f"{where}{getattr(error, 'strerror', None) or error}") from error

    def _stopped(self, why: str) -> AccelGymError:
        done = f"{len(self.digests)} of {len(self._shards)} shards are complete"
        return AccelGymError(f"{why}; {done}, the same command goes on from there")

    def take(self, event: Event) -> None:
        """Takes note of news of a shard."""
        shard = self._shards[event.key]
        if event.kind == "progress":
            self._count(event.key, event.data["rows"])
        else:
            self.cpu_s += event.cpu_s
            if event.kind == "failed":
                self._failure = self._failure or event
            else:
                self._count(event.key, shard.rows)
                self.digests[event.key] = event.data["content_sha256"]
                self.made += event.data["made"]
                if event.data["damaged"]:
                    warn_input(f"{event.data['damaged']}; it was made again")
        if self._progress is not None:
            done = LabelProgress(self._rows_done, self._rows_total, len(self.digests), len(self._shards))
            self._progress(done)

    def _count(self, path: str, rows: int) -> None:
        self._rows_done += rows - self._rows[path]
        self._rows[path] = rows
