"""The two ways to a stored frame agree."""

from __future__ import annotations

import numpy as np
import pytest

from sivr.errors import Invalid
from sivr.kernels.slices import lookup

pytestmark = pytest.mark.usefixtures("current_context")


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16"])
def test_gl_equals_the_kernel(dtype: str) -> None:
    from sivr.gl.slice import SliceShader

    rng = np.random.default_rng(9)
    info = np.iinfo(dtype)
    values = rng.integers(info.min, info.max, (37, 61), endpoint=True).astype(dtype)
    table = rng.integers(0, 256, 256**values.itemsize).astype(np.uint8)
    shader = SliceShader()
    assert np.array_equal(shader.draw(values, table), lookup(values, table))
    with pytest.raises(Invalid):
        shader.draw(values.astype(np.float32), table)


def test_one_way_is_chosen() -> None:
    from sivr.gl.slice import choose_slice_path

    assert choose_slice_path(size=64, rounds=1) in ("cpu", "gl")
