"""A log built from formats alone: every path and its bytes, and a server that hands them out."""

import contextlib
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from exchange.formats import merkle, tiles
from exchange.formats.checkpoint import Checkpoint
from exchange.formats.note import Signer


@dataclass(frozen=True)
class StaticLog:
    """What is served by path (`checkpoint`, `tile/…`), and what a judge should find."""

    files: Mapping[str, bytes]
    vkey: str
    size: int
    root: bytes


def build_log(entries: Sequence[bytes], signer: Signer) -> StaticLog:
    """The log of these entries, in one batch."""
    tree = merkle.Extension(0, [], [merkle.leaf_hash(entry) for entry in entries])
    files = {}
    for tile in tiles.tiles_of(tree.new_size):
        first = tile.index * tiles.WIDTH
        if tile.level == tiles.ENTRIES:
            files[tile.path] = tiles.encode_bundle(entries[first : first + tile.width])
        else:
            level = tiles.LEVEL_BITS * tile.level
            hashes = [tree.node(level, index) for index in range(first, first + tile.width)]
            files[tile.path] = b"".join(hashes)
    signed = signer.sign(Checkpoint(signer.name, tree.new_size, tree.root).encode())
    files["checkpoint"] = signed.encode()
    return StaticLog(files, signer.vkey, tree.new_size, tree.root)


def download(url: str, size: int, *, bearer_token: str = "") -> dict[str, bytes]:
    """Every file of the log of `size` entries that a server serves below `url`."""
    headers = {"Authorization": f"Bearer {bearer_token}"} if bearer_token else {}
    with httpx.Client(base_url=url, headers=headers) as client:
        paths = ["checkpoint", *(tile.path for tile in tiles.tiles_of(size))]
        return {path: client.get(path).raise_for_status().content for path in paths}


def flip(files: Mapping[str, bytes], path: str, at: int) -> dict[str, bytes]:
    """The same files, but for one bit of the byte `at` of one of them."""
    changed = bytearray(files[path])
    changed[at] ^= 1
    return {**files, path: bytes(changed)}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def serve(files: Mapping[str, bytes], *, bearer_token: str = "") -> Iterator[str]:
    """Serve these files on loopback and yield the URL; bundles only to the bearer, if one is set.

    The URL has a path, as an exchange's log has, and only files below it are there.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self):
            path = self.path.removeprefix("/log/")
            data = files.get(path)
            status = 404 if data is None else 200
            bearer = self.headers.get("Authorization") == f"Bearer {bearer_token}"
            if path.startswith("tile/entries/") and bearer_token and not bearer:
                status, data = 401, b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *_):
            """Say nothing: fsck asks for hundreds of tiles."""

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/log/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
