"""What pictures, readers, files and studies cost a node: measured figures, read from JSON.

``costs.json`` beside this file was measured by benchmarks/costs.py on the machine it names; figures of
another machine class are given with ``--costs FILE``.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from sivr.errors import Invalid

MEASURED = Path(__file__).with_name("costs.json")


class PictureCost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One picture of a kind."""

    bytes: float
    """Mean of a body over the wire."""
    serving_ms: float
    """CPU of the thread that serves: TLS, HTTP, permission, answer. One thread for the whole node."""
    making_ms: float
    """CPU of the threads and processes that draw and encode."""
    spread: float = 0.0
    """Standard deviation of the time a picture takes, as a part of its mean."""
    wall_ms: float = 0.0
    """Median from asking to the last byte, one reader, nothing else to do."""

    @property
    def cpu_ms(self) -> float:
        """All of it."""
        return self.serving_ms + self.making_ms


class FileCost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One uploaded file until it is indexed."""

    cpu_ms: float
    """Of the node: receiving, hashing, sealing, database, indexing."""
    bytes: float
    """As it was sent."""
    sealed_part: float
    """Bytes on disk of the object as a part of the bytes sent."""
    database_bytes: float
    """Of the node, per file."""


class StudyCost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One study."""

    institution_cpu_ms: float
    """Of the institution: notices, and the list that shows it."""
    open_cpu_ms: float
    """Of the node: headers, order, decoding every slice once."""
    open_bytes_per_slice: float
    """Memory of the node for each 512 x 512 slice of an open series, with what volumes need beside it."""
    slices: int
    """Of the series that was measured."""


class ViewerCost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reader's session."""

    memory_bytes: float
    """Of the node: connections, session, grants."""
    login_cpu_ms: float
    """Of the toplevel: mostly the password's hash."""
    open_cpu_ms: float
    """Of institution and node: grant, session, contents of a study."""
    pictures_per_s: dict[str, float]
    """What a reader at work asks for, by kind: the mean over the recorded session."""


class NodeCost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node before anybody comes."""

    memory_bytes: float
    cores: int
    """Of the machine that was measured."""


class Costs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything."""

    machine: str
    date: str
    note: str = ""
    pictures: dict[str, PictureCost]
    file: FileCost
    study: StudyCost
    viewer: ViewerCost
    node: NodeCost

    def viewer_cpu(self) -> float:
        """Cores that one reader at work takes of a node."""
        return sum(
            per_s * self.pictures[kind].cpu_ms / 1000 for kind, per_s in self.viewer.pictures_per_s.items()
        )

    def viewer_serving(self) -> float:
        """The part of it that one thread must do."""
        return sum(
            per_s * self.pictures[kind].serving_ms / 1000
            for kind, per_s in self.viewer.pictures_per_s.items()
        )

    def viewer_bytes_per_s(self) -> float:
        """What one reader at work receives."""
        return sum(per_s * self.pictures[kind].bytes for kind, per_s in self.viewer.pictures_per_s.items())


def load(path: Path = MEASURED) -> Costs:
    """Read measured costs; raises Invalid."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Costs)
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.") from error
    except msgspec.DecodeError as error:
        raise Invalid(f"{path} does not hold measured costs: {error}.") from error
    unknown = sorted(set(found.viewer.pictures_per_s) - set(found.pictures))
    if unknown:
        raise Invalid(f"{path}: a reader asks for {', '.join(unknown)}, which was not measured.")
    return found
