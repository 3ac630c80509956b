"""``accelgym train ppo`` and ``accelgym train solved``: what carries over from solved tasks to new ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accelgym.cli.console import out, progress_bar
from accelgym.costmodels.errors import InputError

if TYPE_CHECKING:
    from accelgym.experiments.policy_training import TrainingProgress

__all__ = ["COMMANDS"]


def ppo(
    family: Annotated[Path, typer.Option(help="YAML file with the tasks: keys task, common, train, test.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of the training; the same command resumes.")],
    seeds: Annotated[int, typer.Option(min=1, help="Number of trainings: seeds 0, 1, ...")] = 1,
    evaluations: Annotated[int | None, typer.Option(min=1, help="Complete designs of each training.")] = None,
    lanes: Annotated[int | None, typer.Option(min=2, help="Designs of a member in one update.")] = None,
    width: Annotated[int | None, typer.Option(min=1, help="Hidden units.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of Adam, at the start.")] = None,
    tensorboard: Annotated[bool, typer.Option(help="Write events to OUT/tensorboard as well.")] = False,
) -> None:
    """Trains policies on the train members of a family; agent pretrained_ppo searches other tasks with them."""
    from accelgym.agents.transfer import TrainingOptions
    from accelgym.envs.family_file import load_family
    from accelgym.experiments.policy_training import train_policies

    given = {"evaluations": evaluations, "lanes": lanes, "width": width, "learning_rate": learning_rate}
    options = TrainingOptions(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    tasks = load_family(family)
    with progress_bar() as bar:
        task = bar.add_task("evaluations", total=None, note="")

        def show(state: TrainingProgress) -> None:
            note = f"seed {state.seed}: mean regret {state.report.regret:.1%}, {state.report.entropy:.2f} nats"
            bar.update(task, completed=state.evaluations_done, total=state.evaluations_total, note=note)

        manifest = train_policies(
            tasks, out_dir, seeds=range(seeds), options=options, tensorboard=tensorboard, progress=show
        )
    cpu_s = sum(session["cpu_s"] for session in manifest["sessions"])
    out.print(f"{seeds} policies are in {out_dir}/seed-*/policy.safetensors, trained in {cpu_s:.1f} CPU-s")


def solved(
    out_file: Annotated[Path, typer.Option("--out", help="File of the solved tasks, .npz.")],
    family: Annotated[Path | None, typer.Option(help="YAML file: proved designs of its train members.")] = None,
    runs: Annotated[list[Path] | None, typer.Option(help="Folder of searches or benchmarks; repeatable.")] = None,
    data: Annotated[list[Path] | None, typer.Option(help="Dataset of tasks and designs; repeatable.")] = None,
) -> None:
    """Tabulates solved tasks layer by layer; agent nearest starts from the nearest ones."""
    from accelgym.agents.retrieval import SolvedDecisions
    from accelgym.envs.family_file import load_family
    from accelgym.experiments.solved_tasks import solved_by_proof, solved_in_datasets, solved_in_runs

    if out_file.suffix != ".npz":
        raise InputError(f"--out {out_file}: allowed: a name that ends in .npz")
    if family is None and not runs and not data:
        raise InputError("train solved: give --family FILE, --runs DIR or --data DIR")
    found = solved_by_proof(load_family(family)) if family is not None else []
    found += solved_in_runs(runs or []) + solved_in_datasets(data or [])
    table = SolvedDecisions.of(found)
    table.save(out_file)
    out.print(f"{len(table.actions)} decisions of {len(table.tasks)} solved tasks are in {out_file}")


COMMANDS = (ppo, solved)
