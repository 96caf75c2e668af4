"""A small Hugging Face Hub on loopback, for the real client: repositories, LFS, tokens, revisions, faults.

    with Hub() as hub:
        hub.url  # for HF_ENDPOINT

Faults are switched on by ``hub.fault(...)``; ``hub.requests`` lists (method, path, whether a token came).
"""

import base64
import contextlib
import hashlib
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

MAX_BODY = 2**26
LFS = (".h5", ".png")


class Repository:
    """Commits and branches; a commit is a dict from path to content. Datasets are named "datasets/org/name"."""

    def __init__(self, private=False):
        self.private = private
        self.commits = {}
        self.refs = {}
        self.commit("main", {".gitattributes": b"*.h5 filter=lfs\n"})

    def commit(self, branch, files, deleted=()):
        tree = {**self.commits.get(self.refs.get(branch, self.refs.get("main")), {}), **files}
        tree = {path: content for path, content in tree.items() if path not in deleted}
        digest = hashlib.sha1(repr((branch, len(self.commits), sorted(tree))).encode())
        for content in tree.values():
            digest.update(content)
        self.refs[branch] = digest.hexdigest()
        self.commits[self.refs[branch]] = tree
        return self.refs[branch]

    def find(self, revision):
        commit = self.refs.get(revision, revision)
        return commit if commit in self.commits else None


class Hub:
    """The server. ``tokens`` maps a token to what it may do: "read" or "write"."""

    def __init__(self, tokens=(), needs_token_to_write=True):
        self.repositories = {}
        self.objects = {}
        self.tokens = dict(tokens)
        self.needs_token_to_write = needs_token_to_write
        self.requests = []
        self.faults = []
        self.is_down = False
        self.listed = {}  # (repo, path) to what the listing says otherwise
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.daemon_threads = True
        self.server.hub = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.is_down = True  # connections that are kept open are not closed with the server
        self.server.shutdown()
        self.server.server_close()

    def add(self, name, files, *, private=False, branch="main"):
        """Put files on the hub; return the commit."""
        repository = self.repositories.setdefault(name, Repository(private))
        return repository.commit(branch, files)

    def fault(self, kind, path="", method="GET", times=None, **settings):
        """Let requests whose path contains some text go wrong, so many times or always.

        Kinds: "status" (status, headers), "cut" (after: bytes), "slow" (seconds), "length" (extra: bytes that the
        header promises too many), "corrupt" (one byte is another), "redirect" (to: a server), "html", "says" (body,
        status: that, whatever is asked for), "endless" (status, headers, part: over and over, every so many seconds),
        "drip" (a header, every so many seconds).
        """
        self.faults.append({"kind": kind, "path": path, "method": method, "times": times, **settings})

    def heal(self):
        self.faults.clear()
        self.listed.clear()

    def take_fault(self, method, path):
        with self.lock:
            for fault in self.faults:
                if fault["method"] in (method, "*") and fault["path"] in path and fault["times"] != 0:
                    if fault["times"] is not None:
                        fault["times"] -= 1
                    return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._answer("GET")

    do_HEAD = do_POST = do_PUT = do_DELETE = lambda self: self._answer(self.command)

    def _answer(self, method):
        hub = self.server.hub
        if hub.is_down:
            self.close_connection = True
            return None
        length = int(self.headers.get("Content-Length") or 0)
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self.body = self._chunks()
        else:
            self.body = self.rfile.read(length) if length <= MAX_BODY else b""
        parts = urlsplit(self.path)
        self.query, path = parse_qs(parts.query), unquote(parts.path)
        authorization = self.headers.get("Authorization", "")
        self.token = authorization.removeprefix("Bearer ")
        hub.requests.append((method, path, bool(authorization), self.headers.get("Range")))
        self.fault = hub.take_fault(method, path) or {"kind": None}
        if self.fault["kind"] == "slow":
            time.sleep(self.fault["seconds"])
        elif self.fault["kind"] == "status":
            echo = {"X-Error-Message": f"no such right: {authorization}"} if self.fault.get("echo") else {}
            return self._send(self.fault["status"], b"{}", self.fault.get("headers", {}) | echo)
        elif self.fault["kind"] == "html":
            return self._send(200, b"<html>log in to the network</html>", {"Content-Type": "text/html"})
        elif self.fault["kind"] == "says":
            return self._send(self.fault.get("status", 200), self.fault["body"])
        elif self.fault["kind"] in ("endless", "drip"):
            return self._send_on(**self.fault)
        if self.token and self.token not in hub.tokens:
            return self._send(401, b"{}", {"X-Error-Message": "Invalid credentials in Authorization header"})
        for pattern, verb, action in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match and verb == ("GET" if method == "HEAD" else method):
                return action(self, hub, **match.groupdict())
        return self._send(404, b"{}")

    def _chunks(self):
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
            if len(body) > MAX_BODY:
                break
        self.rfile.readline()
        return body

    def _send(self, status, content, headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        if "Content-Length" not in dict(headers):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _send_on(self, kind, part=b"x" * 2**16, status=200, headers=(), seconds=0.0, **_):
        """Send a body, or headers, without end."""
        self.close_connection = True
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        if kind == "endless":
            self.end_headers()
        self.wfile.flush()
        with contextlib.suppress(OSError):
            while not self.server.hub.is_down:
                self.wfile.write(b"x" if kind == "drip" else part)
                self.wfile.flush()
                time.sleep(seconds)

    def _json(self, value, status=200, headers=()):
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json", **dict(headers)})

    def _may(self, hub, repo, what="read"):
        """The repository, if there is one that this token may see; else None, and the answer is given."""
        repository = hub.repositories.get(repo)
        right = hub.tokens.get(self.token)
        if repository is None or (repository.private and right is None):
            self._send(404 if right else 401, b"{}", {"X-Error-Code": "RepoNotFound"})
            return None
        if what == "write" and hub.needs_token_to_write and right != "write":
            self._send(403 if right else 401, b"{}", {"X-Error-Message": "You may not write here"})
            return None
        return repository

    def _commit(self, repository, revision):
        commit = repository.find(revision)
        if commit is None:
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        return commit

    def agents(self, hub):
        self._json({"standardEnvVars": [], "harnesses": {}})

    def create(self, hub):
        if hub.needs_token_to_write and hub.tokens.get(self.token) != "write":
            return self._send(403 if self.token else 401, b"{}", {"X-Error-Message": "You may not create this"})
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        name = f"datasets/{name}" if asked.get("type") == "dataset" else name
        known = name in hub.repositories
        if not known:
            private = bool(asked.get("private")) or asked.get("visibility") == "private"
            hub.repositories[name] = Repository(private)
        return self._json({"url": f"{hub.url}/{name}"}, 409 if known else 200)

    def validate(self, hub):
        self._json({"errors": [], "warnings": []})

    def branch(self, hub, repo, revision):
        if repository := self._may(hub, repo, "write"):
            known = revision in repository.refs
            repository.refs.setdefault(revision, repository.refs["main"])
            self._json({}, 409 if known else 200)

    def preupload(self, hub, repo, revision):
        if self._may(hub, repo, "write"):
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(LFS) else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(self.body)["files"]
            ]
            self._json({"files": files})

    def batch(self, hub, repo):
        if self._may(hub, repo, "write"):
            objects = []
            for item in json.loads(self.body)["objects"]:
                actions = {
                    "upload": {"href": f"{hub.url}/lfs/{item['oid']}", "header": {}},
                    "verify": {"href": f"{hub.url}/lfs/verify"},
                }
                known = item["oid"] in hub.objects
                objects.append({"oid": item["oid"], "size": item["size"], **({} if known else {"actions": actions})})
            self._json({"transfer": "basic", "objects": objects})

    def put(self, hub, oid):
        if hashlib.sha256(self.body).hexdigest() != oid:
            return self._send(400, b"{}")
        hub.objects[oid] = self.body
        return self._json({})

    def verify(self, hub):
        known = json.loads(self.body)["oid"] in hub.objects
        self._json({}, 200 if known else 404)

    def commit(self, hub, repo, revision):
        repository = self._may(hub, repo, "write")
        if repository is None:
            return
        files, deleted = {}, []
        for line in self.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = hub.objects[value["oid"]]
            elif entry["key"] == "deletedFile":
                deleted.append(value["path"])
        oid = repository.commit(revision, files, deleted)
        self._json({"commitOid": oid, "commitUrl": f"{hub.url}/{repo}/commit/{oid}"})

    def models(self, hub):
        wanted = set(self.query.get("filter", []))
        search = self.query.get("search", [""])[0]
        found = []
        for name, repository in hub.repositories.items():
            hidden = repository.private and self.token not in hub.tokens
            if hidden or name.startswith("datasets/") or search.lower() not in name.lower():
                continue
            card = repository.commits[repository.refs["main"]].get("README.md", b"").decode()
            tags = re.findall(r"^- (\S+)$", card.split("---")[1] if "---" in card else "", re.MULTILINE)
            tags += [f"license:{licence}" for licence in re.findall(r"^license: (\S+)$", card, re.MULTILINE)]
            if wanted <= set(tags):
                found.append(self._about(hub, name, repository, repository.refs["main"]) | {"tags": tags})
        self._json(found[: int(self.query.get("limit", ["1000"])[0])])

    @staticmethod
    def _about(hub, repo, repository, commit):
        return {
            "_id": repo,
            "id": repo,
            "sha": commit,
            "private": repository.private,
            "downloads": 7,
            "likes": 1,
            "lastModified": "2026-01-02T03:04:05.000Z",
            "siblings": [{"rfilename": path} for path in repository.commits[commit]],
        }

    def model(self, hub, repo, revision="main"):
        if repository := self._may(hub, repo):
            commit = self._commit(repository, revision)
            if commit is not None:
                self._json(self._about(hub, repo, repository, commit))

    def tree(self, hub, repo, revision):
        repository = self._may(hub, repo)
        commit = repository and self._commit(repository, revision)
        if commit:
            entries = []
            for path, content in repository.commits[commit].items():
                oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
                entry = {"type": "file", "path": path, "oid": oid, "size": len(content)}
                if path.endswith(LFS):
                    sha256 = hashlib.sha256(content).hexdigest()
                    entry["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 130}
                entries.append(entry | hub.listed.get((repo, path), {}))
            self._json(entries + hub.listed.get(repo, []))

    def resolve(self, hub, repo, revision, path):
        repository = self._may(hub, repo)
        commit = repository and self._commit(repository, revision)
        if not commit:
            return None
        content = repository.commits[commit].get(path)
        if content is None:
            return self._send(404, b"{}", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        if self.fault["kind"] == "redirect":
            return self._send(302, b"", {"Location": f"{self.fault['to']}{self.path}"})
        etag = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        if path.endswith(LFS):
            etag = hashlib.sha256(content).hexdigest()
        headers = {"X-Repo-Commit": commit, "ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
        status, first = 200, 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and self.fault["kind"] != "no range":
            first = int(asked[1])
            if first >= len(content):
                return self._send(416, b"{}")
            status = 206
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        return self._send_file(status, content, first, headers)

    def _send_file(self, status, content, first, headers):
        kind = self.fault["kind"]
        if kind == "corrupt":
            content = content[:-1] + bytes([content[-1] ^ 1])
        elif kind == "longer":
            content += b"more"
        part = content[first:]
        promised = len(part) + (self.fault["extra"] if kind == "length" else 0)
        if kind == "cut":
            part = part[: self.fault["after"]]
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(promised)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(part)
            if kind in ("cut", "length"):
                self.wfile.flush()
                self.close_connection = True


_REPO = r"(?P<repo>(?:datasets/)?[^/]+/[^/]+)"
_API = r"/api/(?:models/|(?=datasets/))(?P<repo>(?:datasets/)?[^/]+/[^/]+)"  # of models, and of datasets
_ROUTES = [
    (r"/api/agent-harnesses", "GET", _Handler.agents),
    (r"/api/repos/create", "POST", _Handler.create),
    (r"/api/validate-yaml", "POST", _Handler.validate),
    (r"/api/models", "GET", _Handler.models),
    (_API, "GET", _Handler.model),
    (rf"{_API}/revision/(?P<revision>.+)", "GET", _Handler.model),
    (rf"{_API}/tree/(?P<revision>.+)", "GET", _Handler.tree),
    (rf"{_API}/branch/(?P<revision>.+)", "POST", _Handler.branch),
    (rf"{_API}/preupload/(?P<revision>.+)", "POST", _Handler.preupload),
    (rf"{_API}/commit/(?P<revision>.+)", "POST", _Handler.commit),
    (rf"/{_REPO}\.git/info/lfs/objects/batch", "POST", _Handler.batch),
    (r"/lfs/verify", "POST", _Handler.verify),
    (r"/lfs/(?P<oid>[0-9a-f]{64})", "PUT", _Handler.put),
    (rf"/{_REPO}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", "GET", _Handler.resolve),
]


if __name__ == "__main__":
    with Hub(tokens={"hf_write": "write", "hf_read": "read"}) as running:
        print(running.url, flush=True)
        threading.Event().wait()
