"""Programs over lanes against numpy."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from llvmlite import binding

from sivr.kernels.lanes import INT, LANES, LONG, SHORT, Compiled, Lanes, Program, Variable, once


@pytest.fixture(params=["host", "generic"], autouse=True)
def processor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's vector unit, and one without gathers and masks."""
    if request.param == "generic":

        class _None(dict[str, bool]):
            def flatten(self) -> str:
                return ""

        monkeypatch.setattr(binding, "get_host_cpu_name", lambda: "generic")
        monkeypatch.setattr(binding, "get_host_cpu_features", _None)


def run(write: Any, count: int = LANES, **arrays: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """One vector: ``write(program, lane)`` gives what is stored as floats."""
    program = Program("test", **dict.fromkeys(arrays, "pointer"), out="pointer", count="int")
    lane = program.constants(list(range(LANES)), INT)
    result: Lanes = write(program, lane)
    program.scatter(program["out"], lane, result if result._is_float else result.to_float())
    out = np.zeros(LANES, np.float32)
    program.compile()(*(array.ctypes.data for array in arrays.values()), out.ctypes.data, count)
    return out


LANE = np.arange(LANES)


def test_arithmetic_and_choices() -> None:
    def write(program: Program, lane: Lanes) -> Lanes:
        x = lane.to_float() * 0.5 - 3.0
        return (x > 0.0).choose(x.root() + 1.0, 1.0 - x.absolute()).least(2.5).largest(-1.25)

    x = LANE * 0.5 - 3
    want = np.clip(np.where(x > 0, np.sqrt(np.maximum(x, 0)) + 1, 1 - np.abs(x)), -1.25, 2.5)
    assert np.allclose(run(write), want, atol=1e-6)


def test_whole_numbers() -> None:
    def write(program: Program, lane: Lanes) -> Lanes:
        halves = (lane.to_float() * 0.7 - 4.2).floor().to_int()
        return ((halves << 4) | 5) - (halves >> 1) + (halves & 3) * 100

    half = np.floor(LANE * np.float32(0.7) - np.float32(4.2)).astype(int)
    assert np.array_equal(run(write), ((half << 4) | 5) - (half >> 1) + (half & 3) * 100)


def test_gathers_read_what_is_asked_and_nothing_else() -> None:
    values = np.arange(100, 140, dtype=np.int16)

    def pairs(program: Program, lane: Lanes) -> Lanes:
        mask = (lane & 1).equals(0)
        # Lanes that are not asked would read far outside.
        where = mask.choose(lane * 2 + 1, program.constant(2**30, INT))
        both = program.gather(program["values"], where, SHORT, INT, mask)
        return (both >> 16) - ((both << 16) >> 16) + both * 0

    assert np.array_equal(run(pairs, values=values), np.where(LANE % 2 == 0, 1, 0))

    def wide(program: Program, lane: Lanes) -> Lanes:
        mask = lane >= 0
        word = program.gather(program["values"], lane, SHORT, LONG, mask)
        return word.logical_right(48).narrowed(INT)

    assert np.array_equal(run(wide, values=values), values[LANE + 3])


def test_loops_end_lane_by_lane() -> None:
    def write(program: Program, lane: Lanes) -> Lanes:
        steps = Variable(program, lane * 0)
        left = Variable(program, lane)
        with program.loop() as leave_unless:
            going = left.get() > 0
            leave_unless(going.any())
            left.where(going, left.get() - 2)
            steps.where(going, steps.get() + 1)
        with program.when((lane > 100).any()):
            steps.set(lane * 0 - 1)
        return steps.get()

    assert np.array_equal(run(write), (LANE + 1) // 2)


def test_scalar_loops_and_reductions() -> None:
    def write(program: Program, lane: Lanes) -> Lanes:
        total = Variable(program, lane * 0)
        end = (lane * 3 + 2).largest_of_all()
        with program.each((lane + 5).least_of_all(), end, 10) as number:
            total.set(total.get() + program.spread(number))
        return total.get()

    assert np.array_equal(run(write), np.full(LANES, sum(range(5, 47, 10))))


def test_no_number_is_the_other_number() -> None:
    def write(program: Program, lane: Lanes) -> Lanes:
        nothing = (lane.to_float() - 100.0).root()
        return nothing.largest(3.0) + nothing.least(4.0)

    assert np.array_equal(run(write), np.full(LANES, 7.0))


def test_threads_wait_for_one_compilation() -> None:
    made: list[int] = []
    gate = threading.Event()

    @once
    def make(number: int) -> Compiled:
        gate.wait()
        made.append(number)
        program = Program("nothing", out="pointer")
        return program.compile()

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(make, 1) for _ in range(4)]
        gate.set()
        assert len({id(one.result()) for one in asked}) == 1
    assert made == [1]
    assert make(2) is not make(1)


@pytest.mark.parametrize("rows", [1, 3])
def test_every_pixel_is_written_once(rows: int) -> None:
    from sivr.kernels.composite import pixels, store

    program = Program("pixels", out="pointer", width="int", top="int", bottom="int")
    for row, column in pixels(program):
        store(program, row, column, row * 1000.0 + column)
    out = np.full((rows * 4 + 4, 20), -1, np.float32)
    program.compile()(out.ctypes.data, 20, 4, rows * 4 + 4)
    row, column = np.mgrid[: rows * 4 + 4, :20]
    assert np.array_equal(out[4:], (row * 1000 + column)[4:])
    assert (out[:4] == -1).all()
