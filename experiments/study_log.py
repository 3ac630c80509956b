"""Studies that are interrupted and go on: every measurement is a row that is kept as soon as it is made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from accelgym.costmodels.errors import DamagedFileError
from accelgym.costmodels.files.json_file import read_sealed, write_sealed
from accelgym.costmodels.files.plain import plain
from accelgym.costmodels.files.same_run import require_same_run
from accelgym.costmodels.files.text import read_text
from accelgym.costmodels.files.whole_file import write_whole

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Row", "StudyLog"]

Row = dict[str, Any]
"""A measurement: plain data by name."""
_Part = TypeVar("_Part", bound="DataclassInstance")


class StudyLog:
    """Rows of a study in a file of JSON lines, which is both its result and the state from which it goes on.

    A last line that a kill has cut off goes, and its row is measured again. Numbers that are not finite are written as
    Python writes them.

    Args:
        path: The file; it and its folder come into being when they are needed.
        key: Names of the entries that tell rows apart; a row that is there is not measured again.
        plan: Plain data that all rows depend on; kept in ``study.json`` beside the file.

    Raises:
        InputError: The folder holds a study of another plan.
        DamagedFileError: A line is no row of such a study.
    """

    def __init__(self, path: Path, key: Sequence[str], plan: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self._key = tuple(key)
        if plan is not None:
            _keep_plan(path.with_name("study.json"), plain(plan))
        self.rows: list[Row] = []
        """In the order in which they were measured."""
        self._known: dict[str, Row] = {}
        for row in self._read():
            self._keep(row)

    def find(self, **key: Any) -> Row | None:
        """Returns the row with these entries, of which the key is made; ``None`` where there is none."""
        return self._known.get(self._text(key))

    def add(self, row: Row) -> Row:
        """Keeps a row, which survives the process from here on, and returns it as it will be read."""
        line = json.dumps(row)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
        return self._keep(json.loads(line))

    def part(self, name: str, kind: type[_Part], measure: Callable[[], Iterable[_Part]]) -> list[_Part]:
        """Returns records that are made together, in one row with the keys ``part`` and ``rows``.

        Args:
            name: Of the part.
            kind: Dataclass of the records.
            measure: Makes them where they are not there yet.
        """
        row = self.find(part=name) or self.add({"part": name, "rows": [asdict(record) for record in measure()]})
        return [kind(**record) for record in row["rows"]]

    def _keep(self, row: Row) -> Row:
        self.rows.append(row)
        self._known[self._text(row)] = row
        return row

    def _text(self, row: Mapping[str, Any]) -> str:
        return json.dumps([row[name] for name in self._key], sort_keys=True)

    def _read(self) -> Iterator[Row]:
        if not self.path.exists():
            return
        text = read_text(self.path)
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            write_whole(self.path, whole)
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict) or not set(self._key) <= set(row):
                raise DamagedFileError(f"{self.path}:{number}: no row of this study: needs {', '.join(self._key)}")
            yield row


def _keep_plan(path: Path, plan: Row) -> None:
    if path.exists():
        require_same_run(path.parent, "study", read_sealed(path), plan)
    else:
        write_sealed(path, plan)
