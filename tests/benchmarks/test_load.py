"""A small real load: everybody is served, nothing fails; how fast is not asked."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import load
import processes
import pytest
from installation import Installation, heads

from sivr import config


@pytest.mark.slow
def test_readers_and_a_rotator_are_served_by_one_of_two_nodes(tmp_path: Path) -> None:
    studies = heads(tmp_path / "files", 3, 6)
    system = Installation(tmp_path / "system", people=3, nodes=2, render={"memory_mb": 256})

    async def run() -> tuple[load.Report, list[str]]:
        log = load.Log()
        async with load.opened(system, studies, "node-2") as browsers:
            async with load.Meter(system.process_id("node-2")) as meter:
                took = await load.work(log, browsers, readers=2, seconds=3.0)
            report = load.summary(
                log, 2, 1, took, system.memory_mb, (0.0, meter.most_bytes / 1e6), meter.cores
            )
            return report, [one.node for one in browsers]

    with system:
        report, nodes = asyncio.run(run())
        pids = processes.tree(system.process_id("node-2"))
        # The node and its workers.
        assert len(pids) > 1
    assert set(nodes) == {system.urls["node-2"]}
    assert report.failures == 0, report.problems
    assert report.users_served == 2
    # One on a quick line, one on a slow one, one who turns a volume.
    assert {"slice_png", "slice_jpeg", "draft"} <= set(report.kinds)
    assert all(one.count and one.kilobytes > 0 for one in report.kinds.values() if one.worst_ms)
    assert report.budget_mb == 256
    assert report.node_pss_mb > 50 and report.node_cpu > 0 and report.client_cpu > 0
    lines = load.rows(report)
    assert len(lines) == 3 and all(one.ratio > 0 for one in lines)
    text = load.table(report)
    assert "slice p95" in text and "starvation" in text


def test_a_second_node_belongs_to_the_same_institution(tmp_path: Path) -> None:
    system = Installation(tmp_path / "system", people=1, nodes=2)
    settings = config.load(tmp_path / "system" / "sivr.yaml").roles
    other = config.load(tmp_path / "system" / "node-2.yaml").roles.render
    assert settings.institution and settings.render and other
    assert [one.id for one in settings.institution.nodes] == ["node-1", "node-2"]
    assert other.institution == settings.render.institution
    assert (other.url, other.data) != (settings.render.url, settings.render.data)
    assert other.url == system.urls["node-2"]


HOLDER = """
print(flush=True); input()
held = bytearray(64 << 20); held[::4096] = b"x" * len(held[::4096])
print(flush=True); input()
"""


def test_memory_and_cpu_of_a_tree_are_those_of_its_processes() -> None:
    # A process of its own: what others give back meanwhile would count against it here.
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        holder.stdout.readline()
        assert holder.pid in processes.tree(os.getpid())
        pids = processes.tree(holder.pid)
        before = processes.pss_bytes(pids)
        holder.stdin.write(b"\n")
        holder.stdin.flush()
        holder.stdout.readline()
        assert processes.pss_bytes(pids) - before > 60 * 1024 * 1024
        assert processes.cpu_s(pids) > 0
        holder.kill()
    assert processes.machine_busy_s() > 0
