"""The documentation site: built without warnings, with no dead link in it, in README.md or in a card."""

import os
import posixpath
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import kerasgan3d

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(
    not (ROOT / "mkdocs.yml").is_file(), reason="the tests were taken out of the repository"
)


def targets(text):
    """What Markdown links to, of files: [...](target)."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [target for target in found if not urlsplit(target).scheme and not target.startswith("#")]


@pytest.mark.parametrize(
    "path",
    [path for pattern in ("*.md", "docs/**/*.md", "zoo/presets/*/README.md") for path in sorted(ROOT.glob(pattern))],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_files_link_to_what_is_there(path):
    for target in targets(path.read_text("utf-8")):
        assert (path.parent / target.partition("#")[0]).exists(), target


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {found[key] for key in ("id", "name") if found.get(key)}
        self.links += [found[key] for key in ("href", "src") if found.get(key)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site."""
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings_handlers.python")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    # Processes that test side by side lay the package out each in a folder of its own.
    environment = {**os.environ, "DOCUMENTED": str(tmp_path_factory.mktemp("documented"))}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    return folder


@pytest.mark.peer
def test_no_link_of_the_site_is_dead(site):
    pages = {path.relative_to(site).as_posix(): Page(path) for path in site.rglob("*.html") if path.name != "404.html"}
    assert len(pages) > 30
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or link.startswith("//"):
                continue
            place = (
                posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path))) if parts.path else name
            )
            place = posixpath.join(place, "index.html") if (site / place).is_dir() else place
            assert (site / place).is_file(), f"{name}: {link}"
            if parts.fragment and place in pages:
                assert unquote(parts.fragment) in pages[place].anchors, f"{name}: {link}"


@pytest.mark.peer
def test_the_reference_has_every_public_name(site):
    text = (site / "api" / "kerasgan3d" / "index.html").read_text("utf-8")
    names = [name for name in kerasgan3d.__all__ if callable(getattr(kerasgan3d, name))]
    assert len(names) > 15
    for name in names:
        assert re.search(rf'(id="|#)kerasgan3d\.[\w.]*\b{name}"', text), name
