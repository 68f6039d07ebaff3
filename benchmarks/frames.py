"""One CT frame with a window, as pictures per second: our whole HTTPS stack against Orthanc's plain HTTP.

    python benchmarks/frames.py [--rounds 5] [--requests 1000] [--clients 4] [--json FILE]

Needs Debian's orthanc and apache2-utils (ab). ab asks both in turns, with kept connections. Ours checks a
session and a grant, and encrypts; Orthanc does neither. Ratios are medians of those of single rounds; CPU
time is that of the servers without ab, which has the same cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from measure import Row, machine, save, show
from processes import cpu_s, tree
from yarl import URL

from tests.flows.people import physician
from tests.flows.system import System

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "ct-head-1mm"
WINDOW = (40, 400)
SLICES = 24
WARM_UP_S = 3.0
TARGETS = {"image/png": 8.0, "image/jpeg": 2.5}


class Orthanc:
    """A scratch Orthanc with one instance; a context manager."""

    def __init__(self, folder: Path, file: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        settings = {
            "Name": "bench",
            "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"),
            "HttpPort": self.port,
            "DicomServerEnabled": False,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "KeepAlive": True,
            "TcpNoDelay": True,
            "HttpThreadsCount": 4,
        }
        (folder / "orthanc.json").write_text(json.dumps(settings))
        self.process = subprocess.Popen(
            ["Orthanc", str(folder / "orthanc.json")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.url = f"http://127.0.0.1:{self.port}"
        body = self._ask(file)
        low, width = WINDOW
        self.picture = f"{self.url}/instances/{body['ID']}/rendered?window-center={low}&window-width={width}"

    def _ask(self, file: Path) -> dict[str, str]:
        deadline = time.monotonic() + 30
        while True:
            try:
                request = urllib.request.Request(f"{self.url}/instances", file.read_bytes(), method="POST")
                with urllib.request.urlopen(request) as answer:
                    return dict(json.load(answer))
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(10)


def ask(url: str, requests: int, clients: int, headers: dict[str, str]) -> tuple[float, float, int]:
    """Requests per second, 95th percentile in ms, bytes of a picture; raises when one failed."""
    given = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    done = subprocess.run(
        ["ab", "-q", "-k", "-n", str(requests), "-c", str(clients), *given, url],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    def figure(pattern: str) -> float:
        found = re.search(pattern, done, re.MULTILINE)
        assert found, done
        return float(found[1])

    if figure(r"^Failed requests: +(\d+)") or "Non-2xx" in done:
        raise RuntimeError(done)
    return (
        figure(r"^Requests per second: +([\d.]+)"),
        figure(r"^ +95% +(\d+)"),
        int(figure(r"^Document Length: +(\d+)")),
    )


async def measure(given: argparse.Namespace, folder: Path) -> list[Row]:
    """Start both, ask in turns."""
    files = sorted(path for path in REAL.iterdir() if path.suffix != ".md")
    file = files[len(files) // 2]
    rows = []
    with System(folder / "system") as system:
        orthanc = Orthanc(folder, file)
        try:
            async with physician(system) as ana:
                upload = await ana.new_upload(await ana.new_patient())
                middle = len(files) // 2
                await ana.upload(upload, files[middle - SLICES // 2 : middle + SLICES // 2])
                study = str((await ana.indexed(upload))["studies"][0]["study_uid"])
                await ana.listed(study, SLICES)
                series = await ana.series(study)
                frame = series["frames"][SLICES // 2]
                node = system.urls["render"]
                path = (
                    f"{node}/studies/{study}/series/{series['series_uid']}/instances/"
                    f"{frame['instance_uid']}/frames/{frame['frame']}/rendered"
                )
                low, width = WINDOW
                # As the page does: one session with the node, then cookies.
                grant = ana.visitor._grants[study]
                await ana.visitor.json("POST", f"{node}/session", json={"grants": [grant]})
                jar = ana.visitor._client._session.cookie_jar.filter_cookies(URL(node))
                cookies = "; ".join(f"{name}={one.value}" for name, one in jar.items())
                for media, target in TARGETS.items():
                    extra = "&quality=90" if media == "image/jpeg" else ""
                    ours = f"{path}?window={low},{width},linear&accept={media}{extra}"
                    headers = {"Cookie": cookies}
                    found: dict[str, list[tuple[float, float, int]]] = {"ours": [], "orthanc": []}
                    spent = {"ours": 0.0, "orthanc": 0.0}
                    servers = {
                        "ours": (system.process_id("render"), ours, headers),
                        "orthanc": (orthanc.process.pid, orthanc.picture, {"Accept": media}),
                    }
                    # Both have seen the picture before; ours has begun its processes.
                    await asyncio.to_thread(ask, ours, 200, given.clients, headers)
                    await asyncio.sleep(WARM_UP_S)
                    await asyncio.to_thread(ask, orthanc.picture, 50, given.clients, {"Accept": media})
                    for _ in range(given.rounds):
                        for name, (pid, url, sent) in servers.items():
                            before = cpu_s(tree(pid))
                            found[name].append(
                                await asyncio.to_thread(ask, url, given.requests, given.clients, sent)
                            )
                            spent[name] += (cpu_s(tree(pid)) - before) * 1000
                    mine, theirs = (
                        statistics.median(one[0] for one in found[name]) for name in ("ours", "orthanc")
                    )
                    p95 = statistics.median(one[1] for one in found["ours"])
                    cpu = {name: total / given.rounds / given.requests for name, total in spent.items()}
                    sizes = found["ours"][0][2] / 1000, found["orthanc"][0][2] / 1000
                    rows.append(
                        Row(
                            f"rendered 512x512 CT frame, {media}, {given.clients} clients",
                            f"{mine:.0f}/s",
                            f"Orthanc {theirs:.0f}/s",
                            statistics.median(
                                one[0] / two[0]
                                for one, two in zip(found["ours"], found["orthanc"], strict=True)
                            ),
                            target,
                            f"p95 {p95:.0f} ms; {sizes[0]:.0f} kB, Orthanc {sizes[1]:.0f} kB; "
                            f"CPU {cpu['ours']:.2f} against {cpu['orthanc']:.2f} ms a picture, "
                            f"{cpu['orthanc'] / cpu['ours']:.1f}",
                        )
                    )
        finally:
            orthanc.close()
    return rows


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    missing = [name for name in ("Orthanc", "ab") if shutil.which(name) is None]
    if missing or not REAL.is_dir():
        print(f"skipped: {', '.join(missing) or REAL} is not here")
        return
    print(machine(), f"load {os.getloadavg()[0]:.1f}", sep="; ")
    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(measure(given, Path(folder)))
    print("\n" + show(rows))
    if given.json:
        save(given.json, rows)


if __name__ == "__main__":
    main()
