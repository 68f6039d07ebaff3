"""What a process and its children take: memory and CPU time, out of Linux' /proc."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """The process and all its descendants that run."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))) is not None:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        if _stat(one) is not None:
            found.append(one)
        waiting += children.get(one, [])
    return found


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the command's name (proc(5): the first is the state)."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def cpu_s(pids: Iterable[int]) -> float:
    """User and system time of these processes so far, and of their children that ended."""
    total = 0
    for pid in pids:
        fields = _stat(pid)
        if fields is not None:
            total += sum(int(one) for one in fields[11:15])
    return total * TICK_S


async def at_rest(pid: int) -> None:
    """Wait until a process and its descendants do nothing for a while: kernels are loaded after a node is
    ready, and what has low priority may look idle for a moment."""
    still, before = 0, cpu_s(tree(pid))
    while still < 4:
        await asyncio.sleep(0.3)
        now = cpu_s(tree(pid))
        still = still + 1 if now - before < 0.015 else 0
        before = now


def pss_bytes(pids: Iterable[int]) -> int:
    """Memory of these processes together: their proportional set sizes, where pages that several share count
    once, and all of the shared memory that they hold, whether they look at it or not."""
    total = 0
    shared: dict[tuple[int, int], int] = {}
    for pid in pids:
        try:
            lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
            shared |= _shared_memory(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
        kilobytes = {
            name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines[1:])
        }
        total += (kilobytes["Pss"] - kilobytes["Pss_Shmem"]) * 1024
    return total + sum(shared.values())


def _shared_memory(pid: int) -> dict[tuple[int, int], int]:
    """Bytes in use of each open file of shared memory, by device and number."""
    found = {}
    for link in (PROC / str(pid) / "fd").iterdir():
        with contextlib.suppress(OSError):
            if os.readlink(link).startswith("/dev/shm/"):
                facts = link.stat()
                found[facts.st_dev, facts.st_ino] = facts.st_blocks * 512
    return found


def machine_busy_s() -> float:
    """CPU time of everything on this machine since it started, idle and waiting left out."""
    fields = [int(one) for one in (PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) * TICK_S
