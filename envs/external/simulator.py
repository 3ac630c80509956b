"""A simulator that is a command: designs in, results out, side by side and never twice."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Event
from typing import Any

from accelgym.costmodels.errors import InputError
from accelgym.envs.external.config import Configuration
from accelgym.envs.external.outputs import MissingOutputError, OutOfRangeError, UnreadableError, read_output
from accelgym.envs.external.placeholders import number_of
from accelgym.envs.external.process import STDERR, STDOUT, run_command
from accelgym.envs.external.results import KeptResults, Reason, RunResult
from accelgym.hwgen.cache import content_key

__all__ = ["OBJECTIVE", "Simulator"]

OBJECTIVE = "objective"
"""Name of the objective among the outputs of a result."""
_FORMAT = "external 1"
"""Version of how runs are made and read; results of another are not taken."""
_TAIL = 500
"""Characters of a simulator's own words that are kept with a failure."""


class Simulator:
    """Runs the command of a configuration on designs.

    Args:
        configuration: What to run.
        kept: Where results are kept.
        jobs: Runs at a time.
        retry: Do runs again whose kept result is a failure.
    """

    def __init__(self, configuration: Configuration, kept: KeptResults, *, jobs: int, retry: bool = False) -> None:
        self.configuration = configuration
        self.kept = kept
        self.jobs = jobs
        self._retry = retry
        self._results: dict[str, RunResult] = {}
        self._hashes: dict[Path, str] = {}
        self.runs = 0
        """Runs made by this object, none of which was kept."""

    def results(self, designs: Sequence[Mapping[str, Any]]) -> list[RunResult]:
        """Returns what became of designs, in their order; equal ones are run once.

        An interrupt kills the runs under way, and the results of those that are over stay.

        Args:
            designs: Values by parameter.
        """
        keys = [self.key(design) for design in designs]
        found: dict[str, RunResult] = {}
        missing: dict[str, Mapping[str, Any]] = {}
        for key, design in zip(keys, designs, strict=True):
            if key not in found and key not in missing:
                known = self._known(key)
                if known is None:
                    missing[key] = design
                else:
                    found[key] = known
        if missing:
            found |= self._run_all(missing)
        return [found[key] for key in keys]

    def _known(self, key: str) -> RunResult | None:
        if key not in self._results:
            kept = self.kept.read(key)
            if kept is None or (self._retry and kept.reason is not Reason.OK):
                return None
            self._results[key] = kept
        return self._results[key]

    def key(self, design: Mapping[str, Any]) -> str:
        """Returns the hash of all that a run depends on: program, command, files, limits and how results are read."""
        config, values = self.configuration, self.configuration.values(dict(design))
        spec = config.spec
        command = config.command(values)
        about = {
            "format": _FORMAT,
            "simulator": [spec.name, spec.version],
            "command": command,
            "environment": config.environment(values),
            "programs": self.programs(design),
            "files": {name: content_key(data) for name, data in config.files(values).items()},
            "outputs": {name: output.model_dump(mode="json") for name, output in spec.outputs.items()},
            "objective": [spec.objective, spec.lower_bound],
            "limits": [spec.timeout_s, spec.most_file_mib],
            "design": dict(design),
        }
        return content_key(json.dumps(about, sort_keys=True))

    def programs(self, design: Mapping[str, Any]) -> list[str]:
        """Returns hashes of the program and of the files that its arguments name by absolute paths."""
        config = self.configuration
        named = [Path(part) for part in config.command(config.values(dict(design)))]
        return [self._hash(path) for path in named if path.is_absolute() and path.is_file()]

    def _hash(self, path: Path) -> str:
        """Hash of a file, read once per process."""
        if path not in self._hashes:
            try:
                with path.open("rb") as file:
                    self._hashes[path] = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError:
                self._hashes[path] = "unreadable"
        return self._hashes[path]

    def _run_all(self, missing: Mapping[str, Mapping[str, Any]]) -> dict[str, RunResult]:
        stop = Event()
        found: dict[str, RunResult] = {}
        with ThreadPoolExecutor(min(self.jobs, len(missing)), thread_name_prefix="simulator") as pool:
            futures: dict[Future[RunResult], str] = {}
            try:
                futures = {pool.submit(self._run, design, stop): key for key, design in missing.items()}
                for future in as_completed(futures):
                    found[futures[future]] = future.result()
                    self._take(futures[future], future.result())
            except BaseException:
                stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                for future, key in futures.items():
                    if future.done() and not future.cancelled() and future.exception() is None:
                        self._take(key, future.result())
                raise
        return found

    def _take(self, key: str, result: RunResult) -> None:
        if key not in self._results and result.reason is not Reason.NOT_STARTED:
            self.runs += 1
            self._results[key] = result
            self.kept.write(key, result)

    def _run(self, design: Mapping[str, Any], stop: Event) -> RunResult:
        """Makes one run; whatever the simulator does is a result."""
        try:
            with tempfile.TemporaryDirectory(prefix="accelgym-external-", ignore_cleanup_errors=True) as name:
                return self._run_in(Path(name) / "run", design, stop)
        except OSError as error:
            return RunResult(Reason.NOT_STARTED, detail=f"folder of the run: {error.strerror or error}")

    def _run_in(self, folder: Path, design: Mapping[str, Any], stop: Event) -> RunResult:
        config, values = self.configuration, self.configuration.values(dict(design))
        folder.mkdir()
        for name, data in config.files(values).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        if stop.is_set():
            return RunResult(Reason.NOT_STARTED, detail="stopped")
        ending = run_command(
            config.command(values),
            folder,
            environment=os.environ | config.environment(values),
            time_limit_s=config.spec.timeout_s,
            file_limit_bytes=config.spec.most_file_mib * 2**20,
            stop=stop,
        )
        said = _last_words(folder.parent)
        if ending.failure:
            return RunResult(Reason.NOT_STARTED, seconds=ending.seconds, detail=ending.failure)
        if ending.timed_out:
            limit = f"killed after {config.spec.timeout_s:g} s"
            return RunResult(Reason.TIMEOUT, seconds=ending.seconds, detail=limit + said)
        if ending.exit_code:
            code = ending.exit_code
            reason, how = (Reason.SIGNAL, f"signal {-code}") if code < 0 else (Reason.EXIT_CODE, f"exit code {code}")
            return RunResult(reason, seconds=ending.seconds, detail=how + said)
        return self._read(folder, design, ending.seconds, said)

    def _read(self, folder: Path, design: Mapping[str, Any], seconds: float, said: str) -> RunResult:
        spec = self.configuration.spec
        reason, words = Reason.OK, ""
        outputs: dict[str, float] = {}
        try:
            for name, output in spec.outputs.items():
                outputs[name] = read_output(output, folder)
            objective = number_of(spec.objective, {**design, **outputs}, "objective")
            if not (spec.lower_bound <= objective < float("inf")):
                raise OutOfRangeError(f"objective is {objective!r}, allowed >= {spec.lower_bound}")
            return RunResult(reason, outputs | {OBJECTIVE: objective}, seconds)
        except MissingOutputError as error:
            reason, words = Reason.NO_OUTPUT, str(error)
        except UnreadableError as error:
            reason, words = Reason.UNREADABLE, str(error)
        except (OutOfRangeError, InputError) as error:
            reason, words = Reason.OUT_OF_RANGE, str(error)
        return RunResult(reason, seconds=seconds, detail=words + said)


def _last_words(folder: Path) -> str:
    """The end of what a run printed, for messages."""
    for name in (STDERR, STDOUT):
        try:
            with (folder / name).open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - _TAIL))
                text = file.read(_TAIL).decode(errors="replace").strip()
        except OSError:
            continue
        if text:
            return f"; {name} ends: {text}"
    return ""
