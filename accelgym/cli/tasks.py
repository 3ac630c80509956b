"""``accelgym search``, ``oracle`` and ``audit``: one task at a time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from accelgym.cli.console import out, print_json, print_table, progress_bar
from accelgym.cli.mapping_text import below, print_report
from accelgym.cli.settings import EnvOption, JsonOption, SetOption, parse_settings
from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.whole_file import write_whole
from accelgym.envs import Audit, Task, make_task
from accelgym.envs import audit as measure
from accelgym.envs.audits import audit_and_keep, known_audit
from accelgym.envs.certificates import ProvedTask, differences, known_certificate

__all__ = ["COMMANDS"]

_DEFAULT_ENV = "accelgym/ResourceAssignment-v0"


def oracle(
    env: EnvOption = _DEFAULT_ENV,
    settings: SetOption = None,
    export: Annotated[
        Path | None,
        typer.Option("--export-timeloop", metavar="DIR", help="Write architecture, problem and mapping as YAML there."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Prove a stored certificate again and compare; exit code 1 if it differs.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Solves a task exactly, or bounds it."""
    start = time.perf_counter()
    task = make_task(env, **parse_settings(settings))
    if check:
        if export is not None:
            raise InputError("--export-timeloop: nothing is exported with --check")
        _check(task, env, as_json=as_json)
        return
    if export is not None and type(task).artifacts is Task.artifacts:
        raise InputError(f"--export-timeloop: designs of {env} are no mappings; try accelgym/Mapping-v0")
    if export is not None:
        export.mkdir(parents=True, exist_ok=True)  # A folder that cannot be made is said before the proof.
    found = task.reference()
    answer = (
        found.to_json()
        | task.normalised_metrics(found.value)
        | {
            "design": None if found.design is None else task.space.decode(found.design),
            "seconds": time.perf_counter() - start,
            "task": task.id,
        }
        | _hardness(known_audit(task))
    )
    if convention := task.convention():
        answer["convention"] = convention
    report = {} if found.design is None else task.report(np.array(found.design))
    for run in report.get("timeloop", {}).values():
        run["below_bound"] = below(run, found.lower_bound)
    if as_json:
        print_json(answer | report)
    else:
        design = answer.pop("design")
        table = Table("", "oracle", title=task.id)
        for key, value in (answer | {"flags": ", ".join(answer["flags"])}).items():
            table.add_row(key, str(value))
        print_table(table)
        if report:
            print_report(report, task.id, found.lower_bound)
        else:
            out.print(design)
    if export is not None:
        _export(task, found, export)


def _check(task: Task, env: str, *, as_json: bool) -> None:
    """Proves a task anew and compares that with the certificate at hand.

    Raises:
        InputError: The task keeps no certificates, or there is none of this proof.
        Exit: With code 1, if anything but the time differs.
    """
    if not isinstance(task, ProvedTask):
        raise InputError(f"--check: references of {env} are not kept, so there is nothing to compare with")
    stored = known_certificate(task.id, task.proof)
    if stored is None:
        raise InputError(
            f"--check: no certificate of task {task.id} is stored for the proof {task.proof!r}; proofs that take less "
            "than a second are not kept; the command without --check stores others"
        )
    proved = task.prove(anew=True)
    differing = differences(stored, proved)
    if as_json:
        shown = {name: {"stored": one, "proved": other} for name, (one, other) in differing.items()}
        print_json({"task": task.id, "proof": task.proof, "seconds": proved.seconds, "differences": shown})
    else:
        for name, (one, other) in differing.items():
            out.print(f"{name}: stored {one}, proved {other}")
        said = "differs from" if differing else "equals"
        out.print(f"{task.id}: the stored certificate {said} the one proved in {proved.seconds:.1f} s ({task.proof})")
    if differing:
        raise typer.Exit(1)


def _export(task: Task, found: Certificate, folder: Path) -> None:
    """Writes what timeloop-model needs to price the design of a certificate.

    Raises:
        InputError: The certificate is a bound without a design.
    """
    if found.design is None:
        raise InputError("--export-timeloop: the certificate is a bound without a design; there is no mapping to write")
    for name, text in task.artifacts(np.array(found.design)).items():
        write_whole(folder / name, text)


def audit(
    env: EnvOption = _DEFAULT_ENV,
    settings: SetOption = None,
    seed: Annotated[int, typer.Option(help="Seed of the random designs.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Measures how hard a task is: what cheap rules reach, and whether it is well posed."""
    task = make_task(env, **parse_settings(settings))
    figures = (measure(task, seed=seed) if seed else audit_and_keep(task)).to_json()
    if as_json:
        print_json(figures | {"task": task.id})
        return
    table = Table("", "audit", title=task.id)
    for key, value in figures.items():
        table.add_row(key.replace("_", " "), _shown(value))
    print_table(table)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "-" if value is None else value if isinstance(value, str) else f"{value:.6g}"


def search(
    agent: Annotated[str, typer.Option(help="Name of the agent.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the results; the same command resumes.")],
    env: EnvOption = _DEFAULT_ENV,
    settings: SetOption = None,
    budget: Annotated[int, typer.Option(help="Evaluations of complete designs.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the agent.")] = 0,
    options: Annotated[
        list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="Hyperparameter; repeatable.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Lets an agent search a task, as a benchmark of one search; accelgym report draws it."""
    from accelgym.experiments import BenchProgress, run_search

    with progress_bar() as bar:
        row = bar.add_task(agent, total=budget, note="")

        def show(state: BenchProgress) -> None:
            bar.update(row, completed=state.evaluations_done, note=state.note)

        found = run_search(
            env,
            parse_settings(settings),
            agent,
            budget=budget,
            seed=seed,
            options=parse_settings(options, "--option"),
            out=out_dir,
            progress=show,
        )
    best, reference = found.best, found.certificate
    for run in best.get("timeloop", {}).values():
        run["below_bound"] = below(run, reference.lower_bound)
    if as_json:
        print_json(best | _hardness(found.audit) | {"folder": str(found.folder)})
    elif best["design"] is None:
        spent = f"{best['evaluations']} evaluations"
        out.print(f"{agent} found nothing feasible in {spent}; task: {_words(found.audit)}; see {found.folder}")
    else:
        yardstick = "the optimum" if reference.exact else f"the certified bound {reference.yardstick:.6g}"
        print_report(best, found.task.id, reference.lower_bound)
        result = f"{best['objective']:.6g}, {best['regret']:.3%} above {yardstick}"
        out.print(f"{agent}: {result}; task: {_words(found.audit)}; see {found.folder}")


def _hardness(audited: Audit | None) -> dict[str, Any]:
    """Returns class and flags of a task as plain data, ``None`` where it has not been audited."""
    return {
        "hardness": None if audited is None else audited.hardness,
        "flags": [] if audited is None else list(audited.flags),
    }


def _words(audited: Audit | None) -> str:
    return "not audited" if audited is None else audited.words


COMMANDS = (search, oracle, audit)
