"""Puts tables and figures on one page that needs no network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from plotly.offline import get_plotlyjs

from accelgym.experiments.comparison import compare_ranks
from accelgym.experiments.report.exhibits import OVERALL
from accelgym.experiments.report.numbers import NOTHING, quantity
from accelgym.experiments.report.style import Exhibit
from accelgym.experiments.report.summary import ALL_TASKS, SummaryRow
from accelgym.experiments.report.tables import (
    PAIR_NOTE,
    class_tags,
    facts_table,
    matrix_table,
    pair_table,
    summary_table,
)
from accelgym.experiments.results import BenchResults, TaskResults

__all__ = ["render_page"]

_TABLE_NOTE = (
    "Final regret: interquartile mean over the runs, with the 95 % percentile interval of 2,000 bootstrap samples of "
    "the seeds within each task; it is ∞ when more than a quarter of the runs found nothing feasible. Success: share "
    "of runs within 1 % or 0.1 % of the optimum. Evaluations and CPU seconds to 1 %: expected running time, that is "
    "the cost of all runs until they hit the target (or of the whole run where it missed) over the number of hits. "
    "The bar splits the CPU seconds of a run: blue is the agent's part. Bold is best in its column; exact figures "
    "appear on hover and stand in summary.csv. An agent marked as capped had fewer evaluations than the others, which "
    "its regret must be read with."
)
_CLASSES = (
    "The class of a task is the smallest regret that a cheap rule reaches: the best design that makes the same choice "
    "in every group, the best of 1,000 random feasible designs, a greedy rule, and hill climbing with 1,000 "
    "evaluations; where they draw, the median of ten seeds. Easy is up to 1 %, medium up to 5 %, hard above; "
    "enumerable tasks have at most 1,000 designs, and the reference of an open one keeps a gap above 1 %. Not binding: "
    "without the constraint the optimum is less than 1 % better. Ties: over a million designs are optimal."
)


def render_page(results: BenchResults, rows: Sequence[SummaryRow], exhibits: Mapping[str, Exhibit]) -> str:
    """Returns the report as a self-contained HTML page.

    Args:
        results: What was run.
        rows: Its summary.
        exhibits: The figures, see :func:`~accelgym.experiments.report.exhibits.all_exhibits`.
    """
    title = escape(results.config.name)
    body = [_glance(results, rows), _comparison(results, exhibits)]
    body += [_task(results, task, rows, exhibits) for task in results.tasks]
    body += [_failures(results), _manifest(results), _drawings(exhibits)]
    css = files("accelgym.experiments.report").joinpath("page.css").read_text()
    return (
        "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{title}</title><style>{css}</style><script>{get_plotlyjs()}</script></head><body>"
        f"{_header(results)}<main>{''.join(body)}</main></body></html>\n"
    )


def _header(results: BenchResults) -> str:
    runs = [run for task in results.tasks for agent in task.agents for run in agent.runs]
    sessions = results.manifest["sessions"]
    planned = sum(
        len(results.config.seeds_of(agent.agent)) for task in results.tasks for agent in task.agents if agent.planned
    )
    facts = {
        "tasks": len(results.tasks),
        "agents": len(results.config.agents),
        "seeds": len(results.config.seeds),
        "evaluations per run": f"{results.config.budget:,}",
        "runs finished": f"{len(runs)} of {planned}",
        "designs evaluated": f"{sum(run.evaluations for run in runs):,}",
        "CPU seconds": quantity(sum(session["cpu_s"] for session in sessions)),
    }
    links = [("glance", "At a glance"), *((f"task-{t.record['id']}", t.title) for t in results.tasks)]
    links.append(("manifest", "Manifest"))
    nav = "".join(f"<a href='#{target}'>{escape(name)}</a>" for target, name in links)
    chips = "".join(f"<div><b>{value}</b>{name}</div>" for name, value in facts.items())
    about = f"<p>{escape(results.config.description)}</p>" if results.config.description else ""
    return (
        f"<header><div><h1>{escape(results.config.name)}</h1>{about}<div class='facts'>{chips}</div>"
        f"<nav>{nav}</nav></div></header>"
    )


def _positions(results: BenchResults) -> dict[str, int]:
    return {agent.label: index for index, agent in enumerate(results.config.agents)}


def _glance(results: BenchResults, rows: Sequence[SummaryRow]) -> str:
    positions = _positions(results)
    titles = [task.title for task in results.tasks]
    parts = ["<h2 id='glance'>At a glance</h2>"]
    if len(titles) > 1:
        overall = [row for row in rows if row.task == ALL_TASKS]
        parts.append(_card("Over all tasks", summary_table(overall, positions), _TABLE_NOTE))
        note = (
            "Final regret of each agent on each task, as above; agents in the order of their mean rank, those that "
            f"search some of the tasks only ({NOTHING}) last. {_CLASSES}"
        )
        parts.append(_card("Task by task", matrix_table(rows, titles, positions), note))
    else:
        parts.append(_card("Summary", summary_table(rows, positions), _TABLE_NOTE))
    return "".join(parts)


def _comparison(results: BenchResults, exhibits: Mapping[str, Exhibit]) -> str:
    overall = [_exhibit(exhibit, name) for name, exhibit in exhibits.items() if name in OVERALL]
    if not any(agent.runs for task in results.tasks for agent in task.agents):
        overall.insert(0, _card("", "<p>No search has finished yet.</p>"))
    if (ranks := compare_ranks(results)) is not None:
        overall.append(_card("Every two agents", pair_table(ranks), PAIR_NOTE))
    return "".join(overall)


def _task(results: BenchResults, task: TaskResults, rows: Sequence[SummaryRow], exhibits: Mapping[str, Exhibit]) -> str:
    own = str(task.record["id"])
    arguments = ", ".join(f"{key}={value}" for key, value in task.record["arguments"].items())
    mine = [row for row in rows if row.task_id == own]
    parts = [
        f"<h2 id='task-{own}'>{escape(task.title)}{class_tags(mine[0])}</h2>",
        f"<p class='sub'>{escape(task.record['env'])} · {escape(arguments)} · id {own}</p>",
    ]
    if len(results.tasks) > 1:
        parts.append(_card("Summary", summary_table(mine, _positions(results)), "Columns as in the first table."))
    parts += [_exhibit(exhibit, name) for name, exhibit in exhibits.items() if name.endswith(f"-{own}")]
    parts.append(_best_nest(task))
    parts.append(f"<div class='pair'>{_reference(task)}{_audit(task, mine[0])}</div>")
    return "".join(parts)


def _reference(task: TaskResults) -> str:
    reference = task.record["reference"]
    facts = {
        "value": reference["value"],
        "lower bound": reference["lower_bound"],
        "gap": reference["gap"],
        "method": reference["method"],
        "relaxations": reference["relaxations"] or "none",
        "nodes": reference["nodes"],
        "seconds": reference["seconds"],
    }
    kind = "<span class='tag ok'>proved optimum</span>" if task.exact else "<span class='tag'>lower bound</span>"
    note = (
        "The certificate that regrets refer to: "
        + ("the optimum itself." if task.exact else "its lower bound, so regrets are overstated by at most the gap.")
        + " The solver reads the same tabulated cost model as the agents' evaluations."
    )
    return _card(f"Reference {kind}", facts_table(facts), note)


def _audit(task: TaskResults, row: SummaryRow) -> str:
    if task.audit is None:
        return _card("Hardness", "<p>Not audited: <code>accelgym audit</code> does it.</p>")
    facts = {
        key.replace("_", " "): "none" if value is None else value
        for key, value in task.audit.to_json().items()
        if key not in ("hardness", "flags")
    }
    return _card(
        f"Hardness{class_tags(row)}", facts_table(facts), f"How hard and how well posed the task is. {_CLASSES}"
    )


def _failures(results: BenchResults) -> str:
    failed = {
        f"{task.title} / {agent.agent.label} / seed {seed}": error
        for task in results.tasks
        for agent in task.agents
        for seed, error in agent.errors.items()
    }
    if not failed:
        return ""
    note = "Searches that ended in an error; their runs count nowhere above. Running the benchmark again repeats them."
    return "<h2 id='failures'>Failures</h2>" + _card(f"{len(failed)} failed", facts_table(failed), note)


def _manifest(results: BenchResults) -> str:
    parts = ["<h2 id='manifest'>Manifest</h2>"]
    for number, session in enumerate(results.manifest["sessions"], start=1):
        facts: dict[str, Any] = {key: value for key, value in session.items() if key != "packages"}
        facts["end"] = session["end"] or "killed"
        facts["packages"] = [f"{name} {version}" for name, version in session["packages"].items()]
        parts.append(_card(f"Session {number}", facts_table(facts)))
    raw = escape(json.dumps(results.manifest, indent=1))
    parts.append(_card("", f"<details><summary>manifest.json</summary><pre>{raw}</pre></details>"))
    return "".join(parts)


def _best_nest(task: TaskResults) -> str:
    """The best design as its task writes it out, where it does: a loop nest."""
    found = [(float(runs.final_regret[best]), runs, best) for runs in task.agents if (best := runs.best()) is not None]
    if not found:
        return ""
    regret, runs, best = min(found, key=lambda entry: entry[0])
    lines = (runs.best_designs[best] or {}).get("loop_nest")
    if not isinstance(lines, list):
        return ""
    note = f"Found by {runs.agent.label}, seed {runs.runs[best].seed}; regret {regret:.3%}."
    return _card("The best design found", f"<pre>{escape(chr(10).join(map(str, lines)))}</pre>", note)


def _exhibit(exhibit: Exhibit, identifier: str) -> str:
    height = int(exhibit.figure.layout.height)
    drawing = f"<div class='plot plotly-graph-div' id='{identifier}' style='height:{height}px'></div>"
    return _card(escape(exhibit.title), drawing, exhibit.caption)


def _drawings(exhibits: Mapping[str, Exhibit]) -> str:
    """The data of all figures, and the script that draws them."""
    data = ",".join(f"{json.dumps(name)}:{exhibit.figure.to_json()}" for name, exhibit in exhibits.items())
    # Within a script only this ends it.
    safe = data.replace("</", "<\\/").replace("<!--", "<\\!--")
    script = files("accelgym.experiments.report").joinpath("page.js").read_text()
    return f"<script>const FIGURES = {{{safe}}};\n{script}</script>"


def _card(title: str, content: str, note: str = "") -> str:
    """Returns a boxed section; ``title`` and ``content`` are HTML, the note is text."""
    head = f"<h3>{title}</h3>" if title else ""
    foot = f"<p class='how'>{escape(note)}</p>" if note else ""
    return f"<section class='card'>{head}{content}{foot}</section>"
