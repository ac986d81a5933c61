"""Programs that attack the machine or the run; those in hostile_answers.py attack the verdict.

Each comes to its last line only if its attack worked, so one that passes has won. Names in capitals
are filled in: VICTIM a file of ours, FOLDER where it lies, PORT where we listen, PID our process,
SOCKET where we listen in the file system, PACKAGE a file among the installed packages.
"""

FILES = {
    "read": "open('VICTIM').read()",
    "read by descriptor": "import os; os.read(os.open('VICTIM', os.O_RDONLY), 9)",
    "write": "open('VICTIM', 'w').write('x')",
    "append": "open('VICTIM', 'a').write('x')",
    "remove": "import os; os.remove('VICTIM')",
    "remove by posix": "import posix; posix.unlink('VICTIM')",
    "remove by reloaded os": "import os, importlib; importlib.reload(os); os.remove('VICTIM')",
    "rename": "import os; os.rename('VICTIM', 'FOLDER/other')",
    "truncate": "import os; os.truncate('VICTIM', 0)",
    "truncate while reading": "import os; os.open('VICTIM', os.O_RDONLY | os.O_TRUNC)",
    "truncate without access": "import os; os.open('VICTIM', 3 | os.O_TRUNC)",
    "chmod": "import os; os.chmod('VICTIM', 0o777)",
    "chown": "import os; os.chown('VICTIM', 65534, 65534)",
    "utime": "import os; os.utime('VICTIM', (0, 0))",
    "setxattr": "import os; os.setxattr('VICTIM', 'user.x', b'x')",
    "hard link": "import os; os.link('VICTIM', 'FOLDER/link')",
    "symbolic link": "import os; os.symlink('VICTIM', '/tmp/link'); open('/tmp/link').read()",
    "make a folder": "import os; os.mkdir('FOLDER/new')",
    "list a folder": "import os; os.listdir('FOLDER')",
    "list the root": "import os; assert 'proc' in os.listdir('/')",
    "read passwords": "open('/etc/passwd').read()",
    "read packages": "open('PACKAGE').read()",
    "import packages": "import sys; sys.path.append('SITE'); import pluggy",
    "many files": """
for i in range(10**5):
    open(f"FOLDER/{i}", "w").write("x")
""",
    "a huge file": """
import os
for folder in (".", "/", "/tmp", "/var/tmp", "/dev/shm", "FOLDER"):
    try:
        with open(os.path.join(folder, "huge"), "wb") as file:
            file.write(bytes(1 << 20))
        break
    except OSError:
        pass
else:
    raise OSError
""",
    "a file in memory": "import os; os.write(os.memfd_create('x'), bytes(1 << 20))",
    "a temporary file": "import tempfile; tempfile.TemporaryFile().write(b'x')",
    "a database": "import sqlite3; sqlite3.connect('FOLDER/x.db').execute('create table x (y)')",
    "mount": "import os, ctypes; ctypes.CDLL(None).mount(b'x', b'/tmp', b'tmpfs', 0, 0)",
    "chroot": "import os; os.chroot('FOLDER')",
    "a device": "import os; os.mknod('FOLDER/x', 0o20666, os.makedev(1, 1))",
    "read memory of ours": "open('/proc/PID/mem', 'rb').seek(1)",
    "read our environment": "assert b'PATH' in open('/proc/PID/environ', 'rb').read()",
    "read the own memory": "open('/proc/self/mem', 'rb').read(1)",
    "list descriptors": "import os; os.listdir('/proc/self/fd')",
    "reopen a descriptor": "open('/proc/self/fd/3', 'rb').read(1)",
    "see our environment": "import os; assert os.environ['BENCHBENCH_SECRET']",
    "see more variables": "import os; assert set(os.environ) - {'PYTHONHASHSEED', 'LC_CTYPE'}",
}

NETWORK = {
    "connect": "import socket; socket.create_connection(('127.0.0.1', PORT), 1).send(b'x')",
    "datagram": "import socket; socket.socket(2, 2).sendto(b'x', ('127.0.0.1', PORT))",
    "connect to a file": "import socket; socket.socket(socket.AF_UNIX).connect('SOCKET')",
    "datagram to a file": """
import socket
socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"x", "MAIL")
""",
    "raw to a file": """
import socket
socket.socketpair(socket.AF_UNIX, socket.SOCK_RAW)[0].sendto(b"x", "MAIL")
""",
    "descriptor to a file": """
import array, socket
pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
pair[0].sendmsg([b"x"], [(1, 1, array.array("i", [3]))], 0, "MAIL")
""",
    "abstract address": "import socket; socket.socket(socket.AF_UNIX).bind('\\0x')",
    "netlink": "import socket; socket.socket(16, 3)",
    "raw": "import socket; socket.socket(2, 3, 1)",
    "serve": "import socket; socket.create_server(('127.0.0.1', 0))",
    "look up": "import socket; socket.getaddrinfo('example.org', 80)",
    "fetch": "import urllib.request; urllib.request.urlopen('http://127.0.0.1:PORT/', timeout=1)",
}

PROCESSES = {
    "fork": "import os; os.fork()",
    "fork bomb": "import os\nfor _ in range(10**4): os.fork()",
    "fork bomb that does not give up": """
import os
forked = 0
while not forked:
    try:
        os.fork()
        forked = 1
    except OSError:
        pass
""",
    "double fork": "import os; os.setsid(); os.forkpty()",
    "system": "import os; assert os.system('true') == 0",
    "subprocess": "import subprocess; subprocess.run(['/bin/true'])",
    "spawn": "import os; os.posix_spawn('/bin/true', ['true'], {})",
    "popen": "import os; os.popen('true').close(); assert not os.wait()[1]",
    "multiprocessing": """
import multiprocessing
process = multiprocessing.get_context("fork").Process(target=print)
process.start()
""",
    "exec": "import os; os.execv('/bin/sh', ['sh', '-c', 'exit 0'])",
    "exec again": "import os, sys; os.execv(sys.executable, ['python', '-S', '-c', 'pass'])",
    "a thread": "import threading; threading.Thread(target=print).start()",
    "thread bomb": """
import _thread, time
_thread.stack_size(32768)
for _ in range(10**5):
    _thread.start_new_thread(time.sleep, (9,))
""",
    "a pool": "import concurrent.futures as f; f.ThreadPoolExecutor().submit(print).result()",
    "kill us": "import os; os.kill(PID, 9)",
    "ask for us": "import os; os.kill(PID, 0)",
    "kill the parent": "import os; os.kill(os.getppid() or 1, 9); os.kill(1, 9)",
    "kill everything": "import os; os.kill(-1, 9)",
    "kill the group": "import os; os.killpg(0, 9)",
    "a signal by a file": """
import fcntl, os
read, write = os.pipe()
fcntl.fcntl(read, fcntl.F_SETOWN, PID)
""",
    "a signal of choice by a file": "import fcntl; fcntl.fcntl(3, 10, 9)",
    "limits of ours": "import resource; resource.prlimit(PID, resource.RLIMIT_CPU, (1, 1))",
    "limits of its own": "import resource; resource.setrlimit(resource.RLIMIT_CPU, (99, 99))",
    "more memory": "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))",
    "become root": "import os; os.setuid(0)",
    "become nobody": "import os; os.setgroups([]); os.setuid(65534)",
    "the clock": "import time; time.clock_settime(time.CLOCK_REALTIME, 0)",
    "the host's name": "import socket; socket.sethostname('x')",
    "priority": "import os; os.setpriority(os.PRIO_PROCESS, PID, 19)",
    "processors": "import os; os.sched_setaffinity(PID, {0})",
    "trace us": """
import ctypes
assert ctypes.CDLL(None).ptrace(16, PID, 0, 0) == 0
""",
    "system calls": "import ctypes; assert ctypes.CDLL(None).syscall(57) >= 0",
    "cffi": "import sys; sys.path.append('SITE'); import _cffi_backend",
    "shared memory": "from multiprocessing import shared_memory as s; s.SharedMemory('x', True, 9)",
}

# Native code is no way out, but one to the runner's memory. (Bubblewrap alone does not hide these.)
MODULES = {
    "ctypes": "import ctypes",
    "ctypes by its loader": """
import importlib.machinery as m, glob, os
folder = os.path.join(os.path.dirname(os.__file__), "lib-dynload")
name = next(n for n in os.listdir(folder) if n.startswith("_ctypes."))
m.ExtensionFileLoader("_ctypes", os.path.join(folder, name)).load_module("_ctypes")
""",
    "test modules": "import _testcapi",
    "test modules inside": "import _testinternalcapi",
}

# These may end in any way but one: by passing, or by taking the run down.
RESOURCES = {
    "a loop": "while True: pass",
    "a loop that catches all": """
while True:
    try:
        while True: pass
    except BaseException: pass
""",
    "a loop deaf to signals": """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True: pass
""",
    "sleep": "import time; time.sleep(10**6)",
    "wait for input": "input()",
    "pause": "import signal; signal.pause()",
    "prints": "while True: print('x' * 10**6)",
    "prints to errors": "import sys\nwhile True: sys.stderr.write('x' * 10**6)",
    "says too much": "import os\nwhile True: os.write(3, bytes(10**5))",
    "says a bit too much": "import os; os.write(3, bytes(5000))\nassert False",
    "a list": "x = [0]\nwhile True: x += x",
    "a string": "x = 'x' * (1 << 40)",
    "many objects": "x = []\nwhile True: x.append({})",
    "many maps": "import mmap\nx = []\nwhile True: x.append(mmap.mmap(-1, 1 << 24))",
    "recursion": "def f(): f()\nf()",
    "deep recursion": """
import sys
sys.setrecursionlimit(10**9)
def f(): return [f() for _ in "x"]
f()
""",
    "a deep repr": "x = []\nfor _ in range(10**6): x = [x]\nassert not repr(x)",
    "a deep source": "x = " + "(" * 10**5 + ")" * 10**5,
    "a deep eval": "eval('-' * 10**6 + '1')",
    "a regular expression": "import re; re.match('(x+x+)+y', 'x' * 99)",
    "a large number": "x = 9 ** 9 ** 9",
    "many descriptors": "import os\nwhile True: os.dup(3)",
    "a long error": "raise ValueError('x' * 10**8)",
    "an error without end": """
class Endless(Exception):
    def __str__(self):
        while True: pass
raise Endless
""",
    "an error in the error": """
class Nested(Exception):
    def __str__(self): raise Nested
raise Nested
""",
    "no error": "raise BaseException",
    "a generator's error": "def f(): yield\nnext(f()).x",
    "null": "x = '\\0'\nexec(x)",
    "stack": "import faulthandler; faulthandler._stack_overflow()",
    "crash": "import faulthandler; faulthandler._sigsegv()",
    "abort": "import os; os.abort()",
    "forged code": """
def f(): pass
f.__code__ = f.__code__.replace(co_code=bytes([100, 255]) * 99, co_stacksize=1)
f()
assert False
""",
}
