"""What type checkers make of the package: nothing to say of what a user writes, a word on every mistake."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent / "typing"
PYRIGHT = shutil.which("pyright") or shutil.which("pyright", path=Path(sys.executable).parent)
ROOT = HERE.parent.parent
pytestmark = [
    pytest.mark.skipif(PYRIGHT is None, reason="pyright is not installed: pip install '.[dev]'"),
    pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="the tests were taken out of the repository"),
]


@pytest.fixture(scope="module")
def found():
    """What pyright reports of the scripts: (name of the file, line, message), as a user's editor would show it."""
    result = subprocess.run(
        [PYRIGHT, "--outputjson", "--pythonpath", sys.executable, *map(str, sorted(HERE.glob("*.py")))],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    reports = json.loads(result.stdout)["generalDiagnostics"]
    return [(Path(r["file"]).name, r["range"]["start"]["line"] + 1, r["message"]) for r in reports]


def test_what_a_user_writes_is_clean(found):
    assert [report for report in found if report[0] == "user_script.py"] == []


def test_mistakes_are_reported_each_on_its_line(found):
    lines = (HERE / "mistakes.py").read_text("utf-8").splitlines()
    expected = {n: m[1] for n, line in enumerate(lines, 1) if (m := re.search("# mistake: (.*)", line))}
    reported = {line: message for name, line, message in found if name == "mistakes.py"}
    assert expected
    assert reported.keys() == expected.keys()
    assert [line for line in expected if expected[line] not in reported[line]] == []
