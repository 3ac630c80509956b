"""Maps all layers of a network, equal ones once, in parallel, resumable at any moment."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.errors import AccelGymError, DamagedFileError, InputError, MissingExtraError, warn_input
from accelgym.costmodels.executors import Executor, InlineExecutor, ProcessExecutor
from accelgym.costmodels.files.json_file import read_sealed, write_json
from accelgym.costmodels.files.lock import folder_lock
from accelgym.costmodels.files.plain import plain
from accelgym.costmodels.mapper import MapInputs, Settings
from accelgym.costmodels.mapper.plain_data import machine_to_plain, problem_to_plain
from accelgym.experiments.mapper.summary import layer_entry, network_totals, write_table
from accelgym.experiments.mapper.worker import ERROR, MAP_JOB, identity, load_layer, order_hash
from accelgym.experiments.sessions import Sessions

__all__ = ["MapProgress", "MapResult", "run_map"]

_MANIFEST, _SUMMARY, _TABLE, _PICTURE, _LOG = "manifest.json", "map.json", "layers.csv", "map.png", "workers.log"


@dataclass(frozen=True)
class MapProgress:
    """How far a run is."""

    done: int
    total: int
    """Distinct layers."""
    note: str
    """The layer that is over, and what came of it."""


@dataclass(frozen=True)
class MapResult:
    """What a run found."""

    out: Path
    summary: dict[str, Any]
    """As in ``map.json``: totals, and ``layers`` in order."""
    skipped: int
    """Distinct layers that were mapped before."""

    @property
    def failures(self) -> dict[str, str]:
        """Distinct layers without a mapping, and why."""
        return {x["name"]: x["error"] for x in self.summary["layers"] if "error" in x and x["same_as"] is None}


def run_map(
    inputs: MapInputs,
    out: Path | str,
    settings: Settings | None = None,
    *,
    workers: int | None = None,
    executor: Literal["process", "inline"] = "process",
    progress: Callable[[MapProgress], None] | None = None,
) -> MapResult:
    """Maps every layer; a layer that cannot be mapped does not keep the others from their answers.

    The folder receives ``map.json``, ``layers.csv``, ``map.png`` (with matplotlib), ``manifest.json`` and the files of
    each distinct layer: in ``layers/NNN-NAME/`` for a network, beside these for one problem.

    Args:
        inputs: What is mapped onto what.
        out: The folder; the same call goes on with what is there.
        settings: How to search.
        workers: Processes side by side; one per core unless stated.
        executor: ``"process"`` searches in other processes, ``"inline"`` in this one.
        progress: Called when a layer is over.

    Raises:
        InputError: A folder that holds another run or is in use, or an error that all layers share.
    """
    out, settings = Path(out), settings or Settings()
    if workers is not None and workers < 1:
        raise InputError(f"workers is {workers}, allowed integers >= 1")
    with folder_lock(out):
        run = _Run(inputs, out, settings, progress)
        skipped = run.solve(workers, executor)
        summary = run.summary()
        write_json(out / _SUMMARY, summary)
        write_table(out / _TABLE, summary["layers"])
        _draw(summary, out / _PICTURE)
    return MapResult(out, summary, skipped)


class _Run:
    """Distinct layers with their orders, results and failures."""

    def __init__(
        self, inputs: MapInputs, out: Path, settings: Settings, progress: Callable[[MapProgress], None] | None
    ) -> None:
        self.inputs, self.out, self.settings, self.progress = inputs, out, settings, progress
        self.groups = inputs.groups
        self.errors: dict[LoopNest, str] = {}
        self.orders: dict[LoopNest, dict[str, Any]] = {}
        for number, problem in enumerate(self.groups, start=1):
            try:
                self.orders[problem] = self._order(problem, number)
            except InputError as error:
                self.errors[problem] = str(error)
        self._require_answers()
        self.manifest = self._manifest()

    def _order(self, problem: LoopNest, number: int) -> dict[str, Any]:
        machine = self.inputs.machine(problem)
        folder = self.out / "layers" / f"{number:03d}-{_file_name(problem.name)}" if self.inputs.network else self.out
        return {
            "problem": problem_to_plain(problem),
            "machine": machine_to_plain(machine.architecture),
            "metrics": list(self.inputs.metrics),
            "settings": asdict(self.settings),
            "fanouts": [list(pair) for pair in machine.fanouts],
            "folder": str(folder.resolve()),
        }

    @property
    def machine_name(self) -> str | None:
        """Name of the machine."""
        return next((order["machine"]["name"] for order in self.orders.values()), self.inputs.preset)

    def _require_answers(self) -> None:
        """Raises the error that all layers share, if any."""
        messages = set(self.errors.values())
        if len(self.errors) == len(self.groups) and len(messages) == 1:
            raise InputError(messages.pop())

    def _manifest(self) -> dict[str, Any]:
        """Reads the manifest of an interrupted run, or begins one.

        Raises:
            InputError: The folder holds another run.
        """
        path = self.out / _MANIFEST
        run = {
            "workload": self.inputs.name,
            "layers": len(self.inputs.layers),
            "metrics": list(self.inputs.metrics),
            "settings": asdict(self.settings),
            "machine": self.machine_name,
            "orders": {order["problem"]["name"]: order_hash(order) for order in self.orders.values()},
        }
        expected = plain({"schema": 1, "run": run})
        if not path.exists():
            return {**expected, "sessions": []}
        try:
            stored = read_sealed(path)
        except DamagedFileError as error:
            raise DamagedFileError(f"{error}; remove it to go on in this folder") from error
        if stored.get("schema") != 1 or stored.get("run") != expected["run"]:
            old: Any = stored.get("run")
            old = old if isinstance(old, dict) else {}
            keys = [key for key, value in expected["run"].items() if old.get(key) != value]
            named = [key for key in keys if key != "orders"] or ["sizes of machine or layers" if keys else "schema"]
            raise InputError(
                f"{self.out}: holds another run (other {', '.join(named)}); choose another folder, or remove this one"
            )
        return stored

    def solve(self, workers: int | None, kind: str) -> int:
        """Maps what is not mapped yet; returns how many layers were."""
        todo = {problem: order for problem, order in self.orders.items() if load_layer(order) is None}
        skipped = len(self.orders) - len(todo)
        if todo:
            count = 1 if kind == "inline" else min(workers or os.cpu_count() or 1, len(todo))
            sessions = Sessions(self.out / _MANIFEST, self.manifest)
            sessions.open(workers=count, layers=0)
            log = self.out / _LOG
            pool: Executor = InlineExecutor(MAP_JOB) if kind == "inline" else ProcessExecutor(MAP_JOB, count, log)
            try:
                with pool:
                    self._loop(pool, todo, sessions)
            finally:
                sessions.close()
                with suppress(OSError):
                    if log.exists() and not log.stat().st_size:
                        log.unlink()
        return skipped

    def _loop(self, pool: Executor, todo: dict[LoopNest, dict[str, Any]], sessions: Sessions) -> None:
        # Layers with much to do first, so that all cores end together.
        waiting = sorted(todo, key=lambda problem: -problem.macs)
        by_key = {identity(order): problem for problem, order in todo.items()}
        done = len(self.orders) - len(todo)
        while waiting or pool.running:
            while waiting and pool.has_room:
                problem = waiting.pop(0)
                pool.start(identity(todo[problem]), todo[problem])
            event = pool.next_event()
            if event.kind == "progress":
                continue
            problem = by_key[event.key]
            if event.cause is not None and not isinstance(event.cause, AccelGymError):
                raise event.cause
            done += 1
            note = problem.name
            if event.kind == "failed":
                self.errors[problem] = event.error
                note += f": {event.error}"
                if event.traceback and event.cause is None:
                    write_json(
                        Path(todo[problem]["folder"]) / ERROR,
                        {"error": event.error, "traceback": event.traceback},
                    )
            sessions.add(event.cpu_s, layers=1)
            if self.progress is not None:
                self.progress(MapProgress(done, len(self.orders), note))

    def summary(self) -> dict[str, Any]:
        """Returns totals and layers.

        Raises:
            InputError: All layers failed for one reason.
        """
        self._require_answers()
        entries: dict[int, dict[str, Any]] = {}
        for problem, positions in self.groups.items():
            found = None if problem in self.errors else load_layer(self.orders[problem])
            for at in positions:
                name = self.inputs.layers[at].name
                same = problem.name if at != positions[0] else None
                if found is None:
                    reason = self.errors.get(problem, "its result is missing")
                    entries[at] = {"name": name, "same_as": same, "error": reason}
                else:
                    folder = Path(self.orders[problem]["folder"]).relative_to(self.out.resolve())
                    entries[at] = layer_entry(name, same, str(folder), found)
        layers = [entries[at] for at in range(len(self.inputs.layers))]
        return {
            **network_totals(layers, self.inputs.metrics[0]),
            "workload": self.inputs.name,
            "architecture": self.machine_name,
            "metrics": list(self.inputs.metrics),
            "layers": layers,
        }


def _draw(summary: dict[str, Any], path: Path) -> None:
    from accelgym.experiments.mapper.figure import save_picture

    try:
        save_picture(summary, path)
    except MissingExtraError as error:
        warn_input(f"{path} is not drawn: {error}")


def _file_name(name: str) -> str:
    """A name that every file system takes."""
    kept = "".join(x if x.isascii() and (x.isalnum() or x in "-_.") else "_" for x in name)
    return kept[:80].strip(".") or "layer"
