"""Publishing: what a folder must have, what is uploaded, and where the token does not go."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from kerasgan3d import zoo
from kerasgan3d.folder import PRESET_FILES
from kerasgan3d.zoo.card import card_text

SECRET = "hf_Kwrite0123"


@pytest.fixture
def folder(small_preset, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(small_preset, tmp_path / "blocks")


@pytest.fixture
def writer(hub, client):
    client(SECRET)
    return client


def change(folder, **changes):
    path = folder / "kerasgan3d.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")


def on_hub(hub, repo="org/blocks", revision="main"):
    repository = hub.repositories[repo]
    return repository.commits[repository.find(revision)]


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_generator_is_published_in_one_commit(hub, writer, folder):
    before = content(folder)
    published = zoo.publish(folder, "org/blocks")
    files = on_hub(hub)
    assert set(files) == {".gitattributes", *PRESET_FILES}
    assert len(hub.repositories["org/blocks"].commits) == 2  # the first is that of making it
    assert published.commit == hub.repositories["org/blocks"].refs["main"]
    assert published.url == f"{hub.url}/org/blocks"
    assert published.files == {name: len(files[name]) for name in PRESET_FILES}
    for name in set(PRESET_FILES) - {"README.md"}:
        assert files[name] == before[name]
    assert content(folder) == before


def test_the_card_names_the_repository_and_its_front_matter_is_yaml(hub, writer, folder):
    import yaml

    zoo.publish(folder, "org/blocks")
    text = on_hub(hub)["README.md"].decode()
    assert text == card_text(folder, source="org/blocks")
    assert 'load_generator("org/blocks")' in text
    assert "kerasgan3d sample org/blocks --size" in text
    _, front, body = text.split("---\n", 2)
    facts = yaml.safe_load(front)
    assert (facts["library_name"], facts["license"], facts["datasets"]) == ("keras", "mit", ["noise"])
    assert "kerasgan3d" in facts["tags"]
    assert facts["metrics"] == ["volume_fraction"]
    measured = facts["model-index"][0]["results"][0]["metrics"]
    assert [row["value"] for row in measured] == [0.4, 0.6]
    assert "real: 0.5" in measured[0]["name"]
    assert "| volume fraction, pore | 0.5 | 0.4 | -20.0 %" in body
    for said in ("![", "## Training", "What it is not for", "Nobody et al.", "Licence: MIT"):
        assert said in body


def test_front_matter_holds_whatever_is_stated(hub, writer, folder):
    import yaml

    wicked = 'a: "b"\n---\n# c {x} [d](e)'
    change(folder, name=wicked, licence="Lab licence, v2: ask!", licence_tag=None)
    front = yaml.safe_load(card_text(folder, source="org/blocks").split("\n---\n")[0].removeprefix("---\n"))
    assert front["model-index"][0]["name"] == wicked
    assert (front["license"], front["license_name"]) == ("other", "lab-licence-v2-ask")


def test_a_doi_is_a_link(folder):
    change(folder, citation="Doe, J. Noise (2026), doi 10.1149/2.0731814jes.")
    assert "doi [10.1149/2.0731814jes](https://doi.org/10.1149/2.0731814jes)." in card_text(folder)


@pytest.mark.parametrize(
    ("licence", "tag"),
    [("MIT", "mit"), ("CC-BY-4.0", "cc-by-4.0"), ("CC BY 4.0", "cc-by-4.0"), ("Apache-2.0", "apache-2.0")],
)
def test_licences_are_written_as_the_hub_knows_them(licence, tag, folder):
    change(folder, licence=licence)
    assert f"\nlicense: {tag}\n" in card_text(folder)


def test_a_fine_tuned_generator_names_its_base(folder):
    change(folder, training={"fine_tuned_from": {"name": "base", "repo": "org/base"}})
    assert "\nbase_model: org/base\nbase_model_relation: finetune\n" in card_text(folder)


def test_all_that_is_lacking_is_named_at_once(hub, writer, folder):
    change(folder, name="", citation=None, licence=" ", voxel_size=None, fidelity={}, weights=None)
    (folder / "reference.json").unlink()
    with pytest.raises(ValueError, match="cannot be published") as caught:
        zoo.publish(folder, "org/blocks")
    for what in (
        "a name",
        "the citation of the data",
        "a licence",
        "a voxel size",
        "the sha256 of its weights",
        "measured fidelity",
        "statistics of the real data",
    ):
        assert what in str(caught.value)
    assert hub.requests == []


@pytest.mark.parametrize("name", ["config.json", "metadata.json", "model.weights.h5", "kerasgan3d.json"])
def test_files_that_are_lacking_are_named(name, writer, folder):
    (folder / name).unlink()
    (folder / "reference.json").write_text("{}")
    with pytest.raises(ValueError, match=rf"It lacks the file {name}.*statistics of the real data"):
        zoo.publish(folder, "org/blocks")


def test_weights_must_be_those_of_the_facts(hub, writer, folder):
    damaged = bytearray((folder / "model.weights.h5").read_bytes())
    damaged[-1] ^= 1
    (folder / "model.weights.h5").write_bytes(damaged)
    change(folder, licence=None)
    with pytest.raises(
        ValueError, match="a licence .*; a generator that loads: .*model.weights.h5 is not the file that"
    ):
        zoo.publish(folder, "org/blocks")
    assert hub.requests == []


def test_facts_can_be_stated_when_publishing(hub, writer, folder):
    change(folder, citation=None, licence=None)
    before = content(folder)
    about = {"citation": "Doe 2026", "licence": "cc-by-4.0", "description": None, "version": "2.1"}
    zoo.publish(folder, "org/blocks", about=about)
    card = json.loads(on_hub(hub)["kerasgan3d.json"])
    assert (card["citation"], card["licence"], card["description"]) == ("Doe 2026", "cc-by-4.0", "Blocks of noise.")
    assert b"license: cc-by-4.0" in on_hub(hub)["README.md"]
    assert (card["version"], zoo.info("org/blocks")["version"]) == ("2.1", "2.1")
    assert b"- Version: 2.1 (a seed gives other voxels in another)" in on_hub(hub)["README.md"]
    assert content(folder) == before
    with pytest.raises(ValueError, match="`about` must be a dict of texts"):
        zoo.publish(folder, "org/blocks", about={"sha256": "0"})


def test_a_picture_is_drawn_where_there_is_none(hub, writer, folder):
    (folder / "preview.png").unlink()
    zoo.publish(folder, "org/blocks")
    assert on_hub(hub)["preview.png"].startswith(b"\x89PNG\r\n")
    assert not (folder / "preview.png").exists()


def test_nothing_else_in_the_folder_is_uploaded(hub, writer, folder, tmp_path):
    (folder / ".env").write_text("PASSWORD=1")
    (folder / "checkpoint").mkdir()
    (folder / "checkpoint" / "state.h5").write_bytes(b"x")
    (folder / "token").symlink_to("/etc/hostname")
    zoo.publish(folder, "org/blocks")
    assert set(on_hub(hub)) == {".gitattributes", *PRESET_FILES}


@pytest.mark.parametrize("name", ["preview.png", "reference.json", "README.md"])
def test_links_that_lead_out_of_the_folder_are_not_followed(name, hub, writer, folder, tmp_path):
    (tmp_path / "secret").write_text('{"a": "secret"}')
    (folder / name).unlink()
    (folder / name).symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match=f"{name} must be a file of its folder. Received: a symbolic link to"):
        zoo.publish(folder, "org/blocks")
    assert hub.requests == []


def test_a_dry_run_asks_nobody(hub, client, folder):
    published = zoo.publish(folder, "org/blocks", dry_run=True)
    assert set(published.files) == set(PRESET_FILES)
    assert (published.url, published.commit) == (None, None)
    assert hub.requests == []
    change(folder, licence=None)
    with pytest.raises(ValueError, match="It lacks a licence"):
        zoo.publish(folder, "org/blocks", dry_run=True)


def test_branches_are_made_and_published_to(hub, writer, folder):
    zoo.publish(folder, "org/blocks")
    first = hub.repositories["org/blocks"].refs["main"]
    change(folder, description="Better blocks.")
    published = zoo.publish(folder, "org/blocks", revision="v2", message="Better")
    assert hub.repositories["org/blocks"].refs == {"main": first, "v2": published.commit}
    assert published.url == f"{hub.url}/org/blocks/tree/v2"
    assert zoo.info("org/blocks@v2")["description"] == "Better blocks."
    assert zoo.info("org/blocks")["description"] == "Blocks of noise."


def test_publishing_again_is_a_new_commit(hub, writer, folder):
    first = zoo.publish(folder, "org/blocks").commit
    change(folder, description="Better blocks.")
    assert zoo.publish(folder, "org/blocks").commit != first
    assert len(hub.repositories["org/blocks"].commits) == 3


def test_private_is_private(hub, writer, folder):
    zoo.publish(folder, "org/secret", private=True)
    assert hub.repositories["org/secret"].private
    zoo.publish(folder, "org/open")
    with pytest.raises(ValueError, match="org/open is a public repository, and was not changed"):
        zoo.publish(folder, "org/open", private=True)
    assert len(hub.repositories["org/open"].commits) == 2


@pytest.mark.parametrize(
    ("token", "said"), [(None, "no token is set"), ("hf_Kread0123", "the token that is set may not")]
)
def test_without_the_right_to_write(token, said, hub, client, folder):
    if token:
        client(token)
    with pytest.raises(OSError, match=rf"org/blocks cannot be written \(40[13]\): {said}.*Set HF_TOKEN"):
        zoo.publish(folder, "org/blocks")
    assert hub.repositories == {}


@pytest.mark.parametrize("path", ["/api/repos/create", "/preupload/", "/objects/batch", "/lfs/", "/commit/"])
def test_an_upload_that_fails_leaves_the_hub_as_it_was(path, hub, writer, folder, monkeypatch):
    import time

    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    zoo.publish(folder, "org/blocks")
    first = dict(hub.repositories["org/blocks"].refs)
    hub.objects.clear()
    change(folder, description="Better blocks.")
    hub.fault("status", path=path, method="*", status=500)
    with pytest.raises(OSError, match=r"answers with an error \(500\)"):
        zoo.publish(folder, "org/blocks")
    assert hub.repositories["org/blocks"].refs == first
    hub.heal()
    assert zoo.publish(folder, "org/blocks").commit != first["main"]


@pytest.mark.parametrize("repo", ["blocks", "hf://org/blocks", "org/blocks/more", "./blocks", "", None])
def test_a_repository_must_be_named(repo, folder):
    with pytest.raises(ValueError, match="`repo_id` must be org/name. Received"):
        zoo.publish(folder, repo)


def test_what_is_published_lies_here(client, hub):
    with pytest.raises(ValueError, match="`source` must be a folder or the name of a generator that ships"):
        zoo.publish("org/other", "org/blocks")
    with pytest.raises(ValueError, match="there is no generator 'nowhere'"):
        zoo.publish("nowhere", "org/blocks")
    assert hub.requests == []


@pytest.mark.skipif("nmc-cathode" not in zoo.list_presets(), reason="no generators ship")
def test_a_shipped_name_can_be_published(client):
    published = zoo.publish("nmc-cathode", "org/cathode", dry_run=True)
    assert published.files["model.weights.h5"] == (zoo.path("nmc-cathode") / "model.weights.h5").stat().st_size


def test_the_token_is_nowhere(hub, hub_env, folder, small_files, tmp_path):
    """Commands that work and that fail, with --debug too: no output and no file holds the token."""
    hub.add("org/locked", small_files, private=True)
    wrong = "hf_Kwrong9999"
    outputs = []

    def run(*args, token=SECRET, **env):
        result = subprocess.run(
            [sys.executable, "-m", "kerasgan3d.cli", *map(str, args)],
            capture_output=True,
            text=True,
            env={**hub_env, "HF_TOKEN": token, **env},
            cwd=tmp_path,
        )
        outputs.append(result.stdout + result.stderr)
        return result.returncode

    assert run("publish", folder, "org/blocks") == 0
    assert run("pull", "org/locked", "--json") == 0
    assert run("--debug", "pull", "org/none", token=wrong, HF_DEBUG="1") == 1
    assert run("pull", "org/locked@v3") == 2
    hub.fault("status", method="*", status=401, echo=True)
    assert run("--debug", "publish", folder, "org/blocks") == 1
    hub.heal()
    hub.fault("status", method="*", status=403, echo=True)
    assert run("publish", folder, "org/blocks") == 2
    assert run("--debug", "pull", "org/blocks@main") == 1
    hub.heal()
    hub.fault("status", method="*", status=400, echo=True)
    assert run("--debug", "pull", "org/locked") == 1
    assert any("Traceback" in output for output in outputs)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "model.weights.h5" and "hf-home" in str(path) for path in written)
    for text in (*outputs, *(path.read_bytes().decode("latin-1") for path in written)):
        assert SECRET not in text
        assert wrong not in text
    for repository in hub.repositories.values():
        for files in repository.commits.values():
            assert not [name for name, data in files.items() if SECRET.encode() in data]


@pytest.mark.slow
def test_published_deleted_and_loaded_in_other_processes(hub, hub_env, folder, tmp_path):
    """In two lines by name, by Keras itself, and by the Hub's own command: the same volume."""
    sample = "print(hashlib.sha256(g.sample(24, seed=5).labels.tobytes()).hexdigest())"

    def run(load, name, **env):
        result = subprocess.run(
            [sys.executable, "-c", f"import hashlib\n{load}\n{sample}"],
            capture_output=True,
            text=True,
            env={**hub_env, "HF_HOME": str(tmp_path / name), **env},
            cwd=tmp_path,
            check=True,
        )
        return result.stdout.split()[-1]

    here = run(f"from kerasgan3d import load_generator\ng = load_generator({str(folder)!r})", "none")
    publish = [sys.executable, "-m", "kerasgan3d.cli", "publish", str(folder), "org/blocks"]
    subprocess.run(publish, env={**hub_env, "HF_TOKEN": SECRET}, check=True, capture_output=True)
    shutil.rmtree(folder)
    ours = 'from kerasgan3d import load_generator\ng = load_generator("org/blocks")'
    assert run(ours, "ours") == here
    assert run('import keras, kerasgan3d.models\ng = keras.saving.load_model("hf://org/blocks")', "keras") == here
    command = os.path.join(os.path.dirname(sys.executable), "hf")
    local = tmp_path / "local"
    subprocess.run(
        [command, "download", "org/blocks", "--local-dir", local],
        env={**hub_env, "HF_HOME": str(tmp_path / "hf")},
        check=True,
        capture_output=True,
    )
    assert run(f"from kerasgan3d import load_generator\ng = load_generator({str(local)!r})", "none") == here
    hub.__exit__()
    assert run(ours, "ours") == here
    assert run(ours, "ours", HF_HUB_OFFLINE="1") == here
