"""The report holds the numbers, the numbers are right, and the page stands alone."""

import csv
import json
import re
import shutil
import subprocess
from html import escape
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy.stats import trim_mean

from accelgym.agents import Trajectory
from accelgym.costmodels.errors import InputError
from accelgym.experiments import build_report


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
    assert sorted(kinds) == sorted(["ecdf", "improvement"] + 2 * ["regret", "cost", "design"])
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
def test_a_browser_draws_every_figure(report, tmp_path):
    out, _, page, _ = report
    browser = next(path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name)))
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--dump-dom"]
    dom = subprocess.run(
        [*command, "--virtual-time-budget=20000", (out / "report.html").as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    figures = [attrs["id"] for tag, attrs in page.tags if tag == "div" and "plotly-graph-div" in attrs.get("class", "")]
    drawn = dict.fromkeys(figures, 0)
    holder = None
    for tag, attrs in Page(dom).tags:
        holder = attrs["id"] if tag == "div" and attrs.get("id") in drawn else holder
        if holder is not None and tag == "svg" and "main-svg" in (attrs.get("class") or ""):
            drawn[holder] += 1
    assert all(drawn.values()), drawn
