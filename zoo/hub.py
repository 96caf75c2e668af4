"""All communication with the Hugging Face Hub; downloads are stored in the Hub's usual cache.

The Hub's client handles addresses, tokens, sessions, errors and uploads. This module writes downloads itself, in the
layout of the client's cache, so that the client and all other tools find them: the client neither resumes a file of an
earlier call nor compares its content with the hash that the Hub lists, so that one bad transfer would stay in the cache
for good. Here a file enters the cache only with the size and the hash that the Hub lists.
"""

# HTTPError is imported from the Hub's client, whose HTTP library changes between versions.
# pyright: reportPrivateImportUsage=false

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from kerasgan3d.files import WriteError
from kerasgan3d.folder import CARD, CONFIG, MAX_BYTES, PRESET_FILES, REFERENCE, WEIGHTS, checked_card
from kerasgan3d.zoo.hub_address import REPOSITORY, Address
from kerasgan3d.zoo.hub_answers import (
    ANSWER_SECONDS,
    FILES_SECONDS,
    SLOWEST,
    HubError,
    NotOnHubError,
    OfflineError,
    Pace,
    UnreachableError,
    in_time,
    session,
    uploading,
    within,
)
from kerasgan3d.zoo.hub_cache import (
    COMMIT,
    DIGEST,
    NEEDED,
    WHOLE_COMMIT,
    Snapshot,
    cached,
    cached_commit,
    has_digest,
    note_commit,
    point,
    storage,
    what_the_cache_has,
)

TAG = "kerasgan3d"  # tag of our generators on the Hub
FACTS = (CARD, CONFIG)  # files with the facts of a generator, without its weights

_WAITS = (0.5, 1.0, 2.0, 4.0)  # seconds before a request is tried again
_BUSY = (408, 429, 500, 502, 503, 504)
_MAX_PAGES = 20
_MAX_ATTEMPTS = 50


@dataclass(frozen=True)
class _Entry:
    """A file that the Hub lists; its digest is None where the Hub gives none that can be checked."""

    size: int
    digest: str | None


def pull(
    address: Address,
    *,
    names: Iterable[str] = PRESET_FILES,
    announce: Callable[[dict[str, Any], Snapshot], Any] | None = None,
    progress: Callable[[int, int], Any] | None = None,
    notify: Callable[[str], Any] | None = None,
) -> Snapshot:
    """Download a generator into the cache, or find it there.

    Before the weights are downloaded, three things are checked: that the repository holds a generator, that no file is
    too large, and that the facts belong to these weights.

    Args:
        address: An Address.
        names: The requested files of a preset folder. Others are never downloaded.
        announce: A function (facts, Snapshot), called before the weights are downloaded, if they have to be.
        progress: A function (bytes done, total bytes).
        notify: A function of a one-line text, called where the Hub cannot be reached and a cached copy is used.

    Returns:
        Snapshot.

    Raises:
        NotOnHubError: if there is no such repository or revision.
        HubError: if the Hub cannot be reached and the cache has no complete copy, or a download failed.
        ValueError: if the repository holds no generator, or one that is refused.
        OSError: if the cache cannot be written.
    """
    wanted = [name for name in PRESET_FILES if name in names]
    revision = address.revision or "main"
    if WHOLE_COMMIT.fullmatch(revision):
        found = cached(address.repo, revision, revision, wanted)
        if found is not None:
            return found
    known = cached(address.repo, revision, cached_commit(address.repo, revision), wanted)
    try:
        commit, listing = _listing(address, patient=known is None)
    except UnreachableError as error:
        if known is not None:
            if notify is not None and not isinstance(error, OfflineError):
                notify(f"{error} Taking {address.repo} from the cache, commit {known.commit[:12]}.")
            return known
        raise type(error)(f"{error} {what_the_cache_has(address.repo, revision, wanted)}") from None
    _check_listing(address.repo, listing)
    listing = {name: listing[name] for name in wanted if name in listing}
    with _disk(storage(address.repo)):
        return _fetch_all(address, revision, commit, listing, announce, progress)


def search(text: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
    """List the generators on the Hub: those whose card has the tag `kerasgan3d`.

    Args:
        text: Words that their names contain, or None for all.
        limit: Largest number of results, most downloaded first.

    Returns:
        list of dicts: "name", "revision" (the commit), "updated", "downloads", "likes", "private", "licence".

    Raises:
        HubError: if the Hub cannot be reached.
    """
    params = {"filter": TAG, "sort": "downloads", "limit": limit, "full": "true"}
    if text is not None:
        params["search"] = text
    url = f"{_endpoint()}/api/models"
    with _explained("the list of generators"):
        found, _ = within(ANSWER_SECONDS, lambda: _patiently(lambda: _answer(url, list, params), _WAITS[:2]))
    return [_row(model) for model in found if isinstance(model, dict) and _is_name(model.get("id"))]


def upload(
    folder: Path, address: Address, *, private: bool, message: str, kind: Literal["model", "dataset"] = "model"
) -> tuple[str, str]:
    """Upload the files of a folder to the Hub in one commit, creating repository and branch if necessary.

    Args:
        folder: Path of a folder that holds only the files to upload.
        address: An Address.
        private: Whether a new repository is private. An existing public one is then refused.
        message: Message of the commit.
        kind: Kind of the repository. Of a "model" only the files of a preset folder are uploaded.

    Returns:
        (address of the page, commit).

    Raises:
        HubError: if the Hub cannot be reached or refuses.
        ValueError: if ``private`` is true and the repository is public.
    """
    from huggingface_hub import HfApi

    size = sum(file.stat().st_size for file in folder.rglob("*"))
    where: dict[str, Any] = {"repo_id": address.repo, "repo_type": kind}
    with _explained(address.repo, address.revision, writing=True), _without_bars(), uploading():
        api = HfApi(**_library())
        _by_client(ANSWER_SECONDS, lambda: _patiently(lambda: api.create_repo(**where, private=private, exist_ok=True)))
        told = within(ANSWER_SECONDS, lambda: _patiently(lambda: _about(address.repo, kind=kind))) if private else {}
        if told.get("private") is False:
            raise ValueError(f"{address.repo} is a public repository, and was not changed. Received: private=True.")
        if (branch := address.revision) is not None and branch != "main":
            _by_client(
                ANSWER_SECONDS,
                lambda: _patiently(lambda: api.create_branch(**where, branch=branch, exist_ok=True)),
            )
        commit = _by_client(
            FILES_SECONDS + size / SLOWEST,
            lambda: _patiently(
                lambda: api.upload_folder(
                    **where,
                    folder_path=folder,
                    revision=address.revision,
                    allow_patterns=list(PRESET_FILES) if kind == "model" else None,
                    commit_message=message,
                ),
                waits=(),
            ),
        )
    page = f"{_endpoint()}/{'datasets/' if kind == 'dataset' else ''}{address.repo}"
    page = f"{page}/tree/{address.revision}" if address.revision not in (None, "main") else page
    return page, _checked_commit(address.repo, commit.oid)


# What the Hub says


def _listing(address, patient):
    """Return the commit of a revision and the files of a preset at its top level: (commit, name to _Entry)."""
    waits = _WAITS if patient else _WAITS[:1]

    def ask():
        commit = _checked_commit(address.repo, _patiently(lambda: _about(address.repo, address.revision), waits)["sha"])
        return commit, _patiently(lambda: _tree(address.repo, commit), waits)

    with _explained(address.repo, address.revision):
        return within(ANSWER_SECONDS, ask)


def _about(repo, revision=None, kind="model"):
    """Return the Hub's facts about a revision of a repository: a dict, with its commit as "sha"."""
    of_revision = "" if revision is None else f"/revision/{quote(revision, safe='')}"
    return {"sha": None, **_answer(f"{_endpoint()}/api/{kind}s/{repo}{of_revision}", dict)[0]}


def _checked_commit(repo, commit):
    if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
        raise HubError(f"the Hub must name {repo} a commit. Received: {str(commit)[:80]!r}.")
    return commit


def _tree(repo, commit):
    url, params = f"{_endpoint()}/api/models/{repo}/tree/{commit}", {"recursive": "false"}
    listing = {}
    for _ in range(_MAX_PAGES):
        entries, url = _answer(url, list, params)
        for entry in entries:
            if isinstance(entry, dict) and entry.get("type") == "file" and entry.get("path") in PRESET_FILES:
                listing[entry["path"]] = _entry(repo, entry)
        if not url or not url.startswith(f"{_endpoint()}/"):
            break
        params = None
    return listing


def _answer(url, kind, params=None):
    """Return the list or dict in the Hub's answer, and the address of the next page or None."""
    from huggingface_hub.utils import hf_raise_for_status

    with session().stream("GET", url, headers=_headers(), params=params, timeout=_timeout()) as response:
        hf_raise_for_status(response)
        content, following = response.read(), response.links.get("next", {}).get("url")
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):  # also endless digits or brackets
        raise UnreachableError(f"what answers at {_endpoint()} is not the Hub: it sends no JSON.") from None
    if not isinstance(answer, kind):
        raise UnreachableError(
            f"what answers at {_endpoint()} is not the Hub: it must send a {kind.__name__}. "
            f"Received: {type(answer).__name__}."
        )
    return answer, following


def _by_client(seconds, ask):
    """Return the result of the Hub's client, which reads answers of any shape; turn its failures into errors."""
    from huggingface_hub.errors import HTTPError

    try:
        return within(seconds, ask)
    except (HTTPError, OSError, json.JSONDecodeError):
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise HubError(
            f"what answers at {_endpoint()} is not the Hub: it answers in another shape ({type(error).__name__})."
        ) from None


def _row(model):
    """Return the entry of `search` for a model, with None for facts of the wrong type."""

    def known(key, kind, otherwise=None):
        return model[key] if type(model.get(key)) is kind else otherwise

    licences = [tag[8:] for tag in known("tags", list, ()) if isinstance(tag, str) and tag.startswith("license:")]
    commit, updated = known("sha", str, ""), known("lastModified", str) or known("createdAt", str)
    return {
        "name": model["id"],
        "revision": commit if COMMIT.fullmatch(commit) else None,
        "updated": updated[:10] if updated else None,
        "downloads": known("downloads", int),
        "likes": known("likes", int),
        "private": known("private", bool),
        "licence": licences[0][:80] if licences else None,
    }


def _is_name(name):
    return isinstance(name, str) and REPOSITORY.fullmatch(name) is not None


def _entry(repo, entry):
    """Return an _Entry from the Hub's listing; refuse invalid sizes and hashes."""
    lfs = entry.get("lfs")
    size, digest = entry.get("size"), entry.get("oid")
    if isinstance(lfs, dict):
        size, digest = lfs.get("size", size), lfs.get("oid") or lfs.get("sha256") or digest
    if type(size) is not int or size < 0:
        raise HubError(f"the Hub must list a size for {entry['path']} of {repo}. Received: {str(size)[:80]!r}.")
    known = isinstance(digest, str) and DIGEST.fullmatch(digest)
    return _Entry(size, digest if known else None)


def _check_listing(repo, listing):
    missing = [name for name in NEEDED if name not in listing]
    if missing:
        raise ValueError(f"{repo} must hold a generator of kerasgan3d. It has no {' and no '.join(missing)}.")
    for name, entry in listing.items():
        if entry.size > MAX_BYTES[name]:
            raise ValueError(f"{name} of {repo} must hold at most {MAX_BYTES[name]} bytes. Received: {entry.size}.")


# Fetching


def _fetch_all(address, revision, commit, listing, announce, progress):
    place = storage(address.repo)
    folder = place / "snapshots" / commit
    sizes = {name: entry.size for name, entry in listing.items()}
    snapshot = Snapshot(address.repo, revision, commit, folder, sizes)
    missing = [name for name in listing if not _is_whole(folder / name, listing[name])]
    total, fetched, pace = sum(sizes[name] for name in missing), 0, Pace()

    def report(done):
        if progress is not None and total:
            progress(done, total)

    # Facts first: they are checked before the weights are downloaded.
    for name in sorted(missing, key=lambda name: (name == WEIGHTS, name not in FACTS, name != REFERENCE)):
        if name == WEIGHTS:
            facts = checked_card(folder / CARD)
            _check_facts(folder / CARD, facts, listing[WEIGHTS])
            if announce is not None:
                announce(facts, snapshot)
        before = fetched
        _fetch(
            address.repo, commit, name, listing[name], folder / name, pace, lambda n, before=before: report(before + n)
        )
        fetched += sizes[name]
    report(total)
    note_commit(place, revision, commit)
    return Snapshot(address.repo, revision, commit, folder, sizes, fetched)


def _is_whole(pointer, entry):
    return pointer.is_file() and pointer.stat().st_size == entry.size and has_digest(pointer, entry.digest)


def _check_facts(path, facts, entry):
    weights = facts.get("weights") or {}
    sha256, size = weights.get("sha256"), weights.get("bytes")
    if sha256 is not None and entry.digest is not None and len(entry.digest) == 64 and sha256 != entry.digest:
        raise ValueError(f"{WEIGHTS} is not the file that {path} names: its sha256 is {entry.digest}, not {sha256}.")
    if size is not None and size != entry.size:
        raise ValueError(f"{WEIGHTS} is not the file that {path} names: it has {entry.size} bytes, not {size}.")


def _fetch(repo, commit, name, entry, pointer, pace, progress):
    """Download one file into the cache, resuming an interrupted attempt."""
    from huggingface_hub.utils import WeakFileLock

    storage = pointer.parent.parent.parent
    # A name of our own where the Hub gives no hash.
    blob = storage / "blobs" / (entry.digest or f"{commit}-{name}")
    lock = storage.parent / ".locks" / storage.name / f"{blob.name}.lock"
    for folder in (blob.parent, pointer.parent, lock.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        if not (entry.digest and _is_whole(blob, entry)):
            partial = blob.with_name(f"{blob.name}.kerasgan3d.incomplete")
            free = shutil.disk_usage(blob.parent).free
            if free < entry.size:
                raise WriteError(f"{pointer} could not be written: it needs {entry.size} bytes, the disk has {free}.")
            with _explained(repo):
                _download(repo, commit, name, entry, partial, pace, progress)
            if not has_digest(partial, entry.digest):
                # Pieces may come from different versions of the file: download it once more as a whole.
                partial.unlink()
                with _explained(repo):
                    _download(repo, commit, name, entry, partial, pace, progress)
                if not has_digest(partial, entry.digest):
                    partial.unlink()
                    kind = "sha256" if len(entry.digest) == 64 else "hash"
                    raise HubError(
                        f"{name} of {repo} arrived damaged, twice: its {kind} is not {entry.digest}. Nothing was kept."
                    )
            blob.unlink(missing_ok=True)
            os.replace(partial, blob)
        point(pointer, blob)


def _download(repo, commit, name, entry, partial, pace, progress):
    """Fill a file up to the size that the Hub lists."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    url = hf_hub_url(repo, name, revision=commit, endpoint=_endpoint())
    stuck, cause = 0, None
    for _ in range(_MAX_ATTEMPTS):
        before, cause = _size(partial), None
        try:
            _stream(url, entry.size, before, partial, pace, progress)
        except HTTPError as error:
            status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
            if status == 416:
                partial.unlink(missing_ok=True)  # it is longer than the file
            elif status is not None and status not in _BUSY:
                raise
            cause = error
        if _size(partial) == entry.size and partial.is_file():
            return
        stuck = 0 if _size(partial) > before else stuck + 1
        if stuck > len(_WAITS):
            break
        time.sleep(_WAITS[max(stuck, 1) - 1])
    if cause is not None:
        raise cause
    raise HubError(f"{name} of {repo} broke off at {_size(partial)} of {entry.size} bytes, again and again.")


def _stream(url, size, before, partial, pace, progress):
    """Append the missing part of a file, or rewrite it where the server sends all of it."""
    from huggingface_hub.utils import hf_raise_for_status

    if before > size:
        partial.unlink()
        before = 0
    if before == size and before:
        return

    def answer():
        headers = {**_headers(), "Accept-Encoding": "identity"} | ({"Range": f"bytes={before}-"} if before else {})
        with session().stream("GET", url, headers=headers, timeout=_timeout()) as response:
            hf_raise_for_status(response)
            yield response
            yield from response.iter_bytes()

    with contextlib.closing(in_time(answer, pace, limit=MAX_BYTES[WEIGHTS])) as received:
        response = next(received)
        resumed = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(
            f"bytes {before}-"
        )
        done = before if resumed else 0
        with open(partial, "ab" if resumed else "wb") as file:
            for chunk in received:
                pace.came(len(chunk))
                done += len(chunk)
                if done > size:
                    file.close()
                    partial.unlink()
                    raise HubError(f"{partial.name.split('.')[0]} is longer than the {size} bytes that the Hub lists.")
                file.write(chunk)
                progress(done)


def _size(path):
    return path.stat().st_size if path.is_file() else 0


# Errors, in one line


@contextlib.contextmanager
def _explained(what, revision=None, writing=False):
    """Turn errors of the Hub's client into a HubError with a one-line message without tokens."""
    import logging

    from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled

    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)  # its warnings are about retries, or repeated below
    try:
        yield
    except (HTTPError, OfflineModeIsEnabled) as error:
        # `from None`: a server may echo what it was sent, and the error would hold it.
        raise _explain(error, what, revision, writing) from None
    except json.JSONDecodeError:
        raise UnreachableError(f"what answers at {_endpoint()} is not the Hub: it sends no JSON.") from None
    finally:
        logger.setLevel(level)


def _explain(error, what, revision, writing):
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RevisionNotFoundError

    place = _endpoint()
    if isinstance(error, OfflineModeIsEnabled):
        return OfflineError("the Hub is not asked, since HF_HUB_OFFLINE is set.")
    if not isinstance(error, HfHubHTTPError):
        return UnreachableError(f"the Hub at {place} cannot be reached, or broke off ({type(error).__name__}).")
    status = error.response.status_code
    if isinstance(error, RevisionNotFoundError):
        return NotOnHubError(f"{what} has no revision {revision or 'main'!r} on the Hub.")
    if isinstance(error, GatedRepoError):
        return HubError(f"{what} is for those who accept its conditions at {place}/{what} and have a token.")
    if writing and status in (401, 403, 404):
        have = "the token that is set may not write there" if _has_token() else "no token is set"
        return HubError(
            f"{what} cannot be written ({status}): {have}. Set HF_TOKEN to one with the right to write, or run "
            "hf auth login."
        )
    if status in (401, 404):
        return NotOnHubError(
            f"there is no {what} on the Hub, or it is private and needs a token ({status}): set HF_TOKEN, or run "
            "hf auth login."
        )
    if status == 403:
        return HubError(f"the token that is set may not read {what} (403).")
    if status in _BUSY:
        return UnreachableError(f"the Hub at {place} answers with an error ({status}); try again later.")
    return HubError(f"the Hub at {place} refused what was asked for {what} ({status}).")


def _patiently(ask: Callable[[], Any], waits: Iterable[float] | None = None) -> Any:
    """Retry a few times if the server is busy or the connection breaks."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    for wait in (*(_WAITS if waits is None else waits), None):
        session()  # the client makes a new one after a broken connection, without our limits
        try:
            return ask()
        except HTTPError as error:
            busy = not isinstance(error, HfHubHTTPError) or error.response.status_code in _BUSY
            if wait is None or not busy:
                raise
        time.sleep(wait)
    return None


@contextlib.contextmanager
def _disk(path):
    """Name the cache in errors of writing to it."""
    try:
        yield
    except (HubError, WriteError):
        raise
    except OSError as error:
        if error.strerror is None:
            raise
        raise WriteError(f"the cache {path} cannot be written: {error.strerror}.") from error


@contextlib.contextmanager
def _without_bars():
    """Keep the client's own bars off the terminal."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    already = are_progress_bars_disabled()
    if not already:
        disable_progress_bars()
    try:
        yield
    finally:
        if not already:
            enable_progress_bars()


def _endpoint():
    from huggingface_hub import constants

    return constants.ENDPOINT


def _timeout():
    from huggingface_hub import constants

    return constants.HF_HUB_DOWNLOAD_TIMEOUT


def _library() -> dict[str, Any]:
    from kerasgan3d import __version__

    return {"library_name": "kerasgan3d", "library_version": __version__, "endpoint": _endpoint()}


def _headers():
    from huggingface_hub.utils import build_hf_headers

    from kerasgan3d import __version__

    return build_hf_headers(library_name="kerasgan3d", library_version=__version__)


def _has_token():
    from huggingface_hub import get_token

    return bool(get_token())
