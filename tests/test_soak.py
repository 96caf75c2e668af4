"""A few seconds of what tests/soak does for as long as one likes; docs/benchmarks.md has the counts of a longer run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).with_name("soak")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_streams_survive_kills_and_damage(tmp_path):
    command = [sys.executable, str(SOAK / "streams.py"), "--seconds", "6", "--json", str(tmp_path / "found.json")]
    result = subprocess.run(command, capture_output=True, text=True)
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    assert (result.returncode, found["lost"]) == (0, 0), result.stderr
    assert found["right"] == found["volumes"] > 0
    assert found["kills"] > 5
