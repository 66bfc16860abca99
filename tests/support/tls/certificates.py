"""An authority and a server's certificate, for TLS to real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

if TYPE_CHECKING:
    from pathlib import Path


class Certificates:
    """An authority, and the certificate of 127.0.0.1 that it has signed, as files in a folder."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        signed = authority.issue_cert("127.0.0.1")
        self.authority = folder / "ca.pem"
        self.key_and_chain = folder / "server.pem"
        key = load_pem_private_key(signed.private_key_pem.bytes(), None)
        # Kafka reads keys as PKCS 8 only.
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.key_and_chain.write_bytes(text + b"".join(c.bytes() for c in signed.cert_chain_pems))
        authority.cert_pem.write_to_path(str(self.authority))
