"""What a release consists of: metadata, files beside the code, and one place that says where the repository is."""

import json
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

import kerasgan3d

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").is_file(), reason="the tests were taken out of the repository"
)
PROJECT = {}
if (ROOT / "pyproject.toml").is_file():
    PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def text(name):
    return (ROOT / name).read_text("utf-8")


def test_one_version_everywhere():
    version = kerasgan3d.__version__
    assert PROJECT["version"] == version
    assert re.search(r"^version: (.*)$", text("CITATION.cff"), re.M)[1] == version
    assert re.search(r"^  version: (.*)$", text("packaging/conda/recipe.yaml"), re.M)[1] == version
    assert f"\n## {version} " in text("CHANGELOG.md")


def test_pythons_are_those_that_are_tested():
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["requires-python"]).groups()
    wanted = [f"3.{minor}" for minor in range(int(low), int(high))]
    said = [line.rsplit(" ", 1)[1] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert said == wanted
    assert f"python: {json.dumps(wanted)}" in text(".github/workflows/tests.yml")


def test_the_conda_recipe_has_the_same_requirements():
    renamed = {"dask": "dask-core", "matplotlib": "matplotlib-base"}
    listed = re.findall(r"^    - ([\w-]+) (>=.*)$", text("packaging/conda/recipe.yaml").split("  run:")[1], re.M)
    wanted = [re.fullmatch(r"([\w-]+)(>=.*)", line).groups() for line in PROJECT["dependencies"]]
    assert dict(listed[1:]) == {renamed.get(name, name): bound for name, bound in wanted}


@pytest.mark.parametrize(
    "extra", ["codecs", "mesh", "view", "video", "app", "torch", "gpu", "docs", "notebooks", "test", "dev"]
)
def test_extras(extra):
    assert PROJECT["optional-dependencies"][extra]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Metadata and files of an sdist, made as a build does but for its isolation."""
    pytest.importorskip("setuptools", "77")
    folder = tmp_path_factory.mktemp("sdist")
    script = f"import setuptools.build_meta as b; print(b.build_sdist({str(folder)!r}))"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        (info,) = [name for name in archive.getnames() if re.fullmatch(r"[^/]*/PKG-INFO", name)]
        return archive.extractfile(info).read().decode(), names


def test_links_of_the_long_description_are_absolute(built):
    links = re.findall(r"\]\(([^)]+)\)", built[0])
    address, tag = PROJECT["urls"]["Repository"], f"v{PROJECT['version']}"
    ours = [link for link in links if link.startswith(address)]
    assert len(ours) > 10
    assert f"{address}/raw/{tag}/docs/images/nmc-cathode.png" in ours
    for link in links:
        assert re.match(r"https?://", link), link
    for link in ours:
        assert (ROOT / re.sub(rf"^{re.escape(address)}/(raw|blob)/{tag}/", "", link)).exists(), link


@pytest.mark.parametrize(
    "name",
    ["tests/conftest.py", "tests/hub.py", "tests/golden", "tests/test_release.py", "docs/measures.csv", "CITATION.cff"]
    + ["zoo/presets/nmc-cathode/model.weights.h5", "zoo/card.md", "typings/kerasgan3d/zoo/card.py", "setup.py"]
    + [".github/workflows/tests.yml", "packaging/conda/recipe.yaml", "README.md", "CHANGELOG.md", "LICENSE"],
)
def test_the_sdist_has_what_tests_need(built, name):
    assert name in built[1]


def test_the_address_stands_in_one_place():
    """A maintainer changes `[project.urls]`, and nothing else."""
    owner = re.match(r"https://github\.com/([^/]+)/", PROJECT["urls"]["Repository"])[1]
    assert all(f"/{owner}" in url or f"//{owner}" in url for url in PROJECT["urls"].values())
    folders = ("docs", "zoo", "cli", "kerasgan3d", "packaging", ".github")
    kinds = (".md", ".py", ".yml", ".yaml", ".ipynb", ".html", ".js", ".json")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in kinds]
    found += [
        ROOT / name for name in ("README.md", "CITATION.cff", "SECURITY.md", "Dockerfile", "mkdocs.yml", "setup.py")
    ]
    said = [path for path in found if re.search(rf"github\.com/{owner}\b|{owner}\.github\.io", path.read_text("utf-8"))]
    assert said == []
