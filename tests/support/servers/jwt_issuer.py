"""An issuer of JWTs: real keys, and a real HTTP server that shows the public ones."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

if TYPE_CHECKING:
    from collections.abc import Mapping

ISSUER = "https://issuer.example"
AUDIENCE = "rollcall"
Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
Jwk = dict[str, Any]


def private_key(kind: str, number: int = 0) -> Any:
    """A private key, made once a session: ``RSA``, ``RSA-1024``, ``P-256`` and so on."""
    return _made(kind, number)


@cache
def _made(kind: str, _number: int) -> Any:
    if kind.startswith("RSA"):
        size = int(kind.partition("-")[2] or 2048)
        return rsa.generate_private_key(public_exponent=65537, key_size=size)
    curves = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}
    if kind in curves:
        return ec.generate_private_key(curves[kind]())
    if kind == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    return ed25519.Ed25519PrivateKey.generate()


def public_jwk(kind: str, number: int = 0, **members: object) -> Jwk:
    """The public key as a JWK with these further members."""
    key = private_key(kind, number).public_key()
    makers: Any = {"R": RSAAlgorithm, "P": ECAlgorithm, "E": OKPAlgorithm}
    return {**makers[kind[0]].to_jwk(key, as_dict=True), **members}


def claims(**others: object) -> dict[str, Any]:
    """What a good JWT of an importer claims, with these changed; None leaves a claim out."""
    now = int(time.time())
    good: dict[str, object] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "role": "importer",
        "iat": now,
        "exp": now + 300,
    }
    return {name: value for name, value in {**good, **others}.items() if value is not None}


def signed(
    payload: Mapping[str, Any] | None = None,
    *,
    kind: str = "RSA",
    number: int = 0,
    algorithm: str = "RS256",
    **head: object,
) -> str:
    """A JWT; ``head`` are further members of its header."""
    return jwt.encode(
        dict(payload if payload is not None else claims()),
        private_key(kind, number),
        algorithm,
        headers={"kid": "one", **head},
    )


@dataclass(slots=True)
class IssuerServer:
    """Shows a JWKS over HTTP; a context manager. ``requests`` counts who asked."""

    keys: list[Jwk] = field(default_factory=lambda: [public_jwk("RSA", kid="one")])
    requests: int = 0
    status: int = 200
    body: bytes | None = None
    pause_s: float = 0
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def listen(self, port: int = 0) -> None:
        """Begin to answer."""
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.requests += 1
                time.sleep(issuer.pause_s)
                body = issuer.body or json.dumps({"keys": issuer.keys}).encode()
                self.send_response(issuer.status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                """Nothing on stderr."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Answer no more: connections are refused from now on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        """Of the JWKS."""
        return f"http://127.0.0.1:{self.port}/keys"

    @property
    def environ(self) -> dict[str, str]:
        """The settings of an API that takes this issuer's JWTs, without the prefix."""
        return {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_jwks_url": self.url}
