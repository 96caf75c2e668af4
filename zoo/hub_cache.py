"""The Hub's cache, in the layout of its client: blobs, snapshots of links to them, refs."""

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
        revision: The requested revision.
        commit: The commit of the revision.
        folder: Path of the preset folder.
        files: Name to bytes of all files, present or still to be downloaded.
        fetched: Bytes of the files that were downloaded, completely or in part; 0 where all were in the cache.
    """

    repo: str
    revision: str
    commit: str
    folder: Path
    files: dict[str, int] = field(default_factory=dict)
    fetched: int = 0

    @property
    def origin(self) -> dict[str, str]:
        """Origin of the generator, for its records."""
        return {"repo": self.repo, "revision": self.commit}

    def facts(self):
        """Return the facts of the generator, as ``kerasgan3d.zoo.info`` does."""
        return {**read_facts(self.folder), **self.origin}

    @property
    def name(self):
        """Argument of `kerasgan3d.load_generator` for exactly this commit."""
        return f"{SCHEME}{self.repo}@{self.commit}"


def origin_of(folder):
    """Return "repo" and "revision" of a folder that is a snapshot in the Hub's cache, else an empty dict.

    Such a name does not suffice: the folder must lie in the cache, and each of its files must be a blob of it.
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
    """Tell whether a file of a snapshot has the hash of a blob of its repository, be it a link or a copy."""
    blobs = pointer.parent.parent.parent / "blobs"
    return pointer.is_file() and any((blobs / digest).is_file() for digest in _digests(pointer))


def storage(repo):
    """Return the path of a repository's folder in the cache."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).expanduser() / f"models--{repo.replace('/', '--')}"


def cached_commit(repo, revision):
    """Return the commit of a revision when it was last downloaded; None if never."""
    if WHOLE_COMMIT.fullmatch(revision):
        return revision
    ref = storage(repo) / "refs" / revision
    commit = ref.read_text("utf-8").strip() if ref.is_file() else ""
    return commit if COMMIT.fullmatch(commit) else None


def cached(repo, revision, commit, wanted):
    """Return the Snapshot in the cache if all requested files are complete and intact; else None."""
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
    """Tell whether a file of a snapshot that is a link to a blob has the hash that names the blob."""
    if not pointer.is_file():
        return False
    name = Path(os.readlink(pointer)).name if pointer.is_symlink() else ""
    return has_digest(pointer, name if DIGEST.fullmatch(name) else None)


def has_digest(path, digest):
    """Tell whether a file has a hash: sha256, or git's of a blob (a plain sha1 on some mirrors). None always holds."""
    if digest is None:
        return True
    with open(path, "rb") as file:
        if len(digest) == 64:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    return digest in _digests(path)[1:]


def _digests(path):
    """Return the hashes that may name a file: sha256, git's of a blob, sha1."""
    found = [hashlib.sha256(), hashlib.sha1(b"blob %d\0" % path.stat().st_size), hashlib.sha1()]
    with open(path, "rb") as file:
        while content := file.read(2**20):
            for digest in found:
                digest.update(content)
    return [digest.hexdigest() for digest in found]


def what_the_cache_has(repo, revision, wanted):
    """Say in a sentence why the cache cannot help."""
    commit = cached_commit(repo, revision)
    if commit is None:
        return f"The cache has no copy of {repo}{'' if revision == 'main' else f' at {revision}'}."
    folder = storage(repo) / "snapshots" / commit
    missing = [name for name in NEEDED if name in wanted and not (folder / name).is_file()]
    return f"The copy in the cache {'lacks ' + ', '.join(missing) if missing else 'is damaged'}."


def point(pointer, blob):
    """Make a file of a snapshot a link to its blob, or the blob itself where links are unsupported."""
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
    """Record the commit of a branch or tag, once all its files exist, so that cached copies are complete."""
    ref = storage / "refs" / revision
    if revision == commit or (ref.is_file() and ref.read_text("utf-8") == commit):
        return
    ref.parent.mkdir(parents=True, exist_ok=True)
    temporary = ref.with_name(f"{ref.name}.{uuid.uuid4().hex[:8]}.tmp")
    temporary.write_text(commit, "utf-8")
    os.replace(temporary, ref)
