"""The long description of the package: README.md, with links that work on an index."""

import re
import tomllib
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).resolve().parent


def long_description():
    """Return README.md with links to files of the repository as addresses of this version's tag."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text("utf-8"))["project"]
    repository, tag = project["urls"]["Repository"], f"v{project['version']}"
    text = (HERE / "README.md").read_text("utf-8")
    # ![...](file) is shown, [...](file) is opened.
    text = re.sub(r"(!\[[^\]]*\]\()(?![a-z]+:|#)", rf"\g<1>{repository}/raw/{tag}/", text)
    return re.sub(r"((?<!!)\[[^\]]*\]\()(?![a-z]+:|#)", rf"\g<1>{repository}/blob/{tag}/", text)


setup(long_description=long_description(), long_description_content_type="text/markdown")
