"""The documentation site: it builds strictly, its links lead somewhere, its fences are whole, its examples run."""

import functools
import http.server
import importlib.util
import itertools
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import threading
import typing

import pages
import pytest
import typer
import yaml

from accelgym.cli import app

ROOT = pages.ROOT
WITH_README = [ROOT / "README.md", ROOT / "examples" / "README.md", *pages.PAGES]
problems = runpy.run_path(str(ROOT / "tools" / "check_site.py"))["problems"]
QUIET = {"NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}


def build(folder, config, program=("mkdocs", "build", "--strict", "--quiet")):
    """Builds the site of a folder and returns it; a warning is a failure."""
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(config, sort_keys=False))
    command = [sys.executable, "-m", *program, "--config-file", "mkdocs.yml"]
    done = subprocess.run(command, cwd=folder, env=os.environ | QUIET, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / config["site_dir"]


TUTORIALS = runpy.run_path(str(ROOT / "tools" / "write_tutorial_pages.py"))


@pytest.mark.parametrize("script", TUTORIALS["SCRIPTS"], ids=lambda script: script.stem)
def test_the_page_of_a_tutorial_is_its_script(script):
    written = (TUTORIALS["PAGES"] / f"{script.stem}.md").read_text()
    assert written == TUTORIALS["page"](script), "run python tools/write_tutorial_pages.py"


def nav_pages(nav):
    """The pages that a navigation names."""
    for entry in nav:
        value = next(iter(entry.values())) if isinstance(entry, dict) else entry
        yield from nav_pages(value) if isinstance(value, list) else [value]


@pytest.fixture(scope="module")
def config():
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text())


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """The pages and those of the API reference, apart from the checkout."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("api"))
    runpy.run_path(str(ROOT / "tools" / "write_api_pages.py"))["write"](folder)
    return folder


def test_the_site_builds_strictly_and_no_link_is_broken(copied, config):
    # Without the API reference, which takes half a minute: its pages are there, their directives are not followed.
    site = build(copied, config | {"plugins": []})
    assert problems(site) == []


@pytest.mark.slow
@pytest.mark.parametrize("program", ["mkdocs", "zensical"])
def test_the_whole_site_builds_with_either_program(copied, config, program):
    if program == "zensical":
        pytest.importorskip("zensical")
    arguments = (program, "build", "--strict", *(("--quiet",) if program == "mkdocs" else ()))
    site = build(copied, config | {"site_dir": f"build/{program}"}, arguments)
    assert problems(site) == []
    assert "make_task" in (site / "api" / "accelgym.envs.html").read_text()


@pytest.mark.slow
@pytest.mark.needs("Chromium")
def test_no_page_writes_an_error_to_the_console(copied, config):
    browser = next(path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name)))
    site = build(copied, config | {"plugins": ["search"]})
    names = sorted(page.relative_to(site).as_posix() for page in site.rglob("*.html") if page.parent.name != "api")
    # One browser for all pages: a page of frames has loaded when all of them have.
    frames = "".join(f'<iframe src="{name}"></iframe>' for name in names)
    (site / "frames.html").write_text(f"<!doctype html><link rel='icon' href='data:,'>{frames}")
    Handler.asked = set()
    handler = functools.partial(Handler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
        address = f"http://127.0.0.1:{server.server_port}/frames.html"
        done = subprocess.run([browser, *options, address], capture_output=True, text=True, check=True, timeout=500)
        server.shutdown()
    assert {f"/{name}" for name in names} <= Handler.asked
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []


class Handler(http.server.SimpleHTTPRequestHandler):
    """Notes what is asked for, and keeps quiet."""

    asked: typing.ClassVar[set[str]] = set()

    def do_GET(self):
        self.asked.add(self.path)
        super().do_GET()

    def log_message(self, *_):
        pass


def test_a_broken_link_and_a_fetched_script_are_found(tmp_path):
    (tmp_path / "index.html").write_text(
        '<p id="here"><a href="#here">.</a><a href="#there">.</a>'
        '<a href="two.html#gone">.</a><a href="three.html">.</a>'
        '<a href="https://example.org/">.</a><script src="https://example.org/a.js"></script>'
    )
    (tmp_path / "two.html").write_text('<a href="index.html#here">.</a><a href="../up.html">.</a>')
    assert [line.split(": ", 1)[1] for line in problems(tmp_path)] == [
        "fetches https://example.org/a.js",
        "#there has no such anchor",
        "two.html#gone has no such anchor",
        "three.html does not exist",
        "../up.html leaves the site",
    ]


def test_the_navigation_names_every_page(config):
    named = list(nav_pages(config["nav"]))
    assert len(named) == len(set(named))
    here = {page.relative_to(ROOT / "docs").as_posix() for page in pages.PAGES}
    assert set(named) - {"api/index.md"} <= here
    missing = sorted(here - set(named))
    assert not missing, f"pages that nobody finds; give each a line under nav in mkdocs.yml: {missing}"


def test_nothing_is_fetched_by_a_build_or_a_page(config):
    assert config["theme"]["font"] is False
    python = next(plugin["mkdocstrings"] for plugin in config["plugins"] if "mkdocstrings" in plugin)
    assert python["handlers"]["python"]["inventories"] == []
    assert "extra_javascript" not in config
    assert "extra_css" not in config


@pytest.mark.parametrize("page", WITH_README, ids=pages.name)
def test_a_page_is_sound_markdown(page):
    text = page.read_text()
    pages.blocks(text)
    prose, inside = [], False
    for line in text.splitlines():
        fence = bool(pages.FENCE.fullmatch(line))
        inside ^= fence
        prose.append("" if inside or fence else line)
    for number, (before, line) in enumerate(itertools.pairwise(prose), 2):
        begins = (
            re.match(r"([*+-]|\d+\.) ", line) and re.match(r"[^\s*+#|>-]", before) and not re.match(r"\d+\. ", before)
        )
        assert not begins, f"line {number}: the list is part of the paragraph without an empty line before it"
        assert not (line.startswith("|") and re.match(r"[^\s|#>]", before)), (
            f"line {number}: a table within a paragraph"
        )
    assert sum(line.startswith("# ") for line in prose) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```python\nx\n", "line 1: a fence that is not closed"),
        ("```\nx\n```\n", "line 1: a fence of the language ''"),
        ("```pyhton\nx\n```\n", "line 1: a fence of the language 'pyhton'"),
        ("```text\nx\n```bash\ny\n```\n", "line 3: .* within the fence of line 1"),
        ("~~~text\n```\n", "line 1: a fence that is not closed"),
    ],
)
def test_a_broken_fence_is_found(text, said):
    with pytest.raises(ValueError, match=said):
        pages.blocks(text)


def run_blocks(page, slow, folder, monkeypatch):
    """Runs the Python of a page from top to bottom, as a reader would, in one namespace."""
    monkeypatch.chdir(folder)
    names = {"__name__": "page"}
    for block in pages.blocks(page.read_text()):
        if block.language == "python" and (slow or not block.slow):
            # The line numbers of errors are those of the page.
            code = "\n" * block.line + block.text
            exec(compile(block.before, f"{page}, before line {block.line}", "exec"), names)
            exec(compile(code, str(page), "exec"), names)


def has_python(page, slow):
    # Names of the plug-in package need it installed: tests/test_examples.py makes these calls.
    blocks = [] if page.parent.name == "examples" else pages.blocks(page.read_text())
    return any(block.language == "python" and block.slow == slow for block in blocks)


@pytest.mark.parametrize("page", [page for page in WITH_README if has_python(page, slow=False)], ids=pages.name)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    run_blocks(page, False, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in WITH_README if has_python(page, slow=True)], ids=pages.name)
def test_the_slow_python_of_a_page_runs(page, tmp_path, monkeypatch):
    run_blocks(page, True, tmp_path, monkeypatch)


def check_command(words):
    """Fails where a command, one of its options or a file of the project does not exist."""
    if words[0] == "accelgym":
        command, rest = typer.main.get_command(app), words[1:]
        while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
            assert rest[0] in command.commands, f"no command {rest[0]!r}"
            command, rest = command.commands[rest[0]], rest[1:]
        known = {"--help"} | {
            name for parameter in command.params for name in [*parameter.opts, *parameter.secondary_opts]
        }
        unknown = [word for word in rest if word.startswith("-") and word.partition("=")[0] not in known]
        assert not unknown, f"no options {unknown}"
    elif words[0] in ("python", "pytest") and "-m" in words[1:] and not words[words.index("-m") + 1].startswith("slow"):
        assert importlib.util.find_spec(words[words.index("-m") + 1]), words
    elif words[0] == "python":
        assert (ROOT / words[1]).is_file(), words[1]
    elif words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE), words[1]


@pytest.mark.parametrize("page", [page for page in WITH_README if pages.commands(page.read_text())], ids=pages.name)
def test_the_commands_of_a_page_exist(page):
    for line in pages.commands(page.read_text()):
        for part in re.split(r"&&|\|\||\|", line.partition("  #")[0]):
            words = shlex.split(part, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                words = words[1:]
            if words:
                check_command(words)
