"""Nothing is compiled while the first picture is waited for."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import numpy as np, uuid
from pathlib import Path
from sivr.gl.software import SoftwareCaster, SoftwareVolumes
from sivr.gl.source import VolumeSource
from sivr.kernels import bricks, machine_code, volumes, warm
from sivr.model.rendering import Viewpoint, VolumeView
from sivr.services.segments import Segment

warm.warm_up()
known = {kernel: set(kernel.signatures) for module in (bricks, volumes)
         for kernel in vars(module).values() if hasattr(kernel, "signatures")}
programs = []
load = machine_code.load
machine_code.load = lambda name: (programs.append(name), load(name))[1]
segment = Segment(f"sivr-test-{uuid.uuid4().hex}", (16, 32, 32), "DTYPE", padding=PADDING)
try:
    for k in range(0, 16, STEP):
        segment.put(k, np.random.default_rng(k).integers(0, 200, (32, 32)).astype("DTYPE"))
    rows = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    source = VolumeSource("key", segment.name, segment.shape, "DTYPE", 1.0, 0.0, rows,
                          segment.status_offset, PADDING, segment.ranges_offset)
    view = VolumeView("volume_rendered", Viewpoint((16, -90, 8), (16, 16, 8), (0, 0, 1)), 32, 32, 40.0,
                      draft=DRAFT)
    picture = SoftwareCaster().volume(SoftwareVolumes(1 << 30).get(source), view)
    assert picture.any()
finally:
    segment.close()
new = [kernel.__name__ for kernel, before in known.items() if set(kernel.signatures) - before]
assert not new and not programs, (new, programs)
"""


def run(**values: object) -> None:
    script = SCRIPT
    for name, value in values.items():
        script = script.replace(name, str(value))
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr


def test_the_first_draft_of_a_volume_compiles_nothing() -> None:
    run(DTYPE="int16", PADDING=None, STEP=8, DRAFT=True)


def test_the_first_whole_picture_compiles_nothing() -> None:
    run(DTYPE="uint16", PADDING=None, STEP=1, DRAFT=False)
