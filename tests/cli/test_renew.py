"""``sivr init --renew``: certificates for another year, seen in real handshakes, and nothing else changed."""

from __future__ import annotations

import asyncio
import os
import ssl
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509

from sivr.cli.init import Plan, write
from sivr.cli.local_ca import LocalCa
from sivr.cli.main import main
from sivr.edge.certificates import ServerCertificate
from sivr.edge.listener import listen_https
from tests.flows.system import free_ports

HOST = "127.0.0.1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What init wrote, so long ago that the server's certificate has ended."""
    site = tmp_path / "site"
    write(site, Plan(web=HOST, toplevel=HOST, institution=HOST, render=(HOST,)))
    reissue(site / "tls", LocalCa.load(site / "ca"), 0)
    return site


def reissue(tls: Path, ca: LocalCa, days: int) -> None:
    """Another certificate, with so many days left."""
    for name in ("server.pem", "server.key"):
        (tls / name).unlink()
    ca.issue(tls, [HOST, "localhost"], days)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def serial_in(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


async def shake_hands(folder: Path) -> int:
    """The serial number of the certificate that a browser sees; raises what it would say."""
    port = free_ports(1)
    tls = ServerCertificate(folder / "tls" / "server.pem", folder / "tls" / "server.key")
    trusting = ssl.create_default_context(cafile=str(folder / "ca" / "ca.pem"))
    async with listen_https(web.Application(), HOST, port, tls):
        _, writer = await asyncio.open_connection(HOST, port, ssl=trusting)
        found = writer.get_extra_info("peercert")
        writer.close()
        await writer.wait_closed()
    return int(found["serialNumber"], 16)


async def test_an_ended_certificate_is_renewed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        await shake_hands(folder)
    assert await asyncio.to_thread(main, ["check", str(folder / "sivr.yaml")]) == 0
    shown = capsys.readouterr()
    assert "good (web, toplevel, institution, render)" in shown.out
    assert shown.err.count("\n") == 1
    assert "warning: roles.web.tls.certificate: The TLS certificate ended on" in shown.err
    before = contents(folder)
    assert main(["init", "--renew", str(folder)]) == 0
    assert f"renewed {folder / 'tls' / 'server.pem'}: good until" in capsys.readouterr().out
    after = contents(folder)
    assert {name for name in before | after if before.get(name) != after.get(name)} == {"tls/server.pem"}
    assert await shake_hands(folder) == serial_in(folder / "tls" / "server.pem")
    assert await asyncio.to_thread(main, ["check", str(folder / "sivr.yaml")]) == 0
    assert not capsys.readouterr().err
    old = x509.load_pem_x509_certificate(before["tls/server.pem"])
    new = x509.load_pem_x509_certificate(after["tls/server.pem"])
    assert new.subject == old.subject
    assert [one.value for one in new.extensions] == [one.value for one in old.extensions]


@pytest.mark.parametrize(("days", "warned"), [(29, True), (31, False)])
def test_check_warns_within_a_month(
    folder: Path, days: int, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    reissue(folder / "tls", LocalCa.load(folder / "ca"), days)
    assert main(["check", str(folder / "sivr.yaml")]) == 0
    assert ("The TLS certificate ends on" in capsys.readouterr().err) == warned


def test_modes_stay_whatever_the_mask(folder: Path) -> None:
    before = {one: one.stat().st_mode for one in folder.rglob("*")}
    mask = os.umask(0o077)
    try:
        assert main(["init", "--renew", str(folder)]) == 0
    finally:
        os.umask(mask)
    assert {one: one.stat().st_mode for one in folder.rglob("*")} == before
    assert stat.S_IMODE((folder / "tls" / "server.pem").stat().st_mode) == 0o644
    assert stat.S_IMODE((folder / "tls" / "server.key").stat().st_mode) == 0o600


def test_every_host_of_a_site(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hosts = ("a.example.org", "b.example.org")
    files = write(tmp_path, Plan(web=hosts[0], toplevel=hosts[0], institution=hosts[0], render=(hosts[1],)))
    paths = [one.parent / "tls" / "server.pem" for one in files]
    # Its key lies on its host only; it is not needed.
    (paths[1].parent / "server.key").unlink()
    # Bought elsewhere.
    other = LocalCa()
    reissue(paths[0].parent, other, 90)
    before = [serial_in(one) for one in paths]
    assert main(["init", str(tmp_path), "--renew"]) == 0
    shown = capsys.readouterr().out
    assert f"left {paths[0]} alone: another authority issued it" in shown
    assert f"renewed {paths[1]}" in shown
    assert serial_in(paths[0]) == before[0]
    assert serial_in(paths[1]) != before[1]


def without_key(folder: Path) -> None:
    (folder / "ca" / "ca.key").unlink()


def broken_key(folder: Path) -> None:
    (folder / "ca" / "ca.key").write_text("x")


def other_certificate(folder: Path) -> None:
    (folder / "ca" / "ca.pem").unlink()
    LocalCa().save_certificate(folder / "ca" / "ca.pem")


def other_authority(folder: Path) -> None:
    for name in ("ca.pem", "ca.key"):
        (folder / "ca" / name).unlink()
    LocalCa().save(folder / "ca")


def without_server(folder: Path) -> None:
    (folder / "tls" / "server.pem").unlink()


def broken_server(folder: Path) -> None:
    (folder / "tls" / "server.pem").write_text("x")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (without_key, "There is no {}/ca/ca.key"),
        (broken_key, "The authority in {}/ca cannot be used"),
        (other_certificate, "{}/ca/ca.key is not the key of {}/ca/ca.pem."),
        (other_authority, "{} holds no server certificate of its own authority; nothing was renewed."),
        (without_server, "{} holds no server certificate"),
        (broken_server, "The certificate {}/tls/server.pem cannot be renewed"),
    ],
)
def test_refusals(
    folder: Path, spoil: Callable[[Path], None], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(folder)
    before = contents(folder)
    assert main(["init", "--renew", str(folder)]) == 2
    assert sentence.replace("{}", str(folder)) in capsys.readouterr().err
    assert contents(folder) == before


def test_nothing_outlives_its_authority(tmp_path: Path) -> None:
    ca = LocalCa()
    ca.issue(tmp_path, [HOST], 20 * 365)
    ca.save_certificate(tmp_path / "ca.pem")
    ends = [
        x509.load_pem_x509_certificate((tmp_path / name).read_bytes()).not_valid_after_utc
        for name in ("server.pem", "ca.pem")
    ]
    assert ends[0] == ends[1]
