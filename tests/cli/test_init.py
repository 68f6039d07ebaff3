"""``sivr init`` writes what loads, for one host and for several, and keeps secrets to itself."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from sivr import config
from sivr.cli.init import Plan, write
from sivr.cli.main import main
from sivr.crypto import PublicKey, SigningKey
from sivr.errors import Conflict, Invalid


def everything_on(host: str, **options: object) -> Plan:
    return Plan(web=host, toplevel=host, institution=host, render=(host,), **options)  # type: ignore[arg-type]


def test_one_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "x"), "--host", "sivr.example.org"]) == 0
    file = tmp_path / "x" / "sivr.yaml"
    assert f"sivr run --config {file}" in capsys.readouterr().out
    settings = config.load(file)
    assert config.role_names(settings) == ("web", "toplevel", "institution", "render")
    assert main(["check", str(file)]) == 0
    for key in (tmp_path / "x" / "keys").iterdir():
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "x" / "ca" / "ca.key").stat().st_mode) == 0o600


def test_keys_fit_together(tmp_path: Path) -> None:
    settings = config.load(write(tmp_path, everything_on("localhost"))[0]).roles
    assert settings.toplevel and settings.institution and settings.render
    toplevel_key = SigningKey.load(Path(settings.toplevel.signing_key)).public
    assert PublicKey.parse(settings.institution.toplevels[0].public_keys[0]) == toplevel_key
    assert PublicKey.parse(settings.render.toplevels[0].public_keys[0]) == toplevel_key
    institution_key = SigningKey.load(Path(settings.institution.signing_key)).public
    assert PublicKey.parse(settings.render.institution.public_keys[0]) == institution_key
    node_key = SigningKey.load(Path(settings.render.signing_key)).public
    assert PublicKey.parse(settings.institution.nodes[0].public_key) == node_key


def test_several_hosts(tmp_path: Path) -> None:
    plan = Plan(
        web="www.example.org",
        toplevel="who.example.org",
        institution="what.example.org",
        render=("n1.example.org", "n2.example.org"),
        port=443,
    )
    files = write(tmp_path, plan)
    assert [file.parent.name for file in files] == [
        "www.example.org", "who.example.org", "what.example.org", "n1.example.org", "n2.example.org",
    ]  # fmt: skip
    web = config.load(files[0]).roles.web
    assert web is not None
    assert web.toplevels[0].url == "https://who.example.org"
    institution = config.load(files[2]).roles.institution
    assert institution is not None
    assert [node.url for node in institution.nodes] == ["https://n1.example.org", "https://n2.example.org"]
    assert not (files[0].parent / "ca" / "ca.key").exists()
    certificate = x509.load_pem_x509_certificate((files[3].parent / "tls" / "server.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["n1.example.org"]


def test_certificates_are_signed_by_the_authority(tmp_path: Path) -> None:
    write(tmp_path, everything_on("127.0.0.1", separate_ports=True))
    context = ssl.create_default_context(cafile=str(tmp_path / "ca" / "ca.pem"))
    assert context.get_ca_certs()
    ca = x509.load_pem_x509_certificate((tmp_path / "ca" / "ca.pem").read_bytes())
    server = x509.load_pem_x509_certificate((tmp_path / "tls" / "server.pem").read_bytes())
    server.verify_directly_issued_by(ca)


def test_separate_ports(tmp_path: Path) -> None:
    settings = config.load(write(tmp_path, everything_on("127.0.0.1", separate_ports=True, port=9000))[0])
    ports = [getattr(settings.roles, name).listen.port for name in config.role_names(settings)]
    assert ports == [9000, 9001, 9002, 9003]


@pytest.mark.parametrize(
    ("host", "listen"),
    [
        ("localhost", "localhost"),
        ("127.0.0.1", "localhost"),
        ("::1", "::1"),
        ("2001:db8::7", "::"),
        ("192.0.2.7", "::"),
        ("sivr.example.org", "::"),
    ],
)
def test_what_is_bound_reaches_the_host(tmp_path: Path, host: str, listen: str) -> None:
    web = config.load(write(tmp_path, everything_on(host))[0]).roles.web
    assert web is not None
    assert web.listen.host == listen


def test_refusals(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").write_text("x")
    with pytest.raises(Conflict, match="not empty"):
        write(tmp_path / "full", everything_on("localhost"))
    with pytest.raises(Invalid, match="not a host name"):
        write(tmp_path / "bad", everything_on("bad host/"))
    assert not (tmp_path / "bad").exists()
