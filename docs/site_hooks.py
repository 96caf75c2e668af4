"""What the documentation site is made of beside the pages of this folder: README, changelog, cards and API pages.

MkDocs calls these functions (mkdocs.yml). Links that lead out of the folder become pages of the site where there is
one, else addresses in the repository, which pyproject.toml says.
"""

import os
import posixpath
import re
import shutil
import tomllib
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
# Pages made of files outside this folder: path in the repository to page.
PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "take-part.md"}
PAGES |= {
    path.relative_to(ROOT).as_posix(): f"cards/{path.parent.name}/index.md"
    for path in ROOT.glob("zoo/presets/*/README.md")
}
ROOMS = ("io", "metrics", "export", "sampling", "steering", "models", "layers", "training", "data", "phases", "report")


def on_config(config):
    """Take the addresses from pyproject.toml, and lay out the package as it is installed."""
    config.site_url, config.repo_url = PROJECT["urls"]["Documentation"], PROJECT["urls"]["Repository"]
    config.repo_name = PROJECT["name"]
    package = ROOT / os.environ.get("DOCUMENTED", "build/documented") / "kerasgan3d"
    shutil.rmtree(package, ignore_errors=True)
    for folder, target in (("kerasgan3d", package), ("zoo", package / "zoo")):
        shutil.copytree(ROOT / folder, target, ignore=shutil.ignore_patterns("presets", "__pycache__"))
    for path in package.rglob("*.py"):  # a section of this name is shown as code
        path.write_text(re.sub(r"^( *)Example:$", r"\1Examples:", path.read_text("utf-8"), flags=re.M), "utf-8")
    # The names that type checkers read there would be aliases of themselves.
    init = (package / "__init__.py").read_text("utf-8")
    (package / "__init__.py").write_text(re.sub(r"if TYPE_CHECKING:\n(    .*\n)+", "", init, count=1), "utf-8")
    return config


def on_files(files, config):
    """Add the pages that are made of other files."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text("utf-8")
        files.append(File.generated(config, page, content=_linked(text, source, page)))
    for path in ROOT.glob("zoo/presets/*/preview.png"):
        files.append(File.generated(config, f"cards/{path.parent.name}/preview.png", abs_src_path=str(path)))
    names = _exported()
    for room in ("kerasgan3d", *ROOMS, "zoo"):
        files.append(File.generated(config, f"api/{room}.md", content=_api_page(room, names)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Let links that lead out of this folder find their place, and notebooks be opened in Colab."""
    uri = page.file.src_uri
    if uri == "notebooks.md":
        colab = PROJECT["urls"]["Repository"].replace("github.com", "colab.research.google.com/github")
        markdown = re.sub(r"\]\((notebooks/[^)]+)\)", rf"](\1) ([Colab]({colab}/blob/main/docs/\1))", markdown)
    return markdown if uri in PAGES.values() or uri.startswith("api/") else _linked(markdown, f"docs/{uri}", uri)


def _linked(text, source, page):
    """Return a text with the links of a file in the repository as those of a page of the site."""

    def link(match):
        target, mark, anchor = match[2].partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if path in PAGES:
            place = PAGES[path]
        elif path.startswith("docs/"):
            place = path.removeprefix("docs/")
        elif path.endswith("preview.png"):
            return match[0]
        else:
            return f"{match[1]}{PROJECT['urls']['Repository']}/blob/main/{path}{mark}{anchor})"
        return f"{match[1]}{posixpath.relpath(place, posixpath.dirname(page) or '.')}{mark}{anchor})"

    return re.sub(r"(\]\()(?![a-z]+:|#)([^)\s]+)\)", link, text)


def _exported():
    """Return the lazy names of the package and where they are defined."""
    text = (ROOT / "kerasgan3d" / "__init__.py").read_text("utf-8").split("_EXPORTS = {")[1].split("}")[0]
    return dict(re.findall(r'"(\w+)": "([\w.]+)"', text))


def _api_page(room, names):
    """Return a page of the reference: the names of the package itself, or all public ones of a room."""
    if room == "kerasgan3d":
        # Those that no other page shows are shown here.
        places = {name: module.replace(".volume", ".io") for name, module in names.items()}
        here = {
            name: place for name, place in places.items() if place.removeprefix("kerasgan3d.") not in (*ROOMS, "zoo")
        }
        rows = "\n".join(f"- [`{name}`][{place}.{name}]" for name, place in places.items())
        shown = "\n\n".join(f"::: {place}.{name}" for name, place in here.items())
        return (
            f"# kerasgan3d\n\nThe names that `import kerasgan3d` has, imported when first used.\n\n{rows}\n\n{shown}\n"
        )
    return f"# kerasgan3d.{room}\n\n::: kerasgan3d.{room}\n    options:\n      show_root_heading: false\n"
