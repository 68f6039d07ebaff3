"""The YAML file: the complete example loads, every fault is named by its key path."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from sivr import config
from sivr.cli.init import Plan, write
from sivr.cli.main import main
from sivr.crypto import MasterKeys, SigningKey
from sivr.errors import Invalid
from sivr.gl import devices

EXAMPLE = Path(__file__).parents[1] / "example.yaml"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """example.yaml beside the files it names."""
    shutil.copy(EXAMPLE, tmp_path / "example.yaml")
    written = tmp_path / "written"
    write(
        written, Plan(web="localhost", toplevel="localhost", institution="localhost", render=("localhost",))
    )
    shutil.copytree(written / "tls", tmp_path / "tls")
    (tmp_path / "keys").mkdir()
    for name in ("county", "general", "node-1"):
        SigningKey.generate().save(tmp_path / "keys" / f"{name}.key")
    MasterKeys.generate().save(tmp_path / "keys" / "node-1.master")
    (tmp_path / "keys" / "metrics.token").write_text("0123456789abcdef0123456789abcdef\n")
    return tmp_path / "example.yaml"


def _every_field(kind: Any, tree: dict[str, Any], path: str) -> list[str]:
    missing = []
    for field in msgspec.structs.fields(kind):
        here = f"{path}.{field.name}"
        if field.name not in tree:
            missing.append(here)
            continue
        for inner in (field.type, *getattr(field.type, "__args__", ())):
            value = tree[field.name]
            value = value[0] if isinstance(value, list) else value
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct) and isinstance(value, dict):
                missing += _every_field(inner, value, here)
    return missing


def test_example_loads_and_starts_all_roles(example: Path) -> None:
    settings = config.load(example)
    assert config.role_names(settings) == ("web", "toplevel", "institution", "render")
    assert settings.roles.render is not None
    assert settings.roles.render.data == str(example.parent / "data/node-1")
    assert settings.roles.render.database == f"sqlite:///{example.parent}/data/node-1.db"


def test_example_shows_every_key() -> None:
    tree = yaml.safe_load(EXAMPLE.read_text())
    optional = {
        f"config.roles.{role}.listen.redirect_http_port" for role in ("toplevel", "institution", "render")
    }
    assert set(_every_field(config.Config, tree, "config")) <= optional


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("level: info ", "level: loud ", "log.level: invalid enum value 'loud'."),
        ("memory_mb: 4096", "memory_gb: 4", "roles.render.memory_gb: there is no such key."),
        ("    data: data/node-1 ", "    # data: ", "roles.render.data: this key is missing."),
        ("memory_mb: 4096", "memory_mb: lots", "roles.render.memory_mb: expected `int`, got `str`."),
        ("port: 8443\n", "port: 99999\n", "roles.web.listen.port: expected `int` <= 65535."),
        ("url: https://sivr.example.org:8443/render\n", "url: http://sivr.example.org\n",
         "roles.institution.nodes[0].url: must be an https:// address."),
        ("8443/institution\n    listen", "8443/toplevel\n    listen",
         "roles.institution.url: the role toplevel answers at this address and path already."),
        ("tls: {certificate: tls/server.pem,", "tls: {certificate: tls/ca.pem,",
         "roles.toplevel.tls.certificate: the role web has another file for the same address."),
        ("listen: {host: 0.0.0.0, port: 8443}", "listen: {host: 0.0.0.0, port: 8443, redirect_http_port: 81}",
         "roles.toplevel.listen.redirect_http_port: the role web has another port for the same address."),
        ("sqlite:///data/county.db", "mysql://x", "roles.toplevel.database: must begin with"),
        ('public_key: "ed25519:1yIi', 'public_key: "ed25519:1y',
         "roles.institution.nodes[0].public_key: A public key is 'ed25519:' and base64."),
        ("signing_key: keys/county.key", "signing_key: keys/nowhere.key",
         "roles.toplevel.signing_key: there is no file"),
        ("gl_device: all", "gl_device: first", "roles.render.gl_device: must be all, the number"),
        ("texture_budget_mb: auto", "texture_budget_mb: 0", "roles.render.texture_budget_mb: expected"),
        ("[http/1.1, h2, h3]", "[h2, h3]", "edge.protocols: http/1.1 cannot be left out"),
        ("[http/1.1, h2, h3]", "[http/1.1, h4]", "edge.protocols[1]: invalid enum value 'h4'."),
        ("header_kb: 64", "header_kb: 1", "edge.header_kb: expected `int` >= 16."),
        ("roles:\n", "roles: [\n", "This is not YAML (line"),
    ],
)  # fmt: skip
def test_fault_is_named_by_key_path(
    example: Path, old: str, new: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = example.read_text()
    assert old in text
    example.write_text(text.replace(old, new, 1) if "render" not in old else text.replace(old, new))
    with pytest.raises(Invalid) as caught:
        config.load(example)
    assert sentence in caught.value.message
    assert main(["check", str(example)]) == 2
    assert sentence in capsys.readouterr().err


def test_roles_of_one_address_may_leave_the_redirect_to_one_of_them(example: Path) -> None:
    text = example.read_text().replace("      redirect_http_port: 8080 ", "      # ")
    shared = "listen: {host: 0.0.0.0, port: 8443}"
    config.parse(text, example.parent)
    config.parse(text.replace(shared, shared[:-1] + ", redirect_http_port: 8080}"), example.parent)
    config.parse(text.replace(shared, shared[:-1] + ", redirect_http_port: 8080}", 1), example.parent)
    other = text.replace(shared, "listen: {host: 0.0.0.0, port: 8444}", 1)
    other = other.replace(
        "{certificate: tls/server.pem, key: tls/server.key}",
        "{certificate: tls/ca.pem, key: tls/server.key}",
        1,
    )
    config.parse(other, example.parent)


def test_check_says_good(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(example)]) == 0
    assert "good (web, toplevel, institution, render)" in capsys.readouterr().out


@pytest.mark.parametrize("platform", ["osmesa", "glfw", "software"])
def test_only_egl_lets_a_graphics_device_be_chosen(example: Path, platform: str) -> None:
    text = example.read_text().replace("gl_device: all", "gl_device: 0")
    assert config.parse(text, example.parent).roles.render.gl_device == 0  # type: ignore[union-attr]
    with pytest.raises(Invalid, match="gl_device: a graphics device can be chosen where gl_platform is auto"):
        config.parse(text.replace("gl_platform: auto", f"gl_platform: {platform}"), example.parent)


def test_check_lists_graphics_devices_and_refuses_one_that_is_not_there(
    example: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = devices.probe()
    assert main(["check", str(example)]) == 0
    out = capsys.readouterr().out
    for device in found:
        assert device.line() in out
    example.write_text(example.read_text().replace("gl_device: all", "gl_device: 99"))
    assert main(["check", str(example)]) == 2
    told = capsys.readouterr().err
    assert "roles.render.gl_device: there is no graphics device 99 here (" in told
    assert (found[0].renderer if found else "EGL is not installed") in told


def test_check_reads_key_and_certificate(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (example.parent / "tls" / "server.key").write_text("not a key")
    assert main(["check", str(example)]) == 2
    assert "cannot be used" in capsys.readouterr().err


def test_empty_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        config.load(tmp_path / "none.yaml")
    with pytest.raises(Invalid, match="must be a mapping"):
        config.parse("", tmp_path)
    with pytest.raises(Invalid, match="roles: name at least one"):
        config.parse("roles: {}", tmp_path)


@pytest.mark.parametrize(
    ("metrics", "sentence"),
    [
        ({}, "metrics: give a token_file, addresses or both"),
        ({"addresses": ["10.1.2.3/8"]}, "metrics.addresses[0]: 10.1.2.3/8 has host bits set."),
        ({"addresses": ["here"]}, "metrics.addresses[0]:"),
        ({"token_file": "nowhere"}, "metrics.token_file: there is no file"),
        ({"token_file": "short"}, "metrics.token_file: the token must be one line of at least 16"),
        ({"token": "x" * 20}, "metrics.token: there is no such key."),
    ],
)
def test_who_may_read_metrics(example: Path, metrics: dict[str, Any], sentence: str) -> None:
    tree = yaml.safe_load(example.read_text())
    (example.parent / "short").write_text("secret\n")
    with pytest.raises(Invalid) as refused:
        config.parse(yaml.safe_dump(tree | {"metrics": metrics}), example.parent)
    assert sentence in refused.value.message
