"""Checks a built documentation site: no broken link or anchor, nothing that a page would fetch from elsewhere.

    python tools/check_site.py build/site

Prints what is wrong, a line each, and exits with 1 if anything is.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}
"""What a browser fetches by itself, by tag. Links of the kinds below are only followed."""
NOT_FETCHED = {"canonical", "prev", "next", "alternate", "edit"}


class Page(HTMLParser):
    """The anchors, links and loaded files of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes what a tag refers to and what it may be referred to by."""
        values = {name: value for name, value in attrs if value is not None}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        target = values.get(LOADED.get(tag, ""))
        if target is not None and values.get("rel") not in NOT_FETCHED:
            self.loaded.append(target)


def problems(site: Path) -> list[str]:
    """Returns what is wrong with the site, a line each."""
    # The page for addresses that do not exist is served under any of them, so its links start at the root.
    pages = {path: Page(path.read_text()) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}
    found = [] if pages else [f"{site}: no pages"]
    for path, page in pages.items():
        name = path.relative_to(site)
        found += [f"{name}: fetches {target}" for target in page.loaded if urlsplit(target).netloc]
        for link in dict.fromkeys([*page.links, *page.loaded]):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_relative_to(site.resolve()) and target != path:
                found.append(f"{name}: {link} leaves the site")
            elif not target.exists():
                found.append(f"{name}: {link} does not exist")
            elif parts.fragment and target.suffix == ".html":
                there = pages.get(target) or pages[site / target.relative_to(site.resolve())]
                if unquote(parts.fragment) not in there.anchors:
                    found.append(f"{name}: {link} has no such anchor")
    return found


if __name__ == "__main__":
    wrong = problems(Path(sys.argv[1]))
    print("\n".join(wrong) if wrong else f"{sys.argv[1]}: all links lead somewhere, nothing is fetched")
    sys.exit(bool(wrong))
