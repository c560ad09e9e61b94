"""A server on loopback that speaks the protocol of the Hugging Face hub, and misbehaves where a test asks for it.

A large file is redirected to another host, that of the storage, with its SHA-256 in X-Linked-ETag; a small one is
redirected on the same host, with its Git hash in ETag. The storage answers range requests. An upload makes the
repository, asks which files are large, puts those into the storage, and sends the others with the commit.
"""

import base64
import contextlib
import dataclasses
import hashlib
import http.server
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

ERRORS = {  # what the hub says in X-Error-Code, and its status
    "GatedRepo": 403,
    "RepoNotFound": 404,
    "RevisionNotFound": 404,
    "EntryNotFound": 404,
}


@dataclasses.dataclass
class Hub:
    """What the server has, what it does wrong, and what it was asked."""

    files: dict[tuple[str, str, str], bytes] = dataclasses.field(default_factory=dict)  # repository, commit, file
    asked: list[str] = dataclasses.field(default_factory=list)  # "GET /path" or "GET /path bytes=3-"
    error: str = ""  # answered to every question about a repository
    cuts: int = 0  # how many more answers of the storage end in their middle
    delay: float = 0.0  # seconds before an answer
    changed: dict[str, bytes] = dataclasses.field(default_factory=dict)  # file -> what is sent in its place
    stated: dict[str, str] = dataclasses.field(default_factory=dict)  # file -> the hash that is stated
    commit: str = ""  # stated instead of the one that was asked for
    port: int = 0
    token: str = "hf_right"  # that may write
    owner: str = "owner"  # to whom it may
    stored: dict[str, bytes] = dataclasses.field(default_factory=dict)  # SHA-256 -> a large file that was uploaded
    private: dict[str, bool] = dataclasses.field(default_factory=dict)  # of the repositories that were made

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def bodies(self) -> list[str]:
        """Return what was downloaded, without the questions."""
        return [line for line in self.asked if line.startswith("GET /storage")]


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.hub.asked.append(f"POST {self.path}")
        if self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            return self.send(401, b"", {"X-Error-Message": "Invalid credentials in Authorization header"})
        path = self.path.strip("/").split("/")
        if path == ["api", "validate-yaml"]:
            return self.say({"errors": [], "warnings": []})
        if path == ["api", "repos", "create"]:
            return self.create(json.loads(content))
        if path[-3:] == ["lfs", "objects", "batch"]:
            objects = [
                each | {"actions": {"upload": self.place(each["oid"])}} for each in json.loads(content)["objects"]
            ]
            return self.say({"transfer": "basic", "objects": objects})
        repository, verb = "/".join(path[2:4]), path[4]
        if repository not in self.hub.private:
            return self.send(404, b"", {"X-Error-Code": "RepoNotFound"})
        if verb == "preupload":
            files = [each["path"] for each in json.loads(content)["files"]]
            modes = {file: "lfs" if file.endswith(".safetensors") else "regular" for file in files}
            return self.say(
                {"files": [{"path": file, "uploadMode": mode, "shouldIgnore": False} for file, mode in modes.items()]}
            )
        return self.commit(repository, content)

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        oid = self.path.rpartition("/")[2]
        if self.hub.cuts:
            self.hub.cuts -= 1
            return self.send(500, b"", {})
        right = hashlib.sha256(content).hexdigest() == oid
        self.hub.stored |= {oid: content} if right else {}
        return self.send(200 if right else 400, b"", {})

    def place(self, oid: str) -> dict[str, Any]:
        return {"href": f"{self.hub.endpoint}/storage/{oid}", "header": {}}

    def create(self, asked: dict[str, Any]) -> None:
        repository = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] != self.hub.owner:
            said = f'You don\'t have the rights to create a model under the namespace "{asked["organization"]}"'
            return self.send(403, b"", {"X-Error-Message": said})
        status = 409 if repository in self.hub.private else 200
        self.hub.private.setdefault(repository, asked.get("visibility") == "private")
        return self.say({"url": f"{self.hub.endpoint}/{repository}", "name": repository}, status)

    def commit(self, repository: str, content: bytes) -> None:
        commit = hashlib.sha1(content).hexdigest()
        for line in map(json.loads, content.splitlines()):
            if line["key"] == "file":
                self.hub.files[repository, commit, line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "lfsFile":
                self.hub.files[repository, commit, line["value"]["path"]] = self.hub.stored[line["value"]["oid"]]
        address = f"{self.hub.endpoint}/{repository}/commit/{commit}"
        return self.say({"commitUrl": address, "commitOid": commit, "pullRequestUrl": None})

    def say(self, content: Any, status: int = 200) -> None:
        self.send(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def answer(self, body: bool) -> None:
        hub = self.hub
        hub.asked.append(" ".join(filter(None, (self.command, self.path, self.headers.get("Range")))))
        time.sleep(hub.delay)
        path = self.path.partition("?")[0].strip("/").split("/")
        if path[0] == "storage":
            return self.stored(path[1], body)
        if path[:2] == ["api", "models"]:
            return self.listed("/".join(path[2:4]), tree="tree" in path)
        if path[:2] == ["api", "resolve-cache"]:
            path = [*path[3:5], "resolve", *path[5:]]
        if path[2:3] != ["resolve"]:  # what the library asks about itself
            return self.send(404, b"", {})
        repository, commit, file = "/".join(path[:2]), path[3], "/".join(path[4:])
        if wrong := hub.error or self.missing(repository, commit, file):
            return self.send(ERRORS[wrong], b"", {"X-Error-Code": wrong, "X-Error-Message": wrong})
        content = hub.files[repository, commit, file]
        about = {"X-Repo-Commit": hub.commit or commit}
        if file.endswith((".safetensors", ".bin")):
            sha256 = hub.stated.get(file, hashlib.sha256(content).hexdigest())
            about |= {"X-Linked-ETag": f'"{sha256}"', "X-Linked-Size": str(len(content)), "ETag": '"of-the-pointer"'}
            place = f"http://localhost:{hub.port}/storage/{file}?commit={commit}&repository={repository}"
            return self.send(302, b"", about | {"Location": place})
        etag = hub.stated.get(file, git_hash(content))
        if "resolve-cache" not in self.path:
            place = f"/api/resolve-cache/models/{repository}/{commit}/{file}"
            return self.send(307, b"", about | {"Location": place, "ETag": f'"{etag}"'})
        sent = hub.changed.get(file, content)
        return self.send(200, sent, about | {"ETag": f'"{etag}"'}, body)

    def missing(self, repository: str, commit: str, file: str) -> str:
        if repository not in {key[0] for key in self.hub.files}:
            return "RepoNotFound"
        if (repository, commit) not in {key[:2] for key in self.hub.files}:
            return "RevisionNotFound"
        return "" if (repository, commit, file) in self.hub.files else "EntryNotFound"

    def stored(self, file: str, body: bool) -> None:
        query = dict(part.split("=") for part in self.path.partition("?")[2].split("&"))
        content = self.hub.files[query["repository"], query["commit"], file]
        content = self.hub.changed.get(file, content)
        first = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        about = {"ETag": '"of-the-storage"', "Accept-Ranges": "bytes"}
        if first:
            about["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        if self.hub.cuts:
            self.hub.cuts -= 1
            self.send(206 if first else 200, content[first:], about, cut=True)
            return
        self.send(206 if first else 200, content[first:], about, body)

    def listed(self, repository: str, *, tree: bool) -> None:
        """Send the description of a repository, or the list of its files."""
        files = [{"rfilename": file} for name, _, file in self.hub.files if name == repository]
        commits = [commit for name, commit, _ in self.hub.files if name == repository]
        if not commits:
            return self.send(404, b"", {"X-Error-Code": "RepoNotFound"})
        about: Any = {"id": repository, "modelId": repository, "sha": commits[0], "siblings": files, "tags": []}
        if tree:
            here = {file: content for (name, _, file), content in self.hub.files.items() if name == repository}
            about = [
                {"type": "file", "path": file, "size": len(content), "oid": git_hash(content)}
                for file, content in here.items()
            ]
        return self.send(200, json.dumps(about).encode(), {"Content-Type": "application/json"})

    def send(
        self, status: int, content: bytes, headers: dict[str, str], body: bool = True, *, cut: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body and self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.close_connection = True
            self.wfile.flush()
            self.connection.shutdown(2)


@contextlib.contextmanager
def serving() -> Iterator[Hub]:
    """Serve a hub on a free port of this machine until the block ends."""
    hub = Hub()

    class Own(Handler):
        pass

    Own.hub = hub
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Own)
    server.daemon_threads = True
    hub.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
