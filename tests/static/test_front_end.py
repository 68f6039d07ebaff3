"""The front end's files: their layers, their sentences, their weight, and what the page's policy forbids."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import pytest

import sivr
from sivr.model.directory import Sex
from sivr.model.people import UserRole
from sivr.model.presets import PRESETS
from sivr.model.rendering import Method
from sivr.model.window_presets import WINDOW_PRESETS

STATIC = Path(sivr.__file__).parent / "static"
MODULES = sorted(STATIC.rglob("*.js"))
LAYERS = ("lib", "model", "net", "tools", "components", "actions", "pages", "")
"""From the bottom to the top; the last is app.js itself."""
BUDGET_BYTES = 150_000
"""What the log in page may weigh over the wire."""
WHOLE_BYTES = 400_000
IMPORT = re.compile(r"""(?:^|\n)\s*(?:import|export)\s(?:[^"';]*?\sfrom\s)?["']([^"']+)["']""")
NAMES = [str(path.relative_to(STATIC)) for path in MODULES]


def layer(path: Path) -> int:
    """The level of a module; raises ValueError for a folder nobody knows."""
    parts = path.relative_to(STATIC).parts
    return LAYERS.index(parts[0] if len(parts) > 1 else "")


def imports(path: Path) -> list[str]:
    """What a module imports, dynamic imports included."""
    text = path.read_text()
    return [
        *IMPORT.findall(text),
        *re.findall(r"[^@{.\w]import\(\s*[\"']([^\"']+)[\"']", strip_comments(text)),
    ]


def strip_comments(text: str) -> str:
    """Without block comments (types live there) and line comments."""
    return re.sub(r"(?m)^\s*//.*$", "", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_imports_are_relative_resolve_and_go_down(path: Path) -> None:
    for target in imports(path):
        assert target.startswith(("./", "../")), f"{target} is not relative"
        found = (path.parent / target).resolve()
        assert found.is_file(), f"{target} does not exist"
        assert layer(found) <= layer(path), f"{target} lies above"


def test_modules_do_not_import_in_circles() -> None:
    graph = {path: [(path.parent / target).resolve() for target in imports(path)] for path in MODULES}
    done: set[Path] = set()

    def walk(path: Path, way: tuple[Path, ...]) -> None:
        assert path not in way, " → ".join(str(one.relative_to(STATIC)) for one in (*way, path))
        if path in done:
            return
        for target in graph[path]:
            walk(target, (*way, path))
        done.add(path)

    for path in MODULES:
        walk(path, ())


def test_only_net_speaks_to_servers() -> None:
    speaking = re.compile(r"(?<![#.\w])fetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon")
    for path in MODULES:
        if path.parent.name != "net":
            assert not speaking.search(strip_comments(path.read_text())), path


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_every_module_is_checked_and_parses(path: Path) -> None:
    assert path.read_text().startswith("// @ts-check\n")
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not on this machine; the browser tests load every module anyway")
    checked = subprocess.run(
        [node, "--input-type=module", "--check"], input=path.read_bytes(), capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr.decode()


def test_the_page_names_every_module_and_style() -> None:
    page = (STATIC / "index.html").read_text()
    named = set(re.findall(r'<(?:link|script)[^>]*(?:href|src)="([^"]+)"', page))
    assert {*NAMES} <= named
    assert {str(path.relative_to(STATIC)) for path in STATIC.rglob("*.css")} <= named
    assert all((STATIC / name).is_file() for name in named)


def test_nothing_the_policy_forbids() -> None:
    page = (STATIC / "index.html").read_text()
    writing = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function")
    assert not re.search(r"\son\w+=", page), "inline handlers are forbidden"
    assert not re.search(r"\sstyle=|<style", page), "inline styles are forbidden"
    assert not re.search(r"<script(?![^>]*\ssrc=)", page), "inline scripts are forbidden"
    for path in MODULES:
        code = strip_comments(path.read_text())
        assert not writing.search(code), path
        assert not re.search(r"""setAttribute\(["']style|[{,]\s*style:""", code), path
        assert "http://" not in code.replace("http://www.w3.org/2000/svg", ""), path
    for path in STATIC.rglob("*.css"):
        assert "url(" not in path.read_text(), "styles fetch nothing"


def test_tokens_are_never_stored() -> None:
    stores = re.compile(r"(?:localStorage|sessionStorage|indexedDB|document\.cookie)[^;\n]*")
    allowed = {"sivr.language", "sivr.places", "sivr.toplevel"}
    for path in MODULES:
        text = path.read_text()
        for use in stores.findall(strip_comments(text)):
            assert "localStorage" in use, f"{path.name}: {use}"
            constant = re.search(r"Item\((\w+)", use)
            assert constant, f"{path.name}: {use}"
            value = re.search(rf'const {constant.group(1)} = "([^"]+)"', text)
            assert value, f"{path.name}: {use}"
            assert value.group(1) in allowed


def weight(paths: Iterable[Path]) -> int:
    """Bytes over the wire."""
    return sum(len(gzip.compress(path.read_bytes(), 9)) for path in paths)


def needed_by(path: Path, found: set[Path]) -> set[Path]:
    """A module and everything it imports before it runs."""
    if path not in found:
        found.add(path)
        for target in IMPORT.findall(path.read_text()):
            needed_by((path.parent / target).resolve(), found)
    return found


def test_the_log_in_is_light() -> None:
    others = [path for path in STATIC.rglob("*") if path.is_file() and path.suffix not in (".py", ".js")]
    total = weight([*others, *needed_by(STATIC / "app.js", set())])
    assert total < BUDGET_BYTES, f"{total} bytes over the wire"


def test_the_whole_front_end_is_light() -> None:
    total = weight(path for path in STATIC.rglob("*") if path.is_file() and path.suffix != ".py")
    assert total < WHOLE_BYTES, f"{total} bytes over the wire"


def test_the_page_fetches_what_the_log_in_needs_at_once_and_the_rest_later() -> None:
    page = (STATIC / "index.html").read_text()
    at_once = set(re.findall(r'<link rel="modulepreload" href="([^"]+)"', page))
    later = set(re.findall(r'<link rel="later" href="([^"]+)"', page))
    needed = {str(path.relative_to(STATIC)) for path in needed_by(STATIC / "app.js", set())} - {"app.js"}
    assert at_once == needed
    assert later == {*NAMES} - needed - {"app.js"}


SAYING = [STATIC / "model" / "messages.js", *sorted((STATIC / "model" / "messages").glob("*.js"))]


def catalogue() -> dict[str, dict[str, str | dict[str, str]]]:
    """The message catalogue, read as text so that no JavaScript engine is needed."""
    found: dict[str, dict[str, str | dict[str, str]]] = {}
    line = re.compile(r'^  "([^"]+)": (\{.*\}),$', re.MULTILINE)
    for path in SAYING:
        for key, body in line.findall(path.read_text()):
            assert key not in found, f"{key} stands twice"
            found[key] = json.loads(re.sub(r"([{,]\s*)(\w+):", r'\1"\2":', body))
    return found


def forms(text: str | dict[str, str]) -> list[str]:
    """Every plural form of a message."""
    return [text] if isinstance(text, str) else list(text.values())


def test_both_languages_say_everything() -> None:
    messages = catalogue()
    assert len(messages) > 200
    for key, entry in messages.items():
        assert set(entry) == {"en", "hr"}, key
        wanted = {"en": {"one", "other"}, "hr": {"one", "few", "other"}}
        plural = isinstance(entry["en"], dict)
        assert plural == isinstance(entry["hr"], dict), key
        holes = [set(re.findall(r"\{(\w+)\}", form)) for text in entry.values() for form in forms(text)]
        assert all(one == holes[0] for one in holes), key
        said = [bool(form) for text in entry.values() for form in forms(text)]
        assert len(set(said)) == 1, key
        for language, text in entry.items():
            if isinstance(text, dict):
                assert set(text) == wanted[language], key


def test_every_sentence_asked_for_is_in_the_catalogue() -> None:
    messages = catalogue()
    for path in MODULES:
        code = strip_comments(path.read_text())
        asked = set(re.findall(r'\bt\(\s*"([^"]+)"', code))
        for choice in re.findall(r'\bt\([^)"]*\?([^)]*)\)', code):
            asked.update(re.findall(r'"([^"]+)"', choice))
        assert asked <= set(messages), f"{path.name}: {asked - set(messages)}"
        if path.parent.name == "actions":
            asked.update(re.findall(r'\blabel: "([^"]+)"', code))
            assert asked <= set(messages), f"{path.name}: {asked - set(messages)}"
        for prefix in re.findall(r"\bt\(`([\w.]+\.)\$\{", code):
            assert any(key.startswith(prefix) for key in messages), f"{path.name}: {prefix}"


def test_every_sentence_of_the_catalogue_is_used() -> None:
    everything = "\n".join(path.read_text() for path in MODULES if path not in SAYING)
    prefixes = tuple(re.findall(r"`([\w.]+\.)\$\{", everything))
    unused = [key for key in catalogue() if f'"{key}"' not in everything and not key.startswith(prefixes)]
    assert unused == []


def test_names_the_servers_send_are_translated() -> None:
    messages = catalogue()
    assert {f"preset.{name}" for name in PRESETS} <= set(messages)
    assert {f"window.{preset.name}" for some in WINDOW_PRESETS.values() for preset in some} <= set(messages)
    assert {f"method.{method}" for method in get_args(Method)} <= set(messages)
    assert {f"role.{role}" for role in get_args(UserRole)} <= set(messages)
    assert {f"sex.{sex}" for sex in get_args(Sex)} <= set(messages)
