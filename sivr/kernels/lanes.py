"""Programs that do the same to 16 rays at once, written as Python expressions, compiled by LLVM for the
vector unit of this machine (AVX-512, AVX2, NEON or none: LLVM splits lanes to fit).

numba compiles one ray after the other: rays part ways at every branch, which its vectorizer gives up on. Here
each value is a vector, branches are taken when any lane wants them, and memory is read by gathers.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, Literal, ParamSpec

from llvmlite import binding, ir

from sivr.kernels import machine_code

LANES = 16

Kind = Literal["pointer", "int", "float"]
Number = float | int
P = ParamSpec("P")

BOOL, BYTE, SHORT, INT, LONG = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
FLOAT = ir.FloatType()
POINTER = ir.PointerType()
_POINTERS = ir.VectorType(POINTER, LANES)
# Not "ninf" and "nnan": a ray along an axis divides by almost nothing.
_FLAGS = ("nsz", "arcp", "contract", "reassoc")
_TYPES: dict[str, tuple[Any, Any]] = {
    "pointer": (POINTER, ctypes.c_void_p),
    "int": (INT, ctypes.c_int32),
    "float": (FLOAT, ctypes.c_float),
}


def _vector(element: Any) -> Any:
    return ir.VectorType(element, LANES)


class Lanes:
    """A float, an integer or a truth value in each lane; operators make instructions."""

    __slots__ = ("_program", "value")

    def __init__(self, program: Program, value: Any) -> None:
        self._program = program
        self.value = value

    @property
    def _is_float(self) -> bool:
        return bool(self.value.type.element == FLOAT)

    def _same(self, other: Lanes | Number) -> Lanes:
        if isinstance(other, Lanes):
            return other
        return self._program.constant(other, self.value.type.element)

    def _make(self, value: Any) -> Lanes:
        return Lanes(self._program, value)

    def _arithmetic(self, other: Lanes | Number, of_floats: str, of_ints: str) -> Lanes:
        builder = self._program.builder
        right = self._same(other).value
        if self._is_float:
            return self._make(getattr(builder, of_floats)(self.value, right, flags=_FLAGS))
        return self._make(getattr(builder, of_ints)(self.value, right))

    def __add__(self, other: Lanes | Number) -> Lanes:
        return self._arithmetic(other, "fadd", "add")

    __radd__ = __add__

    def __sub__(self, other: Lanes | Number) -> Lanes:
        return self._arithmetic(other, "fsub", "sub")

    def __rsub__(self, other: Lanes | Number) -> Lanes:
        return self._same(other) - self

    def __mul__(self, other: Lanes | Number) -> Lanes:
        return self._arithmetic(other, "fmul", "mul")

    __rmul__ = __mul__

    def __truediv__(self, other: Lanes | Number) -> Lanes:
        return self._arithmetic(other, "fdiv", "sdiv")

    def __and__(self, other: Lanes | Number) -> Lanes:
        return self._make(self._program.builder.and_(self.value, self._same(other).value))

    def __or__(self, other: Lanes | Number) -> Lanes:
        return self._make(self._program.builder.or_(self.value, self._same(other).value))

    def __invert__(self) -> Lanes:
        return self._make(self._program.builder.not_(self.value))

    def __lshift__(self, other: Lanes | Number) -> Lanes:
        return self._make(self._program.builder.shl(self.value, self._same(other).value))

    def __rshift__(self, other: Lanes | Number) -> Lanes:
        return self._make(self._program.builder.ashr(self.value, self._same(other).value))

    def _compare(self, sign: str, other: Lanes | Number) -> Lanes:
        builder = self._program.builder
        right = self._same(other).value
        if self._is_float:
            return self._make(builder.fcmp_ordered(sign, self.value, right))
        return self._make(builder.icmp_signed(sign, self.value, right))

    def __lt__(self, other: Lanes | Number) -> Lanes:
        return self._compare("<", other)

    def __le__(self, other: Lanes | Number) -> Lanes:
        return self._compare("<=", other)

    def __gt__(self, other: Lanes | Number) -> Lanes:
        return self._compare(">", other)

    def __ge__(self, other: Lanes | Number) -> Lanes:
        return self._compare(">=", other)

    def equals(self, other: Lanes | Number) -> Lanes:
        """Lane by lane; ``==`` stays Python's own."""
        return self._compare("==", other)

    def least(self, other: Lanes | Number) -> Lanes:
        """The lesser; the other where this is no number."""
        right = self._same(other)
        return (self < right).choose(self, right)

    def largest(self, other: Lanes | Number) -> Lanes:
        """The larger; the other where this is no number."""
        right = self._same(other)
        return (self > right).choose(self, right)

    def choose(self, yes: Lanes, no: Lanes | Number) -> Lanes:
        """``yes`` in the lanes where this is true, ``no`` in the others."""
        return self._make(self._program.builder.select(self.value, yes.value, yes._same(no).value))

    def absolute(self) -> Lanes:
        """Without its sign."""
        return self._program.intrinsic("fabs", self)

    def root(self) -> Lanes:
        """Square root."""
        return self._program.intrinsic("sqrt", self)

    def ceiling(self) -> Lanes:
        """The next whole number up, as a float."""
        return self._program.intrinsic("ceil", self)

    def floor(self) -> Lanes:
        """The next whole number down, as a float."""
        return self._program.intrinsic("floor", self)

    def to_int(self) -> Lanes:
        """Toward 0; undefined for what an integer cannot hold."""
        return self._make(self._program.builder.fptosi(self.value, _vector(INT)))

    def widened(self, to: Any) -> Lanes:
        """An unsigned integer in more bits."""
        return self._make(self._program.builder.zext(self.value, _vector(to)))

    def narrowed(self, to: Any) -> Lanes:
        """The lowest bits of an integer."""
        return self._make(self._program.builder.trunc(self.value, _vector(to)))

    def logical_right(self, bits: Lanes | Number) -> Lanes:
        """Shifted to the right, zeros coming in."""
        return self._make(self._program.builder.lshr(self.value, self._same(bits).value))

    def to_float(self) -> Lanes:
        """As a float."""
        return self._make(self._program.builder.sitofp(self.value, _vector(FLOAT)))

    def least_of_all(self) -> Any:
        """The least integer of all lanes, as a scalar."""
        return self._program.reduce("smin", self)

    def largest_of_all(self) -> Any:
        """The largest integer of all lanes, as a scalar."""
        return self._program.reduce("smax", self)

    def any(self) -> Any:
        """A condition for ``when`` and ``leave_unless``: true in at least one lane."""
        builder = self._program.builder
        bits = ir.IntType(LANES)
        return builder.icmp_unsigned("!=", builder.bitcast(self.value, bits), ir.Constant(bits, 0))


class Variable:
    """Lanes that change in loops."""

    def __init__(self, program: Program, first: Lanes) -> None:
        self._program = program
        self._slot = program.slot(first.value.type)
        self.set(first)

    def get(self) -> Lanes:
        """What it is now."""
        value = self._program.builder.load(self._slot, typ=self._slot.allocated_type)
        return Lanes(self._program, value)

    def set(self, value: Lanes) -> None:
        """Change all lanes."""
        self._program.builder.store(value.value, self._slot)

    def where(self, mask: Lanes, value: Lanes) -> None:
        """Change the lanes where ``mask`` is true."""
        self.set(mask.choose(value, self.get()))


class _Addresses(ir.Instruction):  # type: ignore[misc]
    """getelementptr of one base and an index per lane, which llvmlite's builder has no words for."""

    def __init__(self, parent: Any, base: Any, index: Any, element: Any) -> None:
        super().__init__(parent, _POINTERS, "getelementptr", [base, index], name="")
        self._element = element

    def descr(self, buffer: list[str]) -> None:
        base, index = self.operands
        buffer.append(
            f"getelementptr {self._element}, ptr {base.get_reference()}, "
            f"{index.type} {index.get_reference()}\n"
        )


class Program:
    """One function being written; ``compile`` makes it callable. Its arguments are read by ``[name]``."""

    def __init__(self, name: str, **arguments: Kind) -> None:
        self._name = name
        self._kinds = arguments
        self._module = ir.Module(name=f"sivr.{name}")
        self._module.triple = binding.get_default_triple()
        kinds = [_TYPES[kind][0] for kind in arguments.values()]
        self._function = ir.Function(self._module, ir.FunctionType(ir.VoidType(), kinds), name)
        self._arguments = dict(zip(arguments, self._function.args, strict=True))
        self._slots = self._function.append_basic_block("slots")
        body = self._function.append_basic_block("body")
        self.builder = ir.IRBuilder(body)
        ir.IRBuilder(self._slots).branch(body)

    def __getitem__(self, name: str) -> Any:
        return self._arguments[name]

    def slot(self, kind: Any) -> Any:
        """Room for one value, on the stack until LLVM finds a register for it."""
        builder = ir.IRBuilder(self._slots)
        builder.position_before(self._slots.terminator)
        return builder.alloca(kind)

    def constant(self, value: Number, element: Any = FLOAT) -> Lanes:
        """The same number in every lane."""
        number = float(value) if element == FLOAT else int(value)
        return Lanes(self, ir.Constant(_vector(element), [ir.Constant(element, number)] * LANES))

    def constants(self, values: Sequence[Number], element: Any = FLOAT) -> Lanes:
        """A number for each lane."""
        return Lanes(self, ir.Constant(_vector(element), [ir.Constant(element, value) for value in values]))

    def spread(self, scalar: Any) -> Lanes:
        """A scalar of the program in every lane."""
        kind = _vector(scalar.type)
        nothing = ir.Constant(kind, ir.Undefined)
        first = self.builder.insert_element(nothing, scalar, ir.Constant(INT, 0))
        everywhere = ir.Constant(_vector(INT), [0] * LANES)
        return Lanes(self, self.builder.shuffle_vector(first, nothing, everywhere))

    def floats(self, pointer: Any, count: int) -> list[Lanes]:
        """The first floats behind a pointer, each in every lane."""
        found = []
        for n in range(count):
            address = self.builder.gep(pointer, [ir.Constant(INT, n)], source_etype=FLOAT)
            found.append(self.spread(self.builder.load(address, typ=FLOAT)))
        return found

    def intrinsic(self, name: str, value: Lanes) -> Lanes:
        """An LLVM intrinsic of one float."""
        full = f"llvm.{name}.v{LANES}f32"
        function = self._module.globals.get(full)
        if function is None:
            kind = _vector(FLOAT)
            function = ir.Function(self._module, ir.FunctionType(kind, [kind]), full)
        return Lanes(self, self.builder.call(function, [value.value]))

    def reduce(self, name: str, value: Lanes) -> Any:
        """An LLVM reduction of integers to a scalar."""
        full = f"llvm.vector.reduce.{name}.v{LANES}i32"
        function = self._module.globals.get(full)
        if function is None:
            function = ir.Function(self._module, ir.FunctionType(INT, [_vector(INT)]), full)
        return self.builder.call(function, [value.value])

    def gather(self, base: Any, index: Lanes, element: Any, read: Any, mask: Lanes) -> Lanes:
        """A ``read`` from ``base + index * size of element`` in each lane where ``mask`` is true, else 0.

        ``read`` may be larger than an element: two neighboring 16-bit voxels are one 32-bit read.
        """
        addresses = _Addresses(self.builder.block, base, index.value, element)
        self.builder._insert(addresses)
        kind = _vector(read)
        short = "f32" if read == FLOAT else f"i{read.width}"
        full = f"llvm.masked.gather.v{LANES}{short}.v{LANES}p0"
        function = self._module.globals.get(full)
        if function is None:
            signature = ir.FunctionType(kind, [_POINTERS, INT, _vector(BOOL), kind])
            function = ir.Function(self._module, signature, full)
        nothing = ir.Constant(kind, [ir.Constant(read, 0)] * LANES)
        # No alignment is promised: pairs of voxels begin anywhere.
        given = [addresses, ir.Constant(INT, 1), mask.value, nothing]
        return Lanes(self, self.builder.call(function, given))

    def scatter(self, base: Any, index: Lanes, values: Lanes) -> None:
        """Write a 32-bit value of every lane to ``base + 4 * index``."""
        element = values.value.type.element
        addresses = _Addresses(self.builder.block, base, index.value, element)
        self.builder._insert(addresses)
        short = "f32" if element == FLOAT else "i32"
        full = f"llvm.masked.scatter.v{LANES}{short}.v{LANES}p0"
        function = self._module.globals.get(full)
        if function is None:
            signature = ir.FunctionType(ir.VoidType(), [_vector(element), _POINTERS, INT, _vector(BOOL)])
            function = ir.Function(self._module, signature, full)
        everywhere = ir.Constant(_vector(BOOL), [1] * LANES)
        self.builder.call(function, [values.value, addresses, ir.Constant(INT, 4), everywhere])

    @contextmanager
    def each(self, first: Any, end: Any, step: int) -> Iterator[Any]:
        """A loop of a scalar integer from ``first`` to before ``end``."""
        builder = self.builder
        counter = self.slot(INT)
        builder.store(first if isinstance(first, ir.Value) else ir.Constant(INT, first), counter)
        with self.loop() as leave_unless:
            now = builder.load(counter, typ=INT)
            leave_unless(builder.icmp_signed("<", now, end))
            yield now
            builder.store(builder.add(now, ir.Constant(INT, step)), counter)

    @contextmanager
    def loop(self) -> Iterator[Callable[[Any], None]]:
        """Repeats until ``leave_unless(condition)``, which it gives, finds its condition false."""
        head = self._function.append_basic_block("loop")
        behind = self._function.append_basic_block("behind")

        def leave_unless(condition: Any) -> None:
            go_on = self._function.append_basic_block("go_on")
            self.builder.cbranch(condition, go_on, behind)
            self.builder.position_at_end(go_on)

        self.builder.branch(head)
        self.builder.position_at_end(head)
        yield leave_unless
        self.builder.branch(head)
        self.builder.position_at_end(behind)

    @contextmanager
    def when(self, condition: Any) -> Iterator[None]:
        """Only where a scalar condition is true."""
        then = self._function.append_basic_block("then")
        behind = self._function.append_basic_block("behind")
        self.builder.cbranch(condition, then, behind)
        self.builder.position_at_end(then)
        yield
        self.builder.branch(behind)
        self.builder.position_at_end(behind)

    def compile(self) -> Compiled:
        """Make machine code, or load what was made before. Blocking, about 0.15 s the first time."""
        self.builder.ret_void()
        return Compiled(self._name, str(self._module), [_TYPES[kind][1] for kind in self._kinds.values()])


class Compiled:
    """A program as machine code; calling it takes no lock of Python, so that threads run side by side."""

    def __init__(self, name: str, text: str, kinds: Sequence[Any]) -> None:
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        module = binding.parse_assembly(text)
        try:
            features = binding.get_host_cpu_features().flatten()
        except RuntimeError:
            # Not every processor tells; its name is enough then.
            features = ""
        triple, host = binding.get_default_triple(), binding.get_host_cpu_name()
        machine = binding.Target.from_triple(triple).create_target_machine(
            cpu=host, features=features, opt=3, jit=True
        )
        llvm = ".".join(str(part) for part in binding.llvm_version_info)
        kept_as = machine_code.name_of(text, triple, host, features, llvm)
        code = machine_code.load(kept_as)
        if code is None:
            module.verify()
            passes = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options(3))
            passes.getModulePassManager().run(module, passes)
        # The engine owns the code: it must live as long as the function.
        self._engine = binding.create_mcjit_compiler(module, machine)
        self._engine.set_object_cache(
            notify_func=lambda _, made: machine_code.keep(kept_as, made), getbuffer_func=lambda _: code
        )
        self._engine.finalize_object()
        self._function = ctypes.CFUNCTYPE(None, *kinds)(self._engine.get_function_address(name))

    def __call__(self, *arguments: Any) -> None:
        self._function(*arguments)


def once(make: Callable[P, Compiled]) -> Callable[P, Compiled]:
    """Keep what was compiled for the same arguments; threads that come meanwhile wait for it."""
    made: dict[object, Compiled] = {}
    lock = threading.Lock()

    @wraps(make)
    def found(*arguments: P.args, **named: P.kwargs) -> Compiled:
        key = (arguments, tuple(named.items()))
        known = made.get(key)
        if known is None:
            with lock:
                known = made.get(key) or made.setdefault(key, make(*arguments, **named))
        return known

    return found


def processor() -> str:
    """LLVM's name of the processor that programs are compiled for."""
    return str(binding.get_host_cpu_name())
