"""The report holds the numbers, the numbers are right, and the page stands alone."""

import csv
import json
import re
import shutil
from dataclasses import replace
from html import escape
from html.parser import HTMLParser

import matplotlib.image
import numpy as np
import pytest
from browser import visit
from scipy.stats import trim_mean

from accelgym.agents import Trajectory
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.json_file import read_sealed, write_sealed
from accelgym.experiments import BenchConfig, build_report, run_bench
from accelgym.experiments.report import summarise
from accelgym.experiments.report.exhibits import all_exhibits
from accelgym.experiments.report.figures import drawn_agents
from accelgym.experiments.report.numbers import percent
from accelgym.experiments.report.page import render_page
from accelgym.experiments.report.paper import write_paper
from accelgym.experiments.results import BenchResults


class Page(HTMLParser):
    """Collects tags, the exact figures of cells, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.exact, self.text = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "td" and "title" in dict(attrs):
            self.exact.add(dict(attrs)["title"])

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def report(finished):
    out, _ = finished
    text = build_report(out).read_text()
    return out, text, Page(text), json.loads((out / "summary.json").read_text())


def test_the_page_names_every_task_and_agent(report, small_config):
    _, text, _, summary = report
    assert escape(small_config["name"]) in text
    for row in summary["rows"]:
        assert escape(row["task"]) in text
        assert escape(row["agent"]) in text


def test_the_page_holds_the_figures_of_the_summary(report):
    _, _, page, summary = report
    for row in summary["rows"]:
        for key in ("regret_iqm", "regret_best", "success_1pct", "distinct_designs", "agent_cpu_s"):
            assert repr(row[key]) in page.exact


def test_the_summary_follows_from_the_trajectories(report):
    out, _, _, summary = report
    optimum = {task["id"]: task["reference"]["value"] for task in summary["tasks"]}
    pooled = {}
    for row in summary["rows"][:4]:
        runs = [Trajectory.load(p) for p in out.glob(f"runs/{row['task_id']}/{row['agent']}/*/trajectory.npz")]
        regrets = [float(r.objective[r.feasible].min()) / optimum[row["task_id"]] - 1 for r in runs]
        pooled.setdefault(row["agent"], []).extend(regrets)
        assert row["runs"] == 3
        assert row["regret_iqm"] == pytest.approx(trim_mean(regrets, 0.25), rel=1e-12)
        assert row["regret_low"] <= row["regret_iqm"] <= row["regret_high"]
        assert row["regret_best"] == pytest.approx(min(regrets))
        assert row["success_1pct"] == np.mean([r <= 0.01 for r in regrets])
        assert row["feasible_fraction"] == np.mean([r.feasible for r in runs])
        assert row["capped"] == (row["agent"] == "random-one")
        assert row["evaluations"] == (40 if row["capped"] else 150)
        cpu = row["agent_cpu_s"] + row["evaluation_cpu_s"]
        assert cpu == pytest.approx(np.mean([r.agent_cpu_s[-1] + r.evaluation_cpu_s[-1] for r in runs]))
    for row in summary["rows"][4:]:
        assert row["task"] == "all tasks"
        assert row["regret_iqm"] == pytest.approx(trim_mean(pooled[row["agent"]], 0.25), rel=1e-12)


def test_csv_and_json_agree(report):
    out, _, _, summary = report
    with (out / "summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{k: "" if v is None else str(v) for k, v in row.items()} for row in summary["rows"]]


def test_the_page_needs_no_network(report):
    _, _, page, _ = report
    links = [attrs.get(key, "") for _, attrs in page.tags for key in ("src", "href")]
    assert [link for link in links if link and not link.startswith("#")] == []


def test_every_figure_explains_how_it_was_made(report):
    _, text, page, _ = report
    figures = [attrs["id"] for tag, attrs in page.tags if tag == "div" and "plotly-graph-div" in attrs.get("class", "")]
    kinds = [name.split("-")[0] for name in figures]
    assert sorted(kinds) == sorted(["ecdf", "profile", "improvement"] + 2 * ["regret", "cost", "design", "designs"])
    for section in text.split("<section class='card'>")[1:]:
        if "plotly-graph-div" in section:
            assert re.search(r"<p class='how'>.{80,}</p>", section, re.S)


def test_an_unfinished_benchmark_is_reported_as_such(finished, tmp_path):
    out, _ = finished
    shutil.copytree(out, tmp_path / "copy")
    lost = sorted((tmp_path / "copy").glob("runs/*/random-one/*/trajectory.npz"))
    for path in lost:
        path.unlink()
    text = build_report(tmp_path / "copy").read_text()
    rows = json.loads((tmp_path / "copy" / "summary.json").read_text())["rows"]
    assert [row["missing"] for row in rows if row["agent"] == "random-one"] == [3, 3, 6]
    assert "3 not run" in text
    assert "6 of 12" in text


def test_a_folder_without_a_benchmark_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"manifest\.json"):
        build_report(tmp_path)


@pytest.mark.needs("Chromium")
@pytest.mark.parametrize("width", [1300, 390])
def test_a_browser_draws_every_figure_without_complaint_and_within_the_screen(report, tmp_path, width):
    out, _, page, _ = report
    seen = visit(out / "report.html", tmp_path / "browser", width=width)
    assert seen["width"] == width
    assert seen["complaints"] == []
    figures = [attrs["id"] for tag, attrs in page.tags if tag == "div" and "plotly-graph-div" in attrs.get("class", "")]
    assert seen["plots"] == dict.fromkeys(figures, 0)
    assert seen["scroll"] <= seen["width"]


def test_names_cannot_end_the_script(finished, small_config, tmp_path):
    out, _ = finished
    shutil.copytree(out, tmp_path / "copy")
    manifest = read_sealed(tmp_path / "copy" / "manifest.json")
    hostile = "</script><script>alert(1)</script><!--"
    for task_id in manifest["tasks"]:
        record = read_sealed(tmp_path / "copy" / "tasks" / f"{task_id}.json")
        for parameter in record["parameters"]:
            parameter["group"] = f"{hostile}{parameter['group']}"
        write_sealed(tmp_path / "copy" / "tasks" / f"{task_id}.json", record)
    text = build_report(tmp_path / "copy").read_text()
    assert hostile not in text
    assert text.count("</script>") == 2


LOTTERY = {
    "name": "n",
    "agents": [
        {"agent": "ga", "best_of": [-0.5, -0.8, -1.0], "measured": [-0.6, -0.5, -0.7, -1.0]},
        {"agent": "random", "best_of": [-0.2], "measured": [-0.2]},
    ],
}


def test_a_lottery_beside_the_results_is_drawn(finished, tmp_path):
    out, _ = finished
    results = BenchResults.load(out)
    assert "lottery" not in all_exhibits(results, out)
    (tmp_path / "lottery.json").write_text(json.dumps(LOTTERY))
    figure = all_exhibits(results, tmp_path)["lottery"].figure
    curve, default = figure.data  # random has nothing to tune.
    np.testing.assert_allclose(curve.y, 10.0 ** np.array([-0.5, -0.8, -1.0]))
    assert list(curve.x) == [1, 2, 3]
    np.testing.assert_allclose(default.y, [10**-0.6])


@pytest.mark.parametrize("text", ["{}", "[]", '{"agents": [{"agent": "ga", "best_of": "x", "measured": [1]}]}', "{"])
def test_a_damaged_lottery_is_said(finished, tmp_path, text):
    (tmp_path / "lottery.json").write_text(text)
    with pytest.raises(InputError, match=r"lottery\.json"):
        all_exhibits(BenchResults.load(finished[0]), tmp_path)


def test_the_profile_is_the_share_of_runs(finished):
    out, _ = finished
    results = BenchResults.load(out)
    lines = [trace for trace in all_exhibits(results, out)["profile"].figure.data if trace.fill is None]
    for place, line in enumerate(lines):
        finals = [task.agents[place].final_regret for task in results.tasks]
        shares = [np.mean([(own <= x).mean() for own in finals]) for x in line.x]
        np.testing.assert_allclose(line.y, shares)


def crowd_of(results, names):
    """Results of agents that are one agent's runs under other names, with the budget of all; the later the worse."""
    tasks = []
    for task in results.tasks:
        base = task.agents[0]
        many = []
        for place, name in enumerate(names):
            entry = base.agent.model_copy(update={"label": name})
            runs = tuple(replace(run, objective=run.objective * (1 + place / 10)) for run in base.runs)
            many.append(replace(base, agent=entry, runs=runs))
        tasks.append(replace(task, agents=tuple(reversed(many))))
    labels = tuple(runs.agent for runs in tasks[0].agents)
    return replace(results, config=results.config.model_copy(update={"agents": labels}), tasks=tuple(tasks))


def test_figures_of_many_agents_show_the_best_and_tables_all(finished, tmp_path):
    crowd = crowd_of(BenchResults.load(finished[0]), [f"agent-{place}" for place in range(20)])
    assert drawn_agents(crowd) == frozenset(range(4, 20))
    for name, exhibit in all_exhibits(crowd, tmp_path).items():
        assert "agent-19" not in exhibit.figure.to_json(), name
        if not name.startswith("design"):
            assert "Of 20 agents the 16 best" in exhibit.caption
    assert len({row.agent for row in summarise(crowd)}) == 20


def test_ranks_are_drawn_where_they_are_and_bars_join_what_is_alike(finished, tmp_path):
    """Three agents that two tasks rank alike: ranks 1, 2 and 3, and a critical difference above 2."""
    results = BenchResults.load(finished[0])
    assert "ranks" not in all_exhibits(results, tmp_path)  # One agent alone has the budget of all.
    crowd = crowd_of(results, ["best", "middle", "worst"])
    exhibits = all_exhibits(crowd, tmp_path)
    lines = [trace for trace in exhibits["ranks"].figure.data if trace.mode == "lines" and trace.hovertemplate]
    bars = [line for line in lines if "not told apart: best, middle, worst" in line.hovertemplate]
    assert [list(bar.x) for bar in bars] == [[1, 3]]
    ranks = {line.hovertemplate.split(":")[0]: line.x[0] for line in lines if "mean rank" in line.hovertemplate}
    assert ranks == {"best": 1, "middle": 2, "worst": 3}
    # All tasks rank alike: exactly, the second repeats the first one of the 3! orders.
    assert "2 tasks" in exhibits["ranks"].caption
    assert f"p = {1 / 6:.2g}" in exhibits["ranks"].caption
    text = render_page(crowd, summarise(crowd), exhibits)
    table = text.split("<h3>Every two agents</h3>")[1].split("</table>")[0]
    rows = [re.findall(r">([^<>]+)</td>", row) for row in table.split("<tr>")[2:]]
    assert rows == [
        ["best", "1 (2:0)", "1 (2:0)"],
        ["middle", "1 (0:2)", "1 (2:0)"],
        ["worst", "1 (0:2)", "1 (0:2)"],
    ]
    write_paper(crowd, summarise(crowd), exhibits, tmp_path)
    assert "| worst | 1 (0:2) | 1 (0:2) |  |" in (tmp_path / "report.md").read_text()
    image = matplotlib.image.imread(tmp_path / "figures" / "ranks.png")
    assert np.ptp(image[..., :3]) > 0.5


@pytest.mark.needs("Chromium")
@pytest.mark.parametrize("width", [390, pytest.param(1280, marks=pytest.mark.slow)])
def test_the_ranks_fit_the_screen(finished, tmp_path, width):
    crowd = crowd_of(BenchResults.load(finished[0]), [f"an_agent_with_a_name_{place}" for place in range(16)])
    page = tmp_path / "page.html"
    page.write_text(render_page(crowd, summarise(crowd), {"ranks": all_exhibits(crowd, tmp_path)["ranks"]}))
    seen = visit(page, tmp_path / "browser", width=width)
    assert (seen["complaints"], seen["plots"]) == ([], {"ranks": 0})
    assert seen["scroll"] <= seen["width"]


def test_the_paper_holds_the_same_figures_and_numbers(report):
    out, _, page, summary = report
    build_report(out, paper=True)
    text = (out / "report.md").read_text()
    figures = [attrs["id"] for tag, attrs in page.tags if tag == "div" and "plotly-graph-div" in attrs.get("class", "")]
    assert sorted(re.findall(r"\]\(figures/(.+?)\.png\)", text)) == sorted(figures)
    for name in figures:
        image = matplotlib.image.imread(out / "figures" / f"{name}.png")
        assert image.shape[1] == 1200
        assert np.ptp(image[..., :3]) > 0.5
    for row in summary["rows"]:
        assert percent(row["regret_iqm"]) in text
        assert f"{percent(row['regret_best'])} | {percent(row['success_1pct'])}" in text
    assert "the proved optimum" in text


def test_values_that_are_no_numbers_are_drawn_by_name(tmp_path):
    config = {"name": "types", "tasks": [{"env": "Datatype-v0"}], "agents": ["ga"], "budget": 60, "seeds": 1}
    run_bench(BenchConfig.parse(config), tmp_path)
    results = BenchResults.load(tmp_path)
    ((name, design),) = [pair for pair in all_exhibits(results, tmp_path).items() if pair[0].startswith("design-")]
    rows = results.tasks[0].record["parameters"]
    weights = [row for row in rows if row["knob"] == "weight_type"]
    optimum = results.tasks[0].record["reference_design"]["design"]
    bars, axis = design.figure.data[0], design.figure.layout.yaxis
    assert [axis.ticktext[axis.tickvals.index(place)] for place in bars.y] == [optimum[row["name"]] for row in weights]
    assert list(bars.customdata) == [f"{row['group']}: {optimum[row['name']]}" for row in weights]
    write_paper(results, summarise(results), {name: design}, tmp_path)
    assert matplotlib.image.imread(tmp_path / "figures" / f"{name}.png").shape[1] == 1200
