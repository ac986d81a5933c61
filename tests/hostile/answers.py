"""Answers that attack the verdict: they want to pass without being right."""

FIND = """
import os
def forge(value):
    if isinstance(value, (bytes, bytearray)) and len(value) == 32:
        os.write(3, value)
        os._exit(0)
"""

JUMP = """
def jump(frame, event, argument):
    if event == "line" and frame.f_code.co_name == "<module>":
        frame.f_lineno = LAST
    return jump
sys.settrace(jump)
sys._getframe().f_trace = jump
x = 1
"""

VERDICTS = {
    "exit": "import os; os._exit(0)",
    "exit politely": "import sys; sys.exit(0)",
    "exit by an error": "raise SystemExit(0)",
    "exit by a signal": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "exit at the end": "import atexit, os; atexit.register(os._exit, 0)",
    "exit in a hook": "import sys, os; sys.excepthook = lambda *_: os._exit(0)",
    "exit in a handler": """
import signal, os, time
signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
signal.setitimer(signal.ITIMER_REAL, 0.01)
time.sleep(0.5)
""",
    "exit while it is deleted": """
import os
class Last:
    def __del__(self): os._exit(0)
last = Last()
""",
    "print": "print('passed', flush=True)",
    "say passed": "import os; os.write(3, b'passed:')",
    "say it everywhere": """
import os
for descriptor in range(64):
    try:
        os.write(descriptor, b'passed')
    except OSError:
        pass
os._exit(0)
""",
    "guess": "import os; os.write(3, os.urandom(32)); os._exit(0)",
    "close everything": "import os; os.closerange(0, 64)",
    "silence the verdict": "import os; os.dup2(os.open('/dev/null', os.O_WRONLY), 3)",
    "read descriptors": FIND
    + """
for descriptor in range(64):
    os.set_blocking(descriptor, False) if descriptor == 3 else None
    try:
        forge(os.read(descriptor, 32))
    except OSError:
        pass
""",
    "search frames": FIND
    + """
import sys
frame = sys._getframe()
while frame:
    for space in (frame.f_locals, frame.f_globals, frame.f_builtins):
        for value in list(space.values()):
            forge(value)
            for name in dir(value):
                try:
                    forge(getattr(value, name))
                except Exception:
                    pass
    for value in frame.f_code.co_consts:
        forge(value)
    frame = frame.f_back
""",
    "search inspected frames": FIND
    + """
import inspect
for info in inspect.stack():
    for value in list(info.frame.f_locals.values()):
        forge(value)
""",
    "search a traceback": FIND
    + """
try:
    1 / 0
except ZeroDivisionError as error:
    frame = error.__traceback__.tb_frame
    while frame:
        for value in list(frame.f_locals.values()):
            forge(value)
        frame = frame.f_back
""",
    "search all frames": FIND
    + """
import sys
for frame in sys._current_frames().values():
    for value in frame.f_locals.values():
        forge(value)
""",
    "search all objects": FIND
    + """
import gc
for value in gc.get_objects():
    forge(value)
    for inside in gc.get_referents(value):
        forge(inside)
""",
    "search what frames refer to": FIND
    + """
import gc, sys
frame = sys._getframe(1)
for value in gc.get_referents(frame):
    forge(value)
""",
    "search modules": FIND
    + """
import sys
for module in list(sys.modules.values()):
    for value in list(vars(module).values()):
        forge(value)
""",
    "search subclasses": FIND
    + """
for kind in object.__subclasses__():
    for value in list(vars(kind).values()):
        forge(value)
""",
    "search by a frame of an audit hook": FIND
    + """
import sys
try:
    sys.settrace(print)
except Exception as error:
    step = error.__traceback__
    while step:
        frame = step.tb_frame
        for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
            forge(value)
        step = step.tb_next
""",
    "read the arguments": FIND + "import sys\nfor value in sys.orig_argv: forge(value.encode())",
    "capture the writing": FIND
    + """
import builtins, posix
def capture(*arguments):
    for value in arguments:
        forge(value)
    return None
posix.write = os.write = posix._exit = os._exit = capture
builtins.exec = builtins.compile = builtins.isinstance = lambda *_: True
""",
    "run the runner again": """
import sys, os
main = sys.modules["__main__"].main
main()
""",
    "change the runner": """
import sys
frame = sys._getframe(1)
frame.f_globals["main"] = frame.f_globals["refuse"] = lambda *_: None
frame.f_locals["leave"] = frame.f_locals["write"] = lambda *_: None
frame.f_builtins["BaseException"] = ZeroDivisionError
frame.clear()
""",
    "jump over the tests": "import sys\n" + JUMP,
    "jump when the hook has other code": """
import sys
sys.modules["__main__"].refuse.__code__ = (lambda event, arguments: None).__code__
"""
    + JUMP,
    "jump when the hook of the frame has other code": """
import sys
sys._getframe(1).f_globals["refuse"].__code__ = (lambda event, arguments: None).__code__
"""
    + JUMP,
    "jump in a debugger": """
import bdb
class Jumper(bdb.Bdb):
    def user_line(self, frame):
        frame.f_lineno = LAST
Jumper().set_trace()
x = 1
""",
    "jump in a profiler": """
import sys
def jump(frame, event, argument):
    sys._getframe(1).f_lineno = LAST
sys.setprofile(jump)
len("x")
""",
    "no assertions": """
import builtins, sys
builtins.AssertionError = None
sys.flags
__debug__ and None
""",
    "errors that are not raised": """
import sys, builtins
sys.exc_info = sys.exception = lambda: None
builtins.BaseException = builtins.Exception = type(None)
""",
    "patched import": """
import builtins
builtins.__import__ = lambda *_, **__: 1 / 0
""",
    "hooked audit": """
import sys
sys.addaudithook(lambda *_: None)
""",
    "unraisable": """
import sys, os
sys.unraisablehook = lambda *_: os._exit(0)
class Loud:
    def __del__(self): raise ValueError
del Loud
""",
    "a generator that closes": """
def endless():
    try:
        yield
    finally:
        import os; os._exit(0)
kept = endless()
next(kept)
""",
}
"""Each is followed by a test that fails and by a last line that does nothing."""

# Tests and answers share one process, so these wrong answers cannot be told from right ones: they
# pass. They must not get out.
CHEATS = {
    "equal to everything": """
class Anything:
    def __eq__(self, other): return True
def answer(): return Anything()
assert answer() == 1
""",
    "a number equal to everything": """
class Number(int):
    def __eq__(self, other): return True
def answer(): return Number(7)
assert answer() == 1
""",
    "the tests' tools": """
import builtins
builtins.abs = lambda _: 0
def answer(): return 7
assert abs(answer() - 1) < 1e-9
""",
    "the testing library": """
import unittest
unittest.TestCase.assertEqual = lambda *_: None
def answer(): return 7
unittest.TestCase().assertEqual(answer(), 1)
""",
    "the test's names": """
import sys
def answer():
    sys._getframe(1).f_globals["answer"] = lambda: 2
    return 1
assert answer() == 1
assert answer() == 2
""",
}
