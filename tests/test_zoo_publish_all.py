"""All generators that ship, published with one command, and a dataset of their volumes beside them."""

import json
import shutil

import pytest
from click.testing import CliRunner

from kerasgan3d import Volume, io, zoo
from kerasgan3d.cli import main
from kerasgan3d.folder import PRESET_FILES, read_json, write_json
from kerasgan3d.zoo import loading

SECRET = "hf_Kwrite0123"
DATASET = "datasets/org/kerasgan3d-examples"


@pytest.fixture
def shipped(small_preset, tmp_path, monkeypatch):
    """Let two small generators ship: "blocks" and "more", of other licences."""
    folder = tmp_path / "presets"
    for name, licence in (("blocks", "MIT"), ("more", "CC-BY-4.0")):
        shutil.copytree(small_preset, folder / name)
        facts = {**read_json(folder / name / "kerasgan3d.json"), "name": name, "licence": licence, "version": "4"}
        write_json(facts, folder / name / "kerasgan3d.json")
    monkeypatch.setattr(loading, "_SHIPPED", folder)
    return folder


def files_on(hub, name, revision="main"):
    repository = hub.repositories[name]
    return repository.commits[repository.refs[revision]]


def test_all_generators_are_published_with_volumes_that_can_be_made_again(hub, client, shipped, tmp_path):
    import yaml

    client(SECRET)
    published = zoo.publish_all("org", size=16, count=2)
    assert [each.repo for each in published] == ["org/blocks", "org/more", "org/kerasgan3d-examples"]
    assert [each.url for each in published][1:] == [f"{hub.url}/org/more", f"{hub.url}/{DATASET}"]
    for each, name in zip(published, ("org/blocks", "org/more", DATASET), strict=True):
        assert each.commit == hub.repositories[name].refs["main"]
        assert each.files == {k: len(v) for k, v in files_on(hub, name).items() if k != ".gitattributes"}
    assert set(files_on(hub, "org/more")) == {".gitattributes", *PRESET_FILES}

    files = files_on(hub, DATASET)
    for name, content in files.items():
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(content)
    shutil.rmtree(shipped)  # no generator ships any more: the files name their commits
    for name, each in zip(("blocks", "more"), published, strict=False):
        for seed in (0, 1):
            for suffix in (".tif", ".zarr"):
                path = tmp_path / "data" / name / f"seed-{seed}{suffix}"
                volume = Volume.load(path)
                assert (volume.shape, volume.periodic) == ((16, 16, 16), (True, True, True))
                origin = volume.provenance["generator"]
                assert (origin["repo"], origin["revision"], origin["version"]) == (f"org/{name}", each.commit, "4")
        assert zoo.reproduce(path).same
        assert f"| `{name}/seed-1` | org/{name} | 4 | 1 | 16 x 16 x 16 | 0.5 µm |" in files["README.md"].decode()
        assert io.checksum(volume.labels) in files["README.md"].decode()
    front = yaml.safe_load(files["README.md"].decode().split("---\n")[1])
    assert (front["license"], front["license_link"]) == ("other", "LICENSE.md")
    assert 'load_generator("org/blocks")' in files["README.md"].decode()
    licences = files["LICENSE.md"].decode()
    assert "## more\n\nBlocks of noise.\n\nLicence: CC-BY-4.0.\n\nPlease cite: Nobody et al." in licences


def test_branches_private_repositories_and_one_licence(hub, client, shipped):
    client(SECRET)
    shutil.rmtree(shipped / "more")
    zoo.publish_all("org", private=True, revision="v2", examples="volumes", size=8)
    assert [(name, each.private) for name, each in hub.repositories.items()] == [
        ("org/blocks", True),
        ("datasets/org/volumes", True),
    ]
    text = files_on(hub, "datasets/org/volumes", "v2")["README.md"].decode()
    assert text.startswith("---\nlicense: mit\npretty_name: ")
    hub.repositories["datasets/org/volumes"].private = False
    with pytest.raises(ValueError, match="org/volumes is a public repository, and was not changed"):
        zoo.publish_all("org", private=True, examples="volumes", size=8)
    assert zoo.search() != []
    assert all(row["name"] == "org/blocks" for row in zoo.search())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"owner": "org/name"}, "`owner` must be a name on the Hub, without a slash. Received: 'org/name'."),
        ({"owner": None}, "`owner` must be a name on the Hub, without a slash. Received: None."),
        ({"examples": "a/b"}, "`examples` must be a name on the Hub, without a slash. Received: 'a/b'."),
        ({"revision": "../x"}, "`revision` must be a branch, a tag or a commit"),
        ({"size": 9}, "`size` must be a multiple of 4 along periodic axes"),
        ({"count": 0}, "`count` must be"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_before_anything_is_uploaded(hub, client, shipped, options, message):
    client(SECRET)
    with pytest.raises(ValueError, match=message):
        zoo.publish_all(**{"owner": "org", **options})
    assert hub.requests == []


def test_a_generator_that_lacks_something_keeps_all_back(hub, client, shipped):
    client(SECRET)
    (shipped / "more" / "reference.json").unlink()
    with pytest.raises(ValueError, match="more cannot be published. It lacks statistics of the real data"):
        zoo.publish_all("org", size=8)
    assert hub.requests == []


def test_the_command_prints_what_it_would_publish(hub, client, shipped):
    def run(*args):
        return CliRunner().invoke(main, ["publish-all", "org", "--dry-run", *args], catch_exceptions=False)

    lines = [line.split() for line in run("--size", "8").stdout.splitlines()]
    assert lines[0] == ["WOULD", "PUBLISH", "COMMIT", "FILES", "SIZE"]
    assert [line[0] for line in lines[1:]] == ["org/blocks", "org/more", "org/kerasgan3d-examples"]
    told = json.loads(run("--no-examples", "--json").stdout)
    assert [each["repo"] for each in told] == ["org/blocks", "org/more"]
    assert told[0]["bytes"] == sum(told[0]["files"].values())
    assert hub.requests == []
