"""What lies in the cache of the Hub, in the layout of its own client: blobs, snapshots of links to them, refs."""

import hashlib
import os
import re
import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from kerasgan3d.folder import CARD, CONFIG, PRESET_FILES, WEIGHTS, read_facts
from kerasgan3d.zoo.hub_address import REPOSITORY, SCHEME

NEEDED = (CONFIG, CARD, WEIGHTS)
COMMIT = re.compile(r"[0-9a-f]{7,64}")
WHOLE_COMMIT = re.compile(r"[0-9a-f]{40}")
DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Snapshot:
    """A generator in the cache.

    Attributes:
        repo: Name of its repository.
        revision: What was asked for.
        commit: The commit that this is.
        folder: Path of the preset folder.
        files: Name to bytes, of the files that are there or are to be fetched.
        fetched: Bytes of the files that were fetched, or the rest of which was; 0 where all lay in the cache.
    """

    repo: str
    revision: str
    commit: str
    folder: Path
    files: dict[str, int] = field(default_factory=dict)
    fetched: int = 0

    @property
    def origin(self) -> dict[str, str]:
        """What is recorded of where it came from."""
        return {"repo": self.repo, "revision": self.commit}

    def facts(self):
        """What it says of itself, as ``kerasgan3d.zoo.info`` gives it."""
        return {**read_facts(self.folder), **self.origin}

    @property
    def name(self):
        """What `kerasgan3d.load_generator` takes for exactly this commit."""
        return f"{SCHEME}{self.repo}@{self.commit}"


def origin_of(folder):
    """Return "repo" and "revision" of a folder that is a snapshot in the cache of the Hub, else an empty dict.

    A folder that only has such a name is none: it must lie in the cache, and each of its files be a blob of it.
    """
    folder = Path(folder).resolve()
    kind, _, repo = folder.parent.parent.name.partition("--")
    repo = repo.replace("--", "/", 1)
    if not (kind == "models" and REPOSITORY.fullmatch(repo) and COMMIT.fullmatch(folder.name)):
        return {}
    if storage(repo).resolve() / "snapshots" != folder.parent:
        return {}
    files = [folder / name for name in PRESET_FILES if os.path.lexists(folder / name)]
    return {"repo": repo, "revision": folder.name} if all(map(_is_of_a_blob, files)) else {}


def _is_of_a_blob(pointer):
    """Whether a file of a snapshot is what a blob of its repository is named by, be it a link or a copy."""
    blobs = pointer.parent.parent.parent / "blobs"
    return pointer.is_file() and any((blobs / digest).is_file() for digest in _digests(pointer))


def storage(repo):
    """Path of the folder in the cache that is a repository's."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).expanduser() / f"models--{repo.replace('/', '--')}"


def cached_commit(repo, revision):
    """The commit that a revision was when it was last pulled; None if never."""
    if WHOLE_COMMIT.fullmatch(revision):
        return revision
    ref = storage(repo) / "refs" / revision
    commit = ref.read_text("utf-8").strip() if ref.is_file() else ""
    return commit if COMMIT.fullmatch(commit) else None


def cached(repo, revision, commit, wanted):
    """The Snapshot in the cache if it has all that is needed, as it was uploaded; else None."""
    if commit is None:
        return None
    folder = storage(repo) / "snapshots" / commit
    if not all((folder / name).is_file() for name in NEEDED if name in wanted):
        return None
    present = [name for name in wanted if os.path.lexists(folder / name)]
    if not all(is_intact(folder / name) for name in present):
        return None
    return Snapshot(repo, revision, commit, folder, {name: (folder / name).stat().st_size for name in present})


def is_intact(pointer):
    """Whether a file of a snapshot has the hash that its blob is named by, where it is a link to a blob."""
    if not pointer.is_file():
        return False
    name = Path(os.readlink(pointer)).name if pointer.is_symlink() else ""
    return has_digest(pointer, name if DIGEST.fullmatch(name) else None)


def has_digest(path, digest):
    """Whether a file has a hash: sha256, or git's of a blob (a plain sha1 on some mirrors). None is not checked."""
    if digest is None:
        return True
    with open(path, "rb") as file:
        if len(digest) == 64:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    return digest in _digests(path)[1:]


def _digests(path):
    """The hashes that a file may be named by: sha256, git's of a blob, sha1."""
    found = [hashlib.sha256(), hashlib.sha1(b"blob %d\0" % path.stat().st_size), hashlib.sha1()]
    with open(path, "rb") as file:
        while content := file.read(2**20):
            for digest in found:
                digest.update(content)
    return [digest.hexdigest() for digest in found]


def what_the_cache_has(repo, revision, wanted):
    """Why the cache cannot help, in a sentence."""
    commit = cached_commit(repo, revision)
    if commit is None:
        return f"The cache has no copy of {repo}{'' if revision == 'main' else f' at {revision}'}."
    folder = storage(repo) / "snapshots" / commit
    missing = [name for name in NEEDED if name in wanted and not (folder / name).is_file()]
    return f"The copy in the cache {'lacks ' + ', '.join(missing) if missing else 'is damaged'}."


def point(pointer, blob):
    """Let a file of a snapshot be a link to its blob, or the blob itself where there are no links."""
    from huggingface_hub import constants

    temporary = pointer.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        if constants.HF_HUB_DISABLE_SYMLINKS:
            raise OSError
        os.symlink(os.path.relpath(blob, pointer.parent), temporary)
    except OSError:
        shutil.copyfile(blob, temporary)
    os.replace(temporary, pointer)


def note_commit(storage, revision, commit):
    """Record which commit a branch or tag is: once all of it is there, so that a copy in the cache is a whole one."""
    ref = storage / "refs" / revision
    if revision == commit or (ref.is_file() and ref.read_text("utf-8") == commit):
        return
    ref.parent.mkdir(parents=True, exist_ok=True)
    temporary = ref.with_name(f"{ref.name}.{uuid.uuid4().hex[:8]}.tmp")
    temporary.write_text(commit, "utf-8")
    os.replace(temporary, ref)
