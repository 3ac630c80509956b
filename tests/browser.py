"""A page as a headless Chromium shows it: what it drew, what it complained about, and whether it fits the screen."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

_PROBE = """<script>
const COMPLAINTS = [];
addEventListener("error", (e) => COMPLAINTS.push(String(e.message)));
addEventListener("unhandledrejection", (e) => COMPLAINTS.push(String(e.reason)));
for (const level of ["error", "warn"]) {
  const before = console[level];
  console[level] = (...words) => { COMPLAINTS.push(words.join(" ")); before(...words); };
}
const BEGIN = performance.now();
addEventListener("load", () => {
  const answer = () => {
    const plots = {};
    for (const box of document.querySelectorAll(".plotly-graph-div")) {
      const svg = box.querySelector("svg.main-svg");
      plots[box.id] = svg ? svg.getBoundingClientRect().width - box.getBoundingClientRect().width : null;
    }
    const wide = document.documentElement;
    parent.postMessage({ plots, complaints: COMPLAINTS, width: innerWidth, scroll: wide.scrollWidth,
      ms: performance.now() - BEGIN }, "*");
  };
  const wait = () => {
    const open = [...document.querySelectorAll(".plotly-graph-div")].filter((x) => !x.querySelector("svg.main-svg"));
    open.length && performance.now() - BEGIN < 30000 ? setTimeout(wait, 50) : setTimeout(answer, 100);
  };
  wait();
});
</script>"""
_FRAME = """<!DOCTYPE html><body><iframe src="page.html" width="{width}" height="900"></iframe>
<pre id="answer"></pre><script>
addEventListener("message", (e) => {{ document.getElementById("answer").textContent = JSON.stringify(e.data); }});
</script></body>"""


def visit(page: Path, folder: Path, *, width: int) -> dict:
    """Shows a page in a frame of a width and returns what it says of itself.

    ``plots`` holds by how much each plot is wider than its place (``None`` where nothing was drawn), ``complaints``
    what went to the console, ``width`` and ``scroll`` the widths of screen and content in pixels, ``ms`` the time.
    """
    folder.mkdir()
    text = page.read_text(encoding="utf-8").replace("<head>", "<head>" + _PROBE, 1)
    (folder / "page.html").write_text(text, encoding="utf-8")
    (folder / "frame.html").write_text(_FRAME.format(width=width), encoding="utf-8")
    browser = next(path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name)))
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += ["--window-size=1600,1200", "--virtual-time-budget=60000", "--dump-dom"]
    url = (folder / "frame.html").as_uri()
    done = subprocess.run([*command, url], capture_output=True, text=True, check=True, timeout=300)
    found = re.search(r'<pre id="answer">(.+?)</pre>', done.stdout)
    assert found, done.stdout[-2000:]
    return json.loads(html.unescape(found.group(1)))
