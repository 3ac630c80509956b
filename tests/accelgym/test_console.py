"""Tables on terminals, in pipes and in files: no cell is cut."""

import io

import pytest
from rich.console import Console
from rich.table import Table
from typer.testing import CliRunner

from accelgym.cli import app, console

NAME = "encoder.block[3].attention.projection_of_queries_keys_and_values"


@pytest.mark.parametrize("width", [24, 60])
def test_a_narrow_terminal_folds_what_does_not_fit(width, monkeypatch):
    text = io.StringIO()
    monkeypatch.setattr(console, "out", Console(file=text, width=width, force_terminal=True, color_system=None))
    table = Table("name", "MACs", box=None, show_header=False)
    table.add_row(NAME, "123456789")
    console.print_table(table)
    pieces = [line.split() for line in text.getvalue().splitlines()]
    assert "".join(piece[0] for piece in pieces) == NAME
    assert "".join(piece[1] for piece in pieces if len(piece) == 2) == "123456789"


def test_a_pipe_takes_a_row_whole():
    lines = CliRunner().invoke(app, ("workloads", "resnet18")).stdout.splitlines()
    rows = [line.split() for line in lines if line.split()[:1] == ["4"]]
    assert rows == [["4", "layer1.0.conv1", "conv", "1", "64", "64", "56x56", "3x3", "1x1", "1", "1.156e+08"]]
