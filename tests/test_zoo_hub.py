"""Pulling from the Hub: the right files, whatever goes wrong on the way."""

import hashlib
import json
import threading

import numpy as np
import pytest

import kerasgan3d
from kerasgan3d import zoo
from kerasgan3d.zoo.hub_address import Address, parse

NAMES = {
    "README.md",
    "config.json",
    "kerasgan3d.json",
    "metadata.json",
    "model.weights.h5",
    "preview.png",
    "reference.json",
}
WEIGHTS = "model.weights.h5"


@pytest.fixture
def commit(hub, client, small_files):
    """The commit of org/blocks, which is on the hub with much else beside it."""
    stray = {"evil.pkl": b"\x80\x04.", "notes.txt": b"mine", "assets/a.bin": b"a", "tf_model.h5": b"\x89HDF"}
    return hub.add("org/blocks", {**small_files, **stray})


def whole(snapshot, files):
    return {path.name: path.read_bytes() for path in snapshot.folder.iterdir()} == {name: files[name] for name in NAMES}


def fetched(hub, name=""):
    return [path for method, path, *_ in hub.requests if method == "GET" and "/resolve/" in path and name in path]


def nothing_left(client):
    """Whether the cache holds no part of a file, and no link that leads nowhere."""
    paths = list((client.home / "hub").rglob("*"))
    return not [path for path in paths if "incomplete" in path.name or path.suffix == ".tmp" or not path.exists()]


@pytest.mark.parametrize(
    ("name", "repo", "revision"),
    [
        ("org/name", "org/name", None),
        ("hf://org/name", "org/name", None),
        ("org/name@v1", "org/name", "v1"),
        ("hf://Org-1/na_me.v2@refs/pr/3", "Org-1/na_me.v2", "refs/pr/3"),
    ],
)
def test_names_on_the_hub(name, repo, revision):
    assert parse(name) == Address(repo, revision)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "name",
            "./org/name",
            "/org/name",
            "a/b/c",
            "../name",
            "org/",
            "org/..",
            "org/na me",
            "org--a/b",
            "",
            None,
            3,
        ),
        *("data/scan.tif", "data/stack.zarr", "org/name.git", "~/name", "C:\\runs\\best", "org/name\n"),
    ],
)
def test_other_names_are_none(name):
    assert parse(name) is None


@pytest.mark.parametrize("name", ["hf://", "hf://name", "hf://org/name/more", "hf://../x", "hf://org/na me"])
def test_an_address_must_be_one(name):
    with pytest.raises(ValueError, match="an address on the Hub must be hf://org/name"):
        zoo.path(name)


@pytest.mark.parametrize("revision", ["", "../main", "a/../b", "/main", "-x", "a//b", "x.lock", "a b", "a\nb", "a/"])
def test_a_revision_must_be_one(revision):
    with pytest.raises(ValueError, match="`revision` must be a branch, a tag or a commit"):
        zoo.pull("org/name", revision)


def test_two_revisions_are_one_too_many():
    with pytest.raises(ValueError, match="`revision` must be None where the name has one"):
        zoo.pull("org/name@v1", "v2")


def test_a_pulled_generator_is_the_one_that_was_published(hub, client, commit, small_preset):
    generator = kerasgan3d.load_generator("org/blocks")
    volume = generator.sample(16, seed=4)
    np.testing.assert_array_equal(volume.labels, kerasgan3d.load_generator(small_preset).sample(16, seed=4).labels)
    assert volume.provenance["generator"] == {
        "name": "blocks",
        "sha256": generator.card["weights"]["sha256"],
        "repo": "org/blocks",
        "revision": commit,
    }
    assert kerasgan3d.load_generator("hf://org/blocks").card == generator.card


def test_a_folder_cannot_claim_to_be_from_the_hub(small_files, tmp_path):
    folder = tmp_path / "claims"
    folder.mkdir()
    for name, content in small_files.items():
        (folder / name).write_bytes(content)
    card = json.loads(small_files["kerasgan3d.json"])
    (folder / "kerasgan3d.json").write_text(json.dumps({**card, "repo": "nasa/moon", "revision": "a" * 40}))
    assert set(kerasgan3d.load_generator(folder).sample(8, seed=0).provenance["generator"]) == {"name", "sha256"}
    assert "repo" not in zoo.info(folder)


def test_named_files_only_are_fetched(hub, client, commit, small_files):
    snapshot = zoo.pull("org/blocks")
    assert whole(snapshot, small_files)
    assert {path.rsplit("/", 1)[1] for path in fetched(hub)} == NAMES
    assert snapshot.fetched == sum(snapshot.files.values()) == sum(len(small_files[name]) for name in NAMES)
    assert (snapshot.commit, snapshot.revision, snapshot.origin["revision"]) == (commit, "main", commit)
    assert (snapshot.folder / WEIGHTS).resolve().name == hashlib.sha256(small_files[WEIGHTS]).hexdigest()
    assert nothing_left(client)


def test_the_cache_is_the_hub_s_own(hub, client, commit):
    from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download

    snapshot = zoo.pull("org/blocks")
    here = str(client.home / "hub")
    assert hf_hub_download("org/blocks", WEIGHTS, cache_dir=here, local_files_only=True) == str(
        snapshot.folder / WEIGHTS
    )
    assert snapshot_download("org/blocks", cache_dir=here, local_files_only=True) == str(snapshot.folder)
    found = scan_cache_dir(here)
    assert (len(found.repos), len(found.warnings)) == (1, 0)


def test_what_other_tools_brought_into_the_cache_is_used(hub, client, commit):
    from huggingface_hub import snapshot_download

    folder = snapshot_download("org/blocks", cache_dir=str(client.home / "hub"))
    hub.requests.clear()
    assert zoo.pull("org/blocks").fetched == 0
    assert fetched(hub) == []
    assert kerasgan3d.load_generator(folder).card["repo"] == "org/blocks"
    assert kerasgan3d.load_generator(folder).card["revision"] == commit


def test_nothing_is_fetched_twice(hub, client, commit):
    first = zoo.pull("org/blocks")
    hub.requests.clear()
    assert zoo.pull("org/blocks").fetched == 0
    assert fetched(hub) == []
    hub.requests.clear()
    assert zoo.pull(first.name).folder == first.folder
    assert hub.requests == []


def test_facts_come_without_weights(hub, client, commit):
    facts = zoo.info("org/blocks")
    assert (facts["name"], facts["repo"], facts["revision"]) == ("blocks", "org/blocks", commit)
    assert fetched(hub, WEIGHTS) == []
    assert zoo.pull("org/blocks").fetched > 0


def test_facts_and_sizes_are_told_before_the_weights_are_fetched(hub, client, commit, small_files):
    told = []

    def announce(facts, snapshot):
        told.append((facts["phases"], snapshot.files[WEIGHTS], snapshot.commit, fetched(hub, WEIGHTS)))

    done = []
    zoo.pull("org/blocks", announce=announce, progress=lambda *numbers: done.append(numbers))
    assert told == [(["pore", "grain"], len(small_files[WEIGHTS]), commit, [])]
    total = sum(len(small_files[name]) for name in NAMES)
    assert done[-1] == (total, total)
    assert [n for n, _ in done] == sorted(n for n, _ in done)


def test_revisions(hub, client, commit, small_files):
    other = hub.add("org/blocks", {"README.md": b"another card"}, branch="v2")
    hub.repositories["org/blocks"].refs["v1.0"] = commit
    assert zoo.pull("org/blocks@v2").commit == other
    assert zoo.pull("org/blocks", "v1.0").commit == commit
    assert zoo.pull(f"org/blocks@{commit}").commit == commit
    assert zoo.info("org/blocks", revision="v2")["revision"] == other
    assert (zoo.path("org/blocks@v2") / "README.md").read_bytes() == b"another card"
    assert (zoo.path("org/blocks") / "README.md").read_bytes() == small_files["README.md"]


def test_a_branch_that_moved_is_followed_and_a_commit_is_not(hub, client, commit):
    assert zoo.pull("org/blocks").commit == commit
    newer = hub.add("org/blocks", {"README.md": b"newer"})
    assert zoo.pull("org/blocks").commit == newer
    assert zoo.pull("org/blocks", commit).commit == commit


def test_what_ships_and_what_lies_here_wins(hub, client, commit, small_preset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "blocks").symlink_to(small_preset)
    assert str(zoo.path("org/blocks")) == "org/blocks"
    assert zoo.path("nmc-cathode").name == "nmc-cathode"
    assert hub.requests == []
    assert zoo.path("hf://org/blocks").name == commit


def test_private_repositories_need_a_token(hub, client, small_files):
    hub.add("org/secret", small_files, private=True)
    with pytest.raises(ValueError, match="there is no org/secret on the Hub, or it is private and needs a token"):
        zoo.pull("org/secret")
    client("hf_Kread0123")
    assert whole(zoo.pull("org/secret"), small_files)
    client("hf_Kwrong")
    with pytest.raises(OSError, match="there is no org/secret on the Hub, or it is private"):
        zoo.pull("org/secret")


def test_what_is_not_there(hub, client, commit):
    with pytest.raises(ValueError, match=r"there is no generator 'org/none'.*nmc-cathode.*there is no org/none on the"):
        zoo.load_generator("org/none")
    with pytest.raises(ValueError, match="org/blocks has no revision 'v9' on the Hub"):
        zoo.pull("org/blocks@v9")
    hub.add("org/text", {"README.md": b"a text"})
    with pytest.raises(ValueError, match=r"org/text must hold a generator of kerasgan3d. It has no config.json and no"):
        zoo.pull("org/text")


FAULTS = {
    "cut in the middle, once": {"kind": "cut", "after": 9_000, "times": 1},
    "cut in the middle, again and again": {"kind": "cut", "after": 9_000},
    "500 once": {"kind": "status", "status": 500, "times": 1},
    "503 twice": {"kind": "status", "status": 503, "times": 2},
    "too many requests": {"kind": "status", "status": 429, "times": 1},
    "slow": {"kind": "slow", "seconds": 0.2},
    "too slow once": {"kind": "slow", "seconds": 2.0, "times": 1},
    "wrong length, once": {"kind": "length", "extra": 100, "times": 1},
    "one byte wrong, once": {"kind": "corrupt", "times": 1},
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("path", [WEIGHTS, "config.json"])
def test_the_right_file_comes_in_spite_of(name, path, hub, client, commit, small_files, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.8)
    hub.fault(path=f"/resolve/{commit}/{path}", **FAULTS[name])
    assert whole(zoo.pull("org/blocks"), small_files)
    assert nothing_left(client)


LASTING = {
    "500": ({"kind": "status", "status": 500}, r"answers with an error \(500\)"),
    "forbidden": ({"kind": "status", "status": 403}, "may not read org/blocks"),
    "too slow": ({"kind": "slow", "seconds": 1.0}, r"cannot be reached, or broke off \(ReadTimeout\)"),
    "longer than listed": ({"kind": "longer"}, "is longer than the|broke off"),
    "one byte wrong": ({"kind": "corrupt"}, "arrived damaged, twice: its (sha256|hash) is not"),
    "cut at once": ({"kind": "cut", "after": 0}, "broke off"),
    "vanished": (
        {"kind": "status", "status": 404, "headers": {"X-Error-Code": "EntryNotFound"}},
        "there is no org/blocks on the Hub",
    ),
}


@pytest.mark.parametrize("name", LASTING)
@pytest.mark.parametrize("path", [WEIGHTS, "kerasgan3d.json"])
def test_one_message_and_no_broken_cache(name, path, hub, client, commit, small_files, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.4)
    fault, message = LASTING[name]
    hub.fault(path=f"/resolve/{commit}/{path}", **fault)
    with pytest.raises(OSError, match=message) as caught:
        zoo.pull("org/blocks")
    assert "\n" not in str(caught.value)
    with pytest.raises(OSError, match=message):
        zoo.load_generator("org/blocks")
    hub.heal()
    assert whole(zoo.pull("org/blocks"), small_files)
    assert nothing_left(client)


@pytest.mark.parametrize("path", ["/api/models/org/blocks", "/tree/"])
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"kind": "status", "status": 502}, r"answers with an error \(502\)"),
        ({"kind": "html"}, "is not the Hub: it sends no JSON|is not valid JSON"),
    ],
    ids=["502", "a captive portal"],
)
def test_listings_that_do_not_come(path, fault, message, hub, client, commit, small_files):
    hub.fault(path=path, **fault)
    with pytest.raises(OSError, match=message):
        zoo.pull("org/blocks")
    hub.heal()
    known = zoo.pull("org/blocks")
    hub.fault(path=path, **fault)
    with pytest.warns(UserWarning, match="Taking org/blocks from the cache, commit"):
        assert zoo.pull("org/blocks").folder == known.folder


def test_a_download_goes_on_where_an_earlier_call_broke_off(hub, client, commit, small_files):
    hub.fault("cut", path=WEIGHTS, after=10_000, times=1)
    hub.fault("status", path=WEIGHTS, status=500)
    with pytest.raises(OSError, match="500"):
        zoo.pull("org/blocks")
    hub.heal()
    hub.requests.clear()
    assert whole(zoo.pull("org/blocks"), small_files)
    assert [ranges for _, path, _, ranges in hub.requests if path.endswith(WEIGHTS)] == ["bytes=10000-"]
    assert len(fetched(hub)) == 1
    assert nothing_left(client)


def test_servers_without_ranges_send_all_of_it(hub, client, commit, small_files):
    hub.fault("cut", path=WEIGHTS, after=10_000, times=1)
    hub.fault("no range", path=WEIGHTS)
    assert whole(zoo.pull("org/blocks"), small_files)


@pytest.mark.parametrize("content", [b"x" * 500, b"y" * 10**6], ids=["other bytes", "more bytes"])
def test_a_broken_off_part_of_another_file_does_no_harm(content, hub, client, commit, small_files):
    zoo.info("org/blocks")
    digest = hashlib.sha256(small_files[WEIGHTS]).hexdigest()
    blobs = client.home / "hub" / "models--org--blocks" / "blobs"
    (blobs / f"{digest}.kerasgan3d.incomplete").write_bytes(content)
    assert whole(zoo.pull("org/blocks"), small_files)
    assert nothing_left(client)


@pytest.mark.parametrize("name", [WEIGHTS, "config.json"])
def test_a_file_that_was_damaged_in_the_cache_is_fetched_again(name, hub, client, commit, small_files):
    snapshot = zoo.pull("org/blocks")
    blob = (snapshot.folder / name).resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    assert whole(zoo.pull("org/blocks", commit), small_files)
    blob.write_bytes(b"")
    assert whole(zoo.pull("org/blocks"), small_files)


def offline(monkeypatch, hub, how):
    from huggingface_hub import constants

    if how == "set":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    else:
        hub.__exit__()


@pytest.mark.parametrize("how", ["set", "down"])
def test_without_a_network_the_cache_serves(how, hub, client, commit, small_files, monkeypatch, recwarn):
    zoo.pull("org/blocks")
    offline(monkeypatch, hub, how)
    snapshot = zoo.pull("org/blocks")
    assert whole(snapshot, small_files)
    assert snapshot.commit == commit
    assert kerasgan3d.load_generator("org/blocks").card["revision"] == commit
    notices = [str(warning.message) for warning in recwarn if issubclass(warning.category, UserWarning)]
    assert all("cannot be reached" in notice for notice in notices)
    assert len(notices) == (0 if how == "set" else 2)


@pytest.mark.parametrize("how", ["set", "down"])
def test_without_a_network_and_a_whole_copy_it_is_said_what_is_missing(how, hub, client, commit, monkeypatch):
    zoo.info("org/blocks")
    offline(monkeypatch, hub, how)
    with pytest.raises(OSError, match="The copy in the cache lacks model.weights.h5"):
        zoo.pull("org/blocks")
    with pytest.raises(OSError, match="The cache has no copy of org/other"):
        zoo.pull("org/other")
    with pytest.raises(OSError, match="The cache has no copy of org/blocks at v7"):
        zoo.pull("org/blocks@v7")


def test_without_a_network_facts_come_from_the_cache(hub, client, commit, monkeypatch):
    zoo.info("org/blocks")
    offline(monkeypatch, hub, "set")
    assert zoo.info("org/blocks")["revision"] == commit


def test_a_branch_that_vanished_is_said_to_have(hub, client, commit):
    hub.add("org/blocks", {"README.md": b"x"}, branch="v2")
    gone = zoo.pull("org/blocks@v2").commit
    del hub.repositories["org/blocks"].refs["v2"]
    with pytest.raises(ValueError, match="org/blocks has no revision 'v2'"):
        zoo.pull("org/blocks@v2")
    assert zoo.pull("org/blocks", gone).commit == gone


@pytest.mark.parametrize(
    ("name", "size"),
    [(WEIGHTS, 2**30 + 1), ("config.json", 2**22 + 1), ("README.md", 2**20 + 1), ("preview.png", 2**40)],
)
def test_sizes_are_looked_at_before_anything_is_fetched(name, size, hub, client, commit):
    hub.listed["org/blocks", name] = {"size": size, "lfs": None}
    with pytest.raises(ValueError, match=f"{name} of org/blocks must hold at most .* Received: {size}"):
        zoo.pull("org/blocks")
    assert fetched(hub) == []


@pytest.mark.parametrize("size", [-1, None, "9", 1e9, True], ids=repr)
def test_sizes_must_be_sizes(size, hub, client, commit):
    hub.listed["org/blocks", WEIGHTS] = {"size": size, "lfs": None}
    with pytest.raises(OSError, match=r"must list a size for model.weights.h5"):
        zoo.pull("org/blocks")


def test_weights_that_the_facts_do_not_name_are_not_fetched(hub, client, small_files):
    card = json.loads(small_files["kerasgan3d.json"])
    card["weights"]["sha256"] = "0" * 64
    hub.add("org/swapped", {**small_files, "kerasgan3d.json": json.dumps(card).encode()})
    with pytest.raises(ValueError, match="is not the file that .*kerasgan3d.json names: its sha256 is"):
        zoo.pull("org/swapped")
    assert fetched(hub, WEIGHTS) == []


def test_a_hostile_listing_names_no_file_that_is_fetched(hub, client, commit, small_files, tmp_path):
    for path in ("../../../evil", "/etc/passwd", "..\\evil", "config.json/../../x", "a/model.weights.h5", "x\0y"):
        hub.listed.setdefault("org/blocks", []).append({"type": "file", "path": path, "oid": "1" * 40, "size": 5})
    hub.listed["org/blocks"] += [7, None, {}, {"type": "file"}, {"type": "directory", "path": "config.json"}]
    before = {path for path in tmp_path.rglob("*") if client.home not in path.parents}
    assert whole(zoo.pull("org/blocks"), small_files)
    assert {path for path in tmp_path.rglob("*") if client.home not in path.parents} - before <= {client.home}


@pytest.mark.parametrize("digest", ["../../../../evil", "A" * 40, "", None, 5, "0" * 41, "a/b"], ids=repr)
def test_a_hash_that_is_none_names_no_file(digest, hub, client, commit, small_files, tmp_path):
    hub.listed["org/blocks", "config.json"] = {"oid": digest}
    assert whole(zoo.pull("org/blocks"), small_files)
    assert not (tmp_path / "evil").exists()
    assert all(path.is_relative_to(client.home) for path in tmp_path.rglob("*"))


def test_a_commit_must_be_one(hub, client, commit):
    repository = hub.repositories["org/blocks"]
    repository.commits["../../../x"] = repository.commits[commit]
    repository.refs["main"] = "../../../x"
    with pytest.raises(OSError, match="must name org/blocks a commit"):
        zoo.pull("org/blocks")


def test_the_token_goes_to_the_hub_and_nowhere_else(hub, client, small_files):
    hub.add("org/secret", small_files, private=True)
    client("hf_Kread0123")
    with type(hub)() as elsewhere:
        elsewhere.add("org/secret", small_files)
        elsewhere.repositories["org/secret"].refs.update(hub.repositories["org/secret"].refs)
        elsewhere.repositories["org/secret"].commits.update(hub.repositories["org/secret"].commits)
        hub.fault("redirect", path=WEIGHTS, to=elsewhere.url)
        assert whole(zoo.pull("org/secret"), small_files)
        assert [authorized for *_, authorized, _ in elsewhere.requests] == [False]
    assert all(authorized for *_, authorized, _ in hub.requests)


def test_two_at_once_do_not_disturb_each_other(hub, client, commit, small_files):
    hub.fault("slow", path=WEIGHTS, seconds=0.2)
    found, failed = [], []

    def work():
        try:
            found.append(zoo.pull("org/blocks"))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert all(whole(snapshot, small_files) for snapshot in found)
    assert len(fetched(hub, WEIGHTS)) == 1


def test_a_cache_that_cannot_be_written_is_named(hub, client, commit):
    client.home.mkdir()
    (client.home / "hub").write_text("a file")
    with pytest.raises(OSError, match=r"the cache .*models--org--blocks cannot be written"):
        zoo.pull("org/blocks")


def test_a_full_disk_is_seen_before(hub, client, commit, monkeypatch):
    import shutil

    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=20_000))
    with pytest.raises(OSError, match="the disk has 20000"):
        zoo.pull("org/blocks")


def test_where_there_are_no_links_files_are_copied(hub, client, commit, small_files, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_SYMLINKS", True)
    snapshot = zoo.pull("org/blocks")
    assert whole(snapshot, small_files)
    assert not (snapshot.folder / WEIGHTS).is_symlink()
    assert zoo.pull("org/blocks").fetched == 0


def test_generators_are_found_by_their_tag(hub, client, small_files):
    card = b"---\nlicense: mit\ntags:\n- kerasgan3d\n---\n# a\n"
    hub.add("org/blocks", {**small_files, "README.md": card})
    hub.add("org/secret", {**small_files, "README.md": card}, private=True)
    hub.add("org/other", {"README.md": b"---\ntags:\n- pytorch\n---\n"})
    (found,) = zoo.search()
    assert (found["name"], found["licence"], found["updated"]) == ("org/blocks", "mit", "2026-01-02")
    client("hf_Kread0123")
    assert [row["name"] for row in zoo.search()] == ["org/blocks", "org/secret"]
    assert [row["name"] for row in zoo.search("secret")] == ["org/secret"]
    hub.__exit__()
    with pytest.raises(OSError, match="cannot be reached"):
        zoo.search()
