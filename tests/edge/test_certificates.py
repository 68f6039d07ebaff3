"""When a certificate ends: told at start and daily, before it is too late."""

from __future__ import annotations

import asyncio
import datetime
import logging
from pathlib import Path

import pytest

from sivr.cli.local_ca import LocalCa
from sivr.edge.certificates import ServerCertificate, certificate_end, ending, watch_certificate
from sivr.errors import Invalid


def in_days(days: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)


@pytest.mark.parametrize(
    ("days", "sentence"),
    [(400, ""), (30.1, ""), (29.9, "29 days from now"), (0.5, "0 days from now"), (-0.1, "ended on")],
)
def test_sentences(days: float, sentence: str) -> None:
    told = ending(in_days(days))
    assert sentence in told
    assert bool(told) == bool(sentence)


def test_the_first_of_a_chain_counts(tmp_path: Path) -> None:
    ca = LocalCa()
    ca.issue(tmp_path, ["localhost"], 10)
    ca.save_certificate(tmp_path / "ca.pem")
    chain = tmp_path / "chain.pem"
    chain.write_bytes((tmp_path / "server.pem").read_bytes() + (tmp_path / "ca.pem").read_bytes())
    assert abs(certificate_end(chain) - in_days(10)) < datetime.timedelta(hours=1)
    with pytest.raises(Invalid, match="cannot be read"):
        certificate_end(tmp_path / "server.key")


async def test_told_at_once_and_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    LocalCa().issue(tmp_path, ["localhost"], 10)
    certificate = ServerCertificate(tmp_path / "server.pem", tmp_path / "server.key")
    async with watch_certificate(certificate, warn_s=0.01) as note:
        while len(caplog.records) < 3:
            await asyncio.sleep(0.01)
        assert "The TLS certificate ends on" in note()
    assert {one.levelno for one in caplog.records} == {logging.WARNING}
    assert "The TLS certificate ends on" in vars(caplog.records[0])["reason"]


async def test_renewed_files_are_taken_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ca = LocalCa()
    ca.issue(tmp_path, ["localhost"], 10)
    certificate = ServerCertificate(tmp_path / "server.pem", tmp_path / "server.key")
    taken = []
    certificate.on_change(lambda: taken.append(1))
    async with watch_certificate(certificate, reload_s=0.01) as note:
        assert "days from now" in note()
        # Half of a pair: the old one stays in force.
        half = tmp_path / "half"
        half.mkdir()
        LocalCa().issue(half, ["localhost"], 100)
        (half / "server.pem").replace(tmp_path / "server.pem")
        while not any("cannot be used" in str(vars(one).get("reason")) for one in caplog.records):
            await asyncio.sleep(0.01)
        assert "days from now" in note()
        assert len(taken) == 1
        (half / "server.key").replace(tmp_path / "server.key")
        while note():
            await asyncio.sleep(0.01)
    assert len(taken) == 2


def test_nothing_is_read_again_while_nothing_changes(tmp_path: Path) -> None:
    LocalCa().issue(tmp_path, ["localhost"], 10)
    certificate = ServerCertificate(tmp_path / "server.pem", tmp_path / "server.key")
    assert not certificate.reload()
    (tmp_path / "server.key").touch()
    assert certificate.reload()
    (tmp_path / "server.key").unlink()
    assert not certificate.reload()
