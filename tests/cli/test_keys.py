"""``sivr keys``, ``sivr verify`` and what ``sivr check`` says of master keys."""

from __future__ import annotations

import asyncio
import io
from functools import partial
from pathlib import Path

import pytest

from sivr.cli.init import Plan, write
from sivr.cli.main import main
from sivr.crypto import MasterKeys
from sivr.dicom.phantom import write_phantom
from sivr.store.blobs import Blobs
from sivr.store.sealing import Form
from sivr.store.study_keys import StudyKeys
from tests.services.stored import open_store, store_files


class Node:
    """A configuration that init wrote, with the objects of a series in it."""

    def __init__(self, folder: Path) -> None:
        plan = Plan(web="localhost", toplevel="localhost", institution="localhost", render=("localhost",))
        [self.file] = write(folder / "installed", plan)
        self.master_key = self.file.parent / "keys" / "node-1.master"
        self.data = self.file.parent / "data" / "node-1"
        self.study = self.lost = self.path = ""
        asyncio.run(self._fill(folder))

    async def _fill(self, folder: Path) -> None:
        async with open_store(folder) as store:
            keys = StudyKeys(store.database, partial(MasterKeys.load, self.master_key))
            await keys.start()
            form = Form(True, "aes-256-gcm")
            blobs = Blobs(self.data / "blobs", form, keys.key_of)
            paths = write_phantom(folder / "in", "ramp", (4, 16, 16))
            stored = await store_files(store, paths, blobs=blobs, keys=keys)
        self.study = stored[0].header.study_uid
        self.lost = stored[1].header.instance_uid
        sha256 = stored[1].sha256
        self.object = self.data / "blobs" / sha256[:2] / sha256[2:4] / sha256
        (folder / "node.sqlite").rename(self.file.parent / "data" / "node-1.db")

    def run(self, *arguments: str) -> int:
        return main([*arguments, "--config", str(self.file)])


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_all_is_well(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    assert node.run("verify") == 0
    assert capsys.readouterr().out == "4 objects: 0 damaged, 0 of studies whose keys were erased.\n"
    assert main(["check", str(node.file)]) == 0


def test_damaged_and_missing_objects_are_named(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    body = bytearray(node.object.read_bytes())
    body[-1] ^= 1
    node.object.write_bytes(body)
    assert node.run("verify", "--threads", "1") == 1
    out = capsys.readouterr().out
    assert node.lost in out and "The stored object is damaged." in out
    assert "4 objects: 1 damaged" in out
    node.object.unlink()
    assert node.run("verify") == 1
    assert "The stored object is missing." in capsys.readouterr().out


def test_a_new_master_key(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    before = node.object.read_bytes()
    old = node.master_key.read_text()
    assert node.run("keys", "rotate") == 0
    assert "1 studies" in capsys.readouterr().out
    assert node.object.read_bytes() == before
    assert node.run("verify") == 0
    node.master_key.write_text(old)
    capsys.readouterr()
    for command in (["verify", "--config"], ["keys", "rotate", "--config"], ["check"]):
        assert main([*command, str(node.file)]) == 2
        assert "is needed, the file holds" in capsys.readouterr().err


def test_an_erased_study(
    node: Node, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert node.run("keys", "shred", node.study) == 2
    assert node.run("keys", "shred", "not a UID", "--yes") == 2
    assert node.run("keys", "shred", "1.2.3", "--yes") == 2
    assert node.run("verify") == 0
    assert node.run("keys", "shred", node.study, "--yes") == 0
    capsys.readouterr()
    assert node.run("verify") == 0
    assert capsys.readouterr().out == "4 objects: 0 damaged, 4 of studies whose keys were erased.\n"


def test_check_says_what_is_wrong_with_the_master_key(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    node.master_key.chmod(0o644)
    assert main(["check", str(node.file)]) == 2
    assert "chmod 600" in capsys.readouterr().err
    node.master_key.unlink()
    assert main(["check", str(node.file)]) == 2
    assert "roles.render.storage.master_key: there is no file" in capsys.readouterr().err
    text = node.file.read_text().replace("      master_key: keys/node-1.master\n", "")
    node.file.write_text(text)
    assert main(["check", str(node.file)]) == 2
    assert "this key is needed to encrypt" in capsys.readouterr().err
    node.file.write_text(text.replace("encrypt: true", "encrypt: false"))
    assert main(["check", str(node.file)]) == 2
    assert "this node has encrypted objects" in capsys.readouterr().err


def test_check_without_a_database(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    text = node.file.read_text().replace("sqlite:///data/node-1.db", "postgresql://x:y@127.0.0.1:1/none")
    node.file.write_text(text)
    assert main(["check", str(node.file)]) == 0
    assert "roles.render.database: The database does not answer" in capsys.readouterr().err
