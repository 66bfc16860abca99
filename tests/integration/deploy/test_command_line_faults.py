"""The commands and a server in a bad moment: real connections, scripted answers."""

from __future__ import annotations

import ipaddress
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from deploy.cli.main import main
from tests.support.servers.scripted_server import Answer, scripted_server

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

_BASE = "/vpns/api/v1"
_IMPORT = f"{_BASE}/audience/import"
_STATUS = f"{_BASE}/batchinfo/status/7"
_EVENTS = f"{_STATUS}/events"
_ERRORS = f"{_BASE}/batchinfo/errors/7"
_CSV = {"Content-Type": "text/csv"}
_ACCEPTED = Answer(body='{"id": "7", "message": "File uploaded successfully"}')


def _run(url: str, *arguments: str, **environ: str) -> Result:
    environment = {"ROLLCALL_URL": url, "ROLLCALL_TOKEN": "secret-token", **environ}
    return CliRunner().invoke(main, arguments, env=environment)


def _status(state: str, **counts: int) -> str:
    return json.dumps({"id": "7", "state": state, "total": 2, **counts})


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file to upload."""
    path = tmp_path / "users.csv"
    path.write_bytes(b"Email\na@example.com\nb@example.com\n")
    return str(path)


def test_an_upload_is_sent_again_whole_and_with_the_same_key(file: str) -> None:
    """After an answer that will pass, and after a connection that broke in the answer."""
    busy = Answer(503, '{"message": "not now"}', {"Retry-After": "0"})
    script = {
        _IMPORT: [busy, Answer(is_cut_off=True), _ACCEPTED],
        _STATUS: [Answer(body=_status("COMPLETED", inserted=2))],
    }
    with scripted_server(script) as server:
        result = _run(server.url, "import", file)

        uploads = [asked for asked in server.asked if asked.path == _IMPORT]

    assert result.exit_code == 0, result.output
    assert (
        result.stdout
        == "Job 7: COMPLETED, 2 lines: 2 inserted, 0 updated, 0 unchanged, 0 rejected\n"
    )
    assert result.stderr.count("trying again in") == 2
    assert len(uploads) == 3
    assert len({asked.headers["Idempotency-Key"] for asked in uploads}) == 1
    assert all(b"b@example.com\n\r\n--" in asked.body for asked in uploads)
    assert uploads[0].headers["Authorization"] == "Bearer secret-token"


def test_two_imports_have_two_keys(file: str) -> None:
    """The same file may be imported twice."""
    with scripted_server({_IMPORT: [_ACCEPTED]}) as server:
        for _ in range(2):
            assert _run(server.url, "import", file, "--no-wait").exit_code == 0

        assert len({asked.headers["Idempotency-Key"] for asked in server.asked}) == 2


def test_a_refused_upload_is_not_sent_again(file: str) -> None:
    """A key with other content is refused for ever."""
    script = {_IMPORT: [Answer(409, '{"message": "The key was used for another file"}')]}
    with scripted_server(script) as server:
        result = _run(server.url, "import", file)

        assert len(server.asked) == 1
    assert result.exit_code == 2
    where = f"({server.url}, with a token)"
    assert result.stderr == f"Error: 409: The key was used for another file {where}\n"


def test_a_job_is_followed_by_events(file: str) -> None:
    """Where the stream ends early, the job is asked for and followed on."""
    stream = {"Content-Type": "text/event-stream"}
    running, done = _status("PROCESSING", inserted=1), _status("COMPLETED", inserted=2)
    script = {
        _IMPORT: [_ACCEPTED],
        _STATUS: [Answer(body=_status("ACCEPTED"))],
        _EVENTS: [
            Answer(body=f"data: {running}\n\n", headers=stream, is_cut_off=True),
            Answer(body=f": still there\n\nid: 3\ndata: {done}\n\n", headers=stream),
        ],
    }
    with scripted_server(script) as server:
        result = _run(server.url, "import", file)

        paths = [asked.path for asked in server.asked]
    assert result.exit_code == 0, result.output
    assert paths == [_IMPORT, _STATUS, _EVENTS, _STATUS, _EVENTS]


def test_a_server_without_events_is_asked(file: str) -> None:
    """The stream is tried once; then the status is asked for until the job has ended."""
    waiting, done = Answer(body=_status("ACCEPTED")), Answer(body=_status("COMPLETED", inserted=2))
    script = {_IMPORT: [_ACCEPTED], _STATUS: [waiting, waiting, done]}
    with scripted_server(script) as server:
        result = _run(server.url, "import", file)

        paths = [asked.path for asked in server.asked]
    assert result.exit_code == 0, result.output
    assert paths == [_IMPORT, _STATUS, _EVENTS, _STATUS, _STATUS]


def test_a_server_that_knows_no_dry_runs_is_found_out(file: str) -> None:
    """It has taken the file for an import: that is said, with the job."""
    with scripted_server({_IMPORT: [_ACCEPTED]}) as server:
        result = _run(server.url, "import", file, "--dry-run")

    assert result.exit_code == 2
    assert "knows no dry runs: it imports the file as the job 7" in result.stderr


def test_an_error_file_that_breaks_off_leaves_the_old_one(file: str, tmp_path: Path) -> None:
    """Never half a file, and no other file in its folder."""
    out = tmp_path / "out" / "rejected.csv"
    out.parent.mkdir()
    out.write_text("before")
    script = {
        _IMPORT: [_ACCEPTED],
        _STATUS: [Answer(body=_status("COMPLETED_WITH_ERRORS", inserted=1, rejected=1))],
        _ERRORS: [Answer(200, "Email,Error Line\n", _CSV, is_cut_off=True)],
    }
    with scripted_server(script) as server:
        result = _run(server.url, "import", file, "--errors", str(out))

    assert result.exit_code == 2
    assert "1 rejected" in result.stdout
    assert out.read_text() == "before"
    assert list(out.parent.iterdir()) == [out]


def test_an_error_file_takes_the_place_of_the_old_one(file: str, tmp_path: Path) -> None:
    """Where there are rejections, and only there."""
    out = tmp_path / "rejected.csv"
    out.write_text("before")
    script = {
        _IMPORT: [_ACCEPTED],
        _STATUS: [
            Answer(body=_status("COMPLETED", inserted=2)),
            Answer(body=_status("COMPLETED_WITH_ERRORS", inserted=1, rejected=1)),
        ],
        _ERRORS: [Answer(200, "Email,Error Line\n", _CSV)],
    }
    with scripted_server(script) as server:
        clean = _run(server.url, "import", file, "--errors", str(out))
        kept = out.read_text()
        faulty = _run(server.url, "import", file, "--errors", str(out))

        assert server.asked[-1].headers["Accept"] == "text/csv"
    assert (clean.exit_code, faulty.exit_code) == (0, 1)
    assert kept == "before"
    assert out.read_text() == "Email,Error Line\n"


def test_differences_that_break_off_leave_the_old_file(tmp_path: Path) -> None:
    """What came is not taken for all; the API sends an answer that it can't finish so."""
    out = tmp_path / "out" / "diff.csv"
    out.parent.mkdir()
    out.write_text("before")
    broken = Answer(200, "kind,key\nadded,a\n", _CSV, is_cut_off=True)
    script = {f"{_BASE}/audience/diff": [broken]}
    with scripted_server(script) as server:
        result = _run(server.url, "diff", "1", "now", "--csv", str(out))

        assert server.asked[0].headers["Accept"] == "text/csv"
    assert result.exit_code == 2
    assert out.read_text() == "before"
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(502, "<html>\x1b[2JBad\nGateway</html>"), r"502: <html>\x1b[2JBad Gateway</html>"),
        (Answer(500, ""), "500: no message"),
        (Answer(308, "", {"Location": "https://there/x"}), "308: the server is at https://there/x"),
        (Answer(200, "{}", is_cut_off=True), "could not be reached"),
    ],
)
def test_answers_of_others_are_one_clear_line(answer: Answer, told: str) -> None:
    """A proxy's page, nothing at all, a redirection, half an answer."""
    with scripted_server({f"{_BASE}/batchinfo/status": [answer]}) as server:
        result = _run(server.url, "jobs")

    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_refusal_names_who_was_asked_as_whom() -> None:
    """On its first line; what is wrong in detail comes below."""
    refused = Answer(401, '{"message": "Unauthorized request", "details": [{"message": "why"}]}')
    with scripted_server({f"{_BASE}/batchinfo/status": [refused]}) as server:
        account = {"ROLLCALL_TOKEN": "", "ROLLCALL_USER": "crm", "ROLLCALL_PASSWORD": "secret"}
        by_account = _run(server.url, "jobs", **account)
        by_token = _run(server.url, "jobs")

    message = f"Error: 401: Unauthorized request ({server.url}, {{}})\n  why\n"
    assert by_account.stderr == message.format("as crm")
    assert by_token.stderr == message.format("with a token")


def test_a_certificate_that_is_not_trusted_is_told(tmp_path: Path) -> None:
    """And SSL_CERT_FILE is the way to trust it, on this machine's own address too."""
    certificate = _certificate(tmp_path, "127.0.0.1")
    script = {f"{_BASE}/batchinfo/status": [Answer(body='{"total": 0, "statuses": []}')]}
    with scripted_server(script, certificate=certificate) as server:
        refused = _run(server.url, "jobs")
        trusted = _run(server.url, "jobs", SSL_CERT_FILE=str(certificate))

    assert refused.exit_code == 2
    assert "no trusted connection: self-signed certificate; SSL_CERT_FILE" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert trusted.exit_code == 0, trusted.output


def test_a_certificate_of_another_host_is_told(tmp_path: Path) -> None:
    """The name that was expected stands in the message."""
    certificate = _certificate(tmp_path, "192.0.2.7")
    with scripted_server({}, certificate=certificate) as server:
        result = _run(server.url, "jobs", SSL_CERT_FILE=str(certificate))

    assert result.exit_code == 2
    assert "certificate is not valid for '127.0.0.1'" in result.stderr


def test_tls_where_there_is_none_is_told() -> None:
    """The address says https:// and the server does not."""
    with scripted_server({}) as server:
        result = _run(server.url.replace("http:", "https:"), "jobs")

    assert result.exit_code == 2
    assert "does not speak TLS on this port; is it http://?" in result.stderr


def test_attributes_are_sent_as_they_were_given() -> None:
    """As texts, which the API reads by their types; an empty value as null."""
    script = {
        f"{_BASE}/audience": [Answer(body='{"audience": []}')],
        f"{_BASE}/audience/9": [
            Answer(body='{"id": "9", "email": "a@b.example"}'),
            Answer(body='{"id": "9", "message": "done"}'),
        ],
    }
    given = ("score=-0.5", "vip=TRUE", "plan=007", "note=")
    attributes = [part for pair in given for part in ("--attribute", pair)]
    with scripted_server(script) as server:
        result = _run(server.url, "users", "modify", "9", "--state", "", "--no-sms", *attributes)

        body = json.loads(server.asked[-1].body)
    assert result.exit_code == 0, result.output
    assert body == {
        "state": None,
        "smsSubscription": False,
        "attributes": {"score": "-0.5", "vip": "TRUE", "plan": "007", "note": None},
    }


def _certificate(folder: Path, address: str) -> Path:
    """A self-signed certificate for the address, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "rollcall test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
