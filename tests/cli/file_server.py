"""An HTTP server on 127.0.0.1 whose files behave as a test wants: slow, cut off, changed, gone."""

import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECE = 1 << 14


@dataclass
class File:
    content: bytes = b""
    etag: str = '"first"'
    ranges: bool = True         # whether parts can be asked for
    heeds_if_range: bool = True  # whether a part is refused when the file has changed
    length: bool = True         # whether the answer states its length
    cuts: list = field(default_factory=list)      # the next answers end after so many bytes
    statuses: list = field(default_factory=list)  # the next answers are these errors
    location: str = ""          # the answer is a redirect to there
    pause: float = 0            # seconds after each piece
    hold: int | None = None     # the answer stands still after so many bytes until this is None


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.requests.append((self.path, asked, self.headers.get("If-Range")))
        file = server.files.get(self.path)
        if file is None:
            return self.send_error(404)
        if file.statuses:
            return self.send_error(file.statuses.pop(0))
        if file.location:
            self.send_response(302)
            self.send_header("Location", file.location)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_file(file, asked)

    def send_file(self, file, asked):
        content, first = file.content, 0
        unchanged = not file.heeds_if_range or self.headers.get("If-Range") in (None, file.etag)
        if asked and file.ranges and unchanged:
            first = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if first >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if file.etag:
            self.send_header("ETag", file.etag)
        if file.length:
            self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        end = first + file.cuts.pop(0) if file.cuts else len(content)
        try:
            if file.hold is not None:
                self.wfile.write(content[first:file.hold])
                first = file.hold
                while file.hold is not None and not self.server.closing.wait(0.02):
                    pass
            for start in range(first, end, PIECE):
                self.wfile.write(content[start:min(start + PIECE, end)])
                if self.server.closing.wait(file.pause):
                    return
        except (BrokenPipeError, ConnectionResetError):
            pass


@contextmanager
def serve(files: dict[str, File], context=None):
    """The server, with TLS if there is a `context`; `url` is its root, `requests` what it was asked: path, Range, If-Range."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.files = files
    server.requests = []
    server.closing = threading.Event()
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True,
                                            do_handshake_on_connect=False)
    scheme = "https" if context else "http"
    server.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
