"""The study of number formats: it resumes, and its tables say what the records say."""

import numpy as np
import pytest

from accelgym.experiments.datatypes import study
from accelgym.experiments.datatypes.published import PUBLISHED, PUBLISHED_TYPES
from accelgym.experiments.datatypes.study import TYPES, run_study
from accelgym.experiments.datatypes.tables import format_study


def test_an_interrupted_study_goes_on_where_it_was(tmp_path, monkeypatch):
    made = []

    def measurements(oracles):
        for index in range(4):
            yield f"accuracy/net/{index}/tensor", lambda index=index: made.append(index) or {"value": index}

    monkeypatch.setattr(study, "_measurements", measurements)
    messages = []
    run_study(tmp_path, messages.append)
    assert made == [0, 1, 2, 3]
    journal = tmp_path / "measurements.jsonl"
    journal.write_bytes(journal.read_bytes()[:-5])  # Killed while it wrote.
    records = run_study(tmp_path, messages.append)
    assert made == [0, 1, 2, 3, 3]
    assert [record["value"] for record in records] == [0, 1, 2, 3]
    assert len(messages) == 5


def records():
    for network in ("one", "two"):
        for index, datatype in enumerate(("fp32", *TYPES)):
            for scheme in ("tensor", "channel", "block"):
                yield {
                    "name": f"accuracy/{network}/{datatype}/{scheme}",
                    "value": 90.0 - index,
                    "metric": "top1_percent",
                    "cross_entropy": 0.3 + 0.01 * index,
                }
    yield {
        "name": "enumeration/one",
        "designs": 4096,
        "designs_per_second": 40.0,
        "limit": 0.05,
        "measured_optimum": 100.0,
        "table_optimum": 103.0,
        "table_optimum_loss": 0.04,
    }


def test_the_tables_say_what_was_measured():
    text = format_study(list(records()))
    first = text[: text.index("published type")]
    rows = {line.split("|")[1].strip(): line for line in first.splitlines() if line.startswith("|")}
    assert len(TYPES) == len(set(TYPES)) == 16
    assert all(name in rows for name in ("fp32", *TYPES))
    assert rows["int8"].count("| 87.0 ") == 6
    # Areas of processing elements were synthesised for some types; they grow with the width.
    areas = {name: rows[name].split("|")[-3].strip() for name in TYPES}
    assert float(areas["int4"]) < float(areas["int8"]) < float(areas["e4m3"]) < float(areas["bf16"])
    assert areas["e2m3"] == ""
    assert "costs +3.00% against the measured one, and loses 0.0400 nats" in text


@pytest.mark.parametrize("column", range(5))
def test_published_losses_are_means_over_six_networks(column):
    text = format_study(list(records()))
    name = list(PUBLISHED_TYPES)[column]
    after = text[text.index("published type") :]
    line = next(line for line in after.splitlines() if line.startswith(f"| {name} |"))
    mean = np.mean([values[0] - values[1 + column] for values in PUBLISHED.values()])
    assert line.split("|")[3].strip() == f"{mean:+.2f}"
