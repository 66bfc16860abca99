"""Ports of this machine, taken and free."""

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.cli.main import main
from deploy.local_stack.ports import HOST, is_free, keep_or_choose_ports
from deploy.local_stack.rollcall import PortInUseError, choose_port


def test_ports_are_kept_while_they_are_free(tmp_path: Path) -> None:
    """A broker comes back on its port, and on another only where somebody took it."""
    path = tmp_path / "ports.json"
    ports = keep_or_choose_ports(path, 2)

    assert len(set(ports)) == 2
    assert keep_or_choose_ports(path, 2) == ports
    with socket.create_server((HOST, ports[0])):
        assert not is_free(ports[0])
        assert ports[0] not in keep_or_choose_ports(path, 2)


def test_a_port_in_use_is_refused() -> None:
    """A port that was asked for is never silently replaced by another."""
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"port {port} is in use"):
            choose_port(port)


def test_an_unreachable_api_is_an_error_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import that reaches nobody ends with status 2, as a refused file does."""
    path = tmp_path / "users.csv"
    path.write_text("Email\na@example.com\n")
    monkeypatch.setenv("ROLLCALL_USER", "admin")
    monkeypatch.setenv("ROLLCALL_PASSWORD", "secret")

    result = CliRunner().invoke(
        main, ["import", str(path), "--url", "http://127.0.0.1:9", "--retry-for", "1"]
    )

    assert result.exit_code == 2
    assert "could not be reached" in result.output
