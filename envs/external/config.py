"""The YAML file that plugs in a simulator: parameters, command, input files, outputs and objective."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from accelgym.costmodels.errors import InputError, shown
from accelgym.costmodels.files.strict_model import StrictModel, load_spec
from accelgym.costmodels.files.text import read_bytes, read_text
from accelgym.costmodels.files.yaml_source import YamlSource, read_yaml
from accelgym.envs.external.outputs import OutputSpec, check_relative
from accelgym.envs.external.placeholders import check_names, fill, number_of
from accelgym.envs.space import Parameter, Space

__all__ = ["HERE", "Configuration", "FileSpec", "ParameterSpec", "SimulatorSpec"]

Value = int | float | str | bool
HERE = "here"
"""Placeholder for the folder of the configuration."""
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class ParameterSpec(StrictModel):
    """A parameter; a list is its values."""

    values: list[Value] = Field(min_length=1)
    ordered: bool | None = None
    """Whether neighbouring values are alike; by default where all are numbers."""

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, given: Any) -> Any:
        return {"values": given} if isinstance(given, list) else given


class FileSpec(StrictModel):
    """An input file of a run: exactly one of the three; a text is its content."""

    text: str | None = None
    """Its content, with placeholders."""
    template: str | None = None
    """File with its content, with placeholders; relative to the configuration."""
    copy_of: str | None = Field(default=None, alias="copy")
    """File that is copied as it is."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        return {"text": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _is_one_kind(self) -> FileSpec:
        if sum(x is not None for x in (self.text, self.template, self.copy_of)) != 1:
            raise InputError("give exactly one of text, template and copy")
        return self


class SimulatorSpec(StrictModel):
    """What the file says."""

    name: str = Field(min_length=1)
    version: str = Field(min_length=1)
    """Of the simulator; results of another version are not taken for its."""
    parameters: dict[Identifier, ParameterSpec] = Field(min_length=1)
    requires: list[str] = Field(default_factory=list)
    """Expressions over parameters that a design must fulfil to be simulated at all."""
    files: dict[str, FileSpec] = Field(default_factory=dict)
    """Input files by name."""
    command: list[str] = Field(min_length=1)
    """Program and arguments, with placeholders."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Variables beside those of this process, with placeholders."""
    outputs: dict[Identifier, OutputSpec] = Field(min_length=1)
    objective: str
    """Expression over outputs and parameters, to be minimised."""
    lower_bound: float = Field(default=0.0, allow_inf_nan=False)
    """What no objective can be below; a smaller one is no result."""
    constraints: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Largest value of outputs."""
    baseline: dict[str, Value] = Field(default_factory=dict)
    """Design that regrets are relative to; what is not named has its first value."""
    timeout_s: float = Field(default=60.0, gt=0, le=30 * 86400, allow_inf_nan=False)
    """Wall seconds of a run."""
    most_file_mib: int = Field(default=1024, ge=1)
    """Largest file that a run may write."""


class Configuration:
    """A checked configuration and the files that it names.

    Args:
        path: The YAML file.
        program: Path of a program to run instead of the first word of the command.

    Raises:
        InputError: Naming file, line, column and key, the value and what is allowed.
    """

    def __init__(self, path: Path, program: Path | None = None) -> None:
        self.path = path
        self.folder = path.resolve().parent
        self.spec = load_spec(SimulatorSpec, path)
        self._source: YamlSource = read_yaml(path)
        self.space = self._read_space()
        self.baseline = self._read_baseline()
        self.program = self._find_program() if program is None else _executable(program)
        self.templates, self.copies = self._read_files()
        self._check_expressions()

    def _read_space(self) -> Space:
        parameters = []
        for name, given in self.spec.parameters.items():
            values = tuple(given.values)
            if name == HERE:
                raise self.error(("parameters", name), f"{HERE!r} stands for the folder of this file")
            if len({(type(v) is bool, v) for v in values}) < len(values):
                raise self.error(("parameters", name), f"{shown(list(values))}: a value is given twice")
            for value in values:
                if isinstance(value, float) and not math.isfinite(value):
                    raise self.error(("parameters", name), f"{value}: allowed: finite numbers")
            numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
            parameters.append(Parameter(name, values, numbers if given.ordered is None else given.ordered))
        return Space(tuple(parameters))

    def _read_baseline(self) -> tuple[int, ...]:
        first = {p.name: p.values[0] for p in self.space.parameters}
        try:
            design = tuple(self.space.encode(first | self.spec.baseline).tolist())
        except InputError as error:
            raise self.error(("baseline",), str(error)) from None
        return design

    def _find_program(self) -> Path:
        """The program of the command: a path from the configuration's folder, or a name on ``PATH``."""
        name = self.spec.command[0]
        if "${" in name:
            name = fill(name, {HERE: str(self.folder)}, self.where("command", 0))
        found = self.folder / name if os.sep in name else shutil.which(name)
        if found is None or not _is_executable(Path(found)):
            raise self.error(("command", 0), f"{shown(name)}: allowed: a program on PATH, or the path of one from here")
        return Path(found)

    def _read_files(self) -> tuple[dict[str, str], dict[str, bytes]]:
        templates, copies = {}, {}
        for name, given in self.spec.files.items():
            try:
                check_relative(name, "name")
                if given.text is not None:
                    templates[name] = given.text
                elif given.template is not None:
                    templates[name] = read_text(self.folder / given.template)
                else:
                    copies[name] = read_bytes(self.folder / str(given.copy_of))
            except InputError as error:
                raise self.error(("files", name), str(error)) from None
        return templates, copies

    def _check_expressions(self) -> None:
        """Tries every expression once, with the baseline and made-up outputs."""
        spec, values = self.spec, self.values(self.space.decode(self.baseline))
        for index, condition in enumerate(spec.requires):
            where = self.where("requires", index)
            check_names(condition, spec.parameters, where)
            number_of(condition, values, where)
        for name in spec.constraints:
            if name not in spec.outputs:
                raise self.error(("constraints", name), f"no output, there are: {', '.join(spec.outputs)}")
        both = set(spec.outputs) & {HERE, *spec.parameters}
        if both:
            raise self.error(("outputs", min(both)), "has the name of a parameter")
        names = {*spec.outputs, *spec.parameters}
        check_names(spec.objective, names, self.where("objective"))
        # No two alike and none whole, so that no difference of them is 0.
        made_up = {name: 1.0 + 0.137 * place for place, name in enumerate(spec.outputs, 1)}
        number_of(spec.objective, values | made_up, self.where("objective"))
        self.command(values)
        self.environment(values)
        self.files(values)

    def error(self, key: tuple[int | str, ...], message: str) -> InputError:
        """Builds the error for a key of the file."""
        return self._source.error(key, message)

    def where(self, *key: int | str) -> str:
        """Returns file, line, column and key, for messages."""
        return str(self.error(key, "")).removesuffix(": ")

    def values(self, design: dict[str, Any]) -> dict[str, Any]:
        """Returns what placeholders may name: the parameters of a design, and the folder of the configuration."""
        return {HERE: str(self.folder), **design}

    def command(self, values: dict[str, Any]) -> list[str]:
        """Returns the command line of a design."""
        rest = self.spec.command[1:]
        filled = [fill(text, values, self.where("command", i)) for i, text in enumerate(rest, 1)]
        for index, text in enumerate(filled, 1):
            if "\0" in text:
                raise self.error(("command", index), "holds a zero byte")
        return [str(self.program), *filled]

    def environment(self, values: dict[str, Any]) -> dict[str, str]:
        """Returns the variables of a design that the configuration names."""
        filled = {k: fill(text, values, self.where("environment", k)) for k, text in self.spec.environment.items()}
        for name, text in filled.items():
            if not name or "=" in name or "\0" in name + text:
                raise self.error(("environment", name), "no name of a variable, or a zero byte")
        return filled

    def files(self, values: dict[str, Any]) -> dict[str, bytes]:
        """Returns the input files of a design by name."""
        filled = {name: fill(text, values, self.where("files", name)) for name, text in self.templates.items()}
        return {name: text.encode() for name, text in filled.items()} | self.copies

    def fulfils(self, values: dict[str, Any]) -> bool:
        """Returns whether a design may be simulated."""
        return all(number_of(c, values, self.where("requires", i)) for i, c in enumerate(self.spec.requires))


def _is_executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _executable(program: Path) -> Path:
    if not _is_executable(program):
        raise InputError(f"program is {shown(str(program))}, allowed: the path of a program")
    return program.absolute()
