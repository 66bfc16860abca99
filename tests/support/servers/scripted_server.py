"""A server that answers as it is told, for what the real one does only in bad moments."""

from __future__ import annotations

import contextlib
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_HELD_S = 240.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; where ``is_cut_off`` the connection ends before all of it was sent.

    It is held until ``is_due`` is set, where that is given.
    """

    status: int = 200
    body: str = "{}"
    headers: dict[str, str] = field(default_factory=dict[str, str])
    is_cut_off: bool = False
    is_due: threading.Event | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class ScriptedServer:
    """What a server was told to answer, by its path, and what it was asked."""

    url: str
    answers: dict[str, list[Answer]]
    asked: list[Asked] = field(default_factory=list[Asked])

    def next_answer(self, path: str) -> Answer:
        """The next one for the path; the last one is for ever; 404 where there is none."""
        answers = self.answers.get(path.partition("?")[0], [Answer(404, '{"message": "none"}')])
        return answers.pop(0) if len(answers) > 1 else answers[0]


@contextlib.contextmanager
def scripted_server(
    answers: dict[str, list[Answer]], *, certificate: Path | None = None
) -> Generator[ScriptedServer]:
    """The server, listening; with a certificate (and its key in the same file) it speaks TLS."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - nothing is logged
            return

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            server.asked.append(Asked(self.command, self.path, dict(self.headers), body))
            answer = server.next_answer(self.path)
            if answer.is_due is not None:
                answer.is_due.wait(_HELD_S)
            content = answer.body.encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content) + answer.is_cut_off))
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = answer.is_cut_off

        do_GET = do_POST = do_PUT = _answer  # noqa: N815 - http.server's names

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
        scheme = "https"
    server = ScriptedServer(f"{scheme}://127.0.0.1:{listening.server_port}", answers)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()
