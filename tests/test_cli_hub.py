"""Commands and generators on the Hub, by the real client and a small Hub."""

import io
import json

import pytest
from click.testing import CliRunner

from kerasgan3d import Volume, zoo
from kerasgan3d.cli import hub as cli_hub
from kerasgan3d.cli import main


def run(*args):
    return CliRunner().invoke(main, [str(arg) for arg in args], catch_exceptions=False)


@pytest.fixture
def commit(hub, client, small_files):
    return hub.add("org/blocks", small_files)


def test_pull_shows_facts_and_sizes_and_where_it_lies(hub, client, commit):
    result = run("pull", "org/blocks")
    assert result.exit_code == 0
    for told in (f"pulling org/blocks, commit {commit[:12]}", "pore, grain", "0.5 µm", "MIT", "Nobody et al.", "kB"):
        assert told in result.stderr
    for told in (commit, "fetched", str(client.home / "hub"), "kerasgan3d sample org/blocks --size"):
        assert told in result.stdout
    again = run("pull", f"hf://org/blocks@{commit}")
    assert again.stderr == ""
    assert "all of it in the cache before" in again.stdout


def test_pull_prints_json(hub, client, commit):
    told = json.loads(run("pull", "org/blocks", "--json").stdout)
    assert (told["repo"], told["revision"], told["commit"], told["name"]) == ("org/blocks", "main", commit, "blocks")
    assert told["fetched"] == told["bytes"] == sum(told["files"].values())
    assert json.loads(run("pull", "org/blocks", "--revision", commit, "--json").stdout)["fetched"] == 0


def test_a_bar_is_drawn_on_terminals_alone(hub, client, commit, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    drawn = []
    progress_bar = cli_hub.progress_bar
    monkeypatch.setattr(
        cli_hub, "progress_bar", lambda text, stream: drawn.append(text) or progress_bar(text, Terminal())
    )
    result = run("pull", "org/blocks")
    assert drawn == ["pulling"]
    assert "━" not in result.output


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("pull", "blocks"), "`name` must be org/name, or that and @revision. Received: 'blocks'."),
        (("pull", "org/none"), "there is no org/none on the Hub, or it is private and needs a token (401)"),
        (("pull", "org/blocks@v9"), "org/blocks has no revision 'v9' on the Hub."),
        (("info", "org/none"), "there is no generator 'org/none'."),
        (("sample", "org/none", "--size", "8", "-o", "a.tif"), "org/none is not here, and there is no org/none on"),
        (("publish", "nowhere", "org/blocks"), "there is no generator 'nowhere'."),
        (("list", "--search", "x"), "--search is for --hub."),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_code_2(args, message, hub, client, commit):
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"kerasgan3d: {message.rstrip('.')}")
    assert result.stderr.count("\n") == 1


def test_sample_takes_a_name_on_the_hub(hub, client, commit, tmp_path):
    output = tmp_path / "a.tif"
    result = run("sample", "org/blocks", "--size", 16, "--seed", 3, "-o", output)
    assert result.exit_code == 0
    assert f"pulling org/blocks, commit {commit[:12]}" in result.stderr
    origin = Volume.load(output).provenance["generator"]
    assert (origin["repo"], origin["revision"]) == ("org/blocks", commit)
    assert len([path for method, path, *_ in hub.requests if path == "/api/models/org/blocks"]) == 1


def test_sample_without_a_network_says_that_it_takes_the_cache(hub, client, commit, tmp_path):
    run("pull", "org/blocks")
    hub.__exit__()
    result = run("sample", "org/blocks", "--size", 16, "-o", tmp_path / "a.tif")
    assert result.exit_code == 0
    assert "cannot be reached" in result.stderr
    assert f"Taking org/blocks from the cache, commit {commit[:12]}" in result.stderr
    assert result.stderr.count("\n") == 1


def test_info_of_one_on_the_hub_fetches_no_weights(hub, client, commit):
    result = run("info", "org/blocks")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    for line in ("repository org/blocks", f"commit {commit}", "phases pore, grain", "licence MIT"):
        assert line in lines
    assert not [path for _, path, *_ in hub.requests if path.endswith(".h5")]
    assert json.loads(run("info", "org/blocks", "--json").stdout)["revision"] == commit


def test_what_a_stranger_writes_does_not_command_the_terminal(hub, client, small_files):
    card = json.loads(small_files["kerasgan3d.json"])
    card |= {"description": "\x1b]0;owned\x07 \x1b[2Jfine", "citation": "a\u202eb"}
    hub.add("org/rude", {**small_files, "kerasgan3d.json": json.dumps(card).encode()})
    for args in (("pull", "org/rude"), ("info", "org/rude")):
        output = run(*args).output
        assert "fine" in output
        assert not set(output) & {"\x1b", "\x07", "\u202e"}


def test_list_finds_those_on_the_hub(hub, client, small_files):
    hub.add("org/blocks", {**small_files, "README.md": b"---\nlicense: mit\ntags:\n- kerasgan3d\n---\n"})
    assert run("list", "--hub").stdout.splitlines()[1].split() == ["org/blocks", "2026-01-02", "7", "mit"]
    assert json.loads(run("list", "--hub", "--json").stdout)[0]["name"] == "org/blocks"
    assert run("list", "--hub", "--search", "cathode").stdout == "No generators were found on the Hub.\n"


def test_publish_prints_address_and_commit(hub, client, small_preset):
    client("hf_Kwrite0123")
    result = run("publish", small_preset, "org/blocks", "--private", "--licence", "cc0-1.0")
    assert result.exit_code == 0
    commit = hub.repositories["org/blocks"].refs["main"]
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert f"published {hub.url}/org/blocks" in lines
    assert f"commit {commit}" in lines
    assert zoo.info("org/blocks")["licence"] == "cc0-1.0"
    told = json.loads(run("publish", small_preset, "org/blocks", "--revision", "v2", "--json").stdout)
    assert told["commit"] == hub.repositories["org/blocks"].refs["v2"]


def test_publish_tells_what_it_would_do(hub, client, small_preset):
    result = run("publish", small_preset, "org/blocks", "--dry-run")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == "would publish org/blocks"
    assert any(line.startswith("model.weights.h5 ") for line in lines)
    assert hub.requests == []


def test_compare_takes_a_name_on_the_hub(hub, client, commit, tmp_path):
    args = ("--no-transport", "--no-classifier", "--nearest", 0, "--periodic", 0, "-n", 2, "--size", 16, "--workers", 1)
    volume = tmp_path / "real.tif"
    run("sample", "org/blocks", "--size", 40, "-o", volume)
    result = run("compare", volume, "org/blocks", *args, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["samples"]["generated"] == 2


def test_finetune_takes_a_name_on_the_hub(hub, client, commit, tmp_path):
    run("sample", "org/blocks", "--size", 70, "-o", tmp_path / "real.tif")
    result = run("finetune", "org/blocks", tmp_path / "real.tif", "-o", tmp_path / "run", "--size", 32, "--dry-run")
    assert result.exit_code == 0
    assert "blocks" in result.stdout
