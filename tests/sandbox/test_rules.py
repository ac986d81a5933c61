"""The rules of the sandbox as they are written down, for machines other than this one too."""

import os
import re
from pathlib import Path

import pytest

from benchbench.sandbox.cell import landlock, seccomp

PID, ADDRESS = 4242, 0x7F12_3456_789A
MACHINES = tuple(seccomp.ARCHITECTURES)
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip(f"no {HEADERS[machine]}")
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\n", HEADERS[machine].read_text())
    kernels = {name: int(number) for name, number in found}
    if machine == "aarch64":
        kernels["newfstatat"] = kernels["fstatat"]
    ours = seccomp.numbers(seccomp.CALLS + seccomp.GUARDED, machine)
    assert {name: kernels[name] for name in ours} == ours
    missing = set(seccomp.numbers(seccomp.CALLS + seccomp.GUARDED, "x86_64")) - set(ours)
    assert not missing & set(kernels)


def judge(machine: str, number: int, *arguments: int, architecture: int | None = None) -> str:
    """Run the filter as the kernel does (seccomp(2)): one word of memory, jumps forward only."""
    words = {
        seccomp.NUMBER: number,
        seccomp.ARCHITECTURE: architecture or seccomp.ARCHITECTURES[machine][1],
    }
    for place in range(6):
        value = arguments[place] if place < len(arguments) else 0
        words[seccomp.argument(place)] = value & 0xFFFFFFFF
        words[seccomp.argument(place, upper=True)] = value >> 32
    code, step, word = seccomp.listing(machine, PID, ADDRESS), 0, 0
    while True:
        operation, yes, no, value = code[step]
        step += 1
        if operation == seccomp.RETURN:
            return {seccomp.ALLOW: "allow", seccomp.REFUSE: "refuse", seccomp.KILL: "kill"}[value]
        if operation == seccomp.LOAD:
            word = words[value]
        elif operation == seccomp.AND:
            word &= value
        else:
            true = {
                seccomp.EQUAL: word == value,
                seccomp.ANY_BIT: bool(word & value),
                seccomp.AT_LEAST: word >= value,
            }[operation]
            step += yes if true else no


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_on_the_list_is_allowed_and_nothing_else(machine: str) -> None:
    allowed = set(seccomp.numbers(seccomp.CALLS, machine).values())
    guarded = set(seccomp.numbers(seccomp.GUARDED, machine).values())
    for number in set(range(600)) - guarded:
        assert judge(machine, number) == ("allow" if number in allowed else "refuse"), number
    assert not allowed & guarded
    steps = seccomp.listing(machine, PID, ADDRESS)
    assert all(yes < 256 and no < 256 for _, yes, no, _ in steps)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("call", "arguments", "verdict"),
    [
        ("kill", (PID, 9), "allow"),
        ("kill", (PID + 1, 9), "refuse"),
        ("kill", (0, 9), "refuse"),
        ("kill", (0xFFFFFFFF, 9), "refuse"),
        ("tgkill", (PID, PID, 6), "allow"),
        ("tgkill", (1, 1, 9), "refuse"),
        ("prlimit64", (0,), "allow"),
        ("prlimit64", (PID + 1,), "refuse"),
        ("socketpair", (1, 1), "allow"),
        ("socketpair", (2, 1), "refuse"),
        ("socketpair", (1, 0x80801), "allow"),
        ("socketpair", (1, 2), "refuse"),
        ("socketpair", (1, 3), "refuse"),
        ("socketpair", (1, 0x80002), "refuse"),
        ("fcntl", (3, 0), "allow"),
        ("fcntl", (3, 8), "refuse"),
        ("fcntl", (3, 10), "refuse"),
        ("fcntl", (3, 1030), "allow"),
        ("ioctl", (3, 0x5401), "allow"),
        ("ioctl", (3, 0x5412), "refuse"),
        ("execve", (ADDRESS,), "allow"),
        ("execve", (ADDRESS + 1,), "refuse"),
        ("execve", (ADDRESS & 0xFFFFFFFF,), "refuse"),
        ("openat", (0, 0, os.O_RDONLY), "allow"),
        ("openat", (0, 0, os.O_WRONLY | os.O_TRUNC), "allow"),
        ("openat", (0, 0, os.O_RDWR | os.O_TRUNC | os.O_CREAT), "allow"),
        ("openat", (0, 0, os.O_RDONLY | os.O_TRUNC), "refuse"),
        ("openat", (0, 0, 3 | os.O_TRUNC), "refuse"),
        ("open", (0, os.O_RDONLY | os.O_TRUNC), "refuse"),
        ("open", (0, os.O_RDONLY), "allow"),
    ],
)
def test_arguments_that_matter_are_looked_at(
    machine: str, call: str, arguments: tuple[int, ...], verdict: str
) -> None:
    numbers = seccomp.numbers(seccomp.GUARDED, machine)
    if call not in numbers:
        pytest.skip(f"{machine} has no {call}")
    assert judge(machine, numbers[call], *arguments) == verdict


@pytest.mark.parametrize("machine", MACHINES)
def test_other_kinds_of_call_are_not_let_by(machine: str) -> None:
    read = seccomp.numbers(seccomp.CALLS, machine)["read"]
    assert judge(machine, read + seccomp.X32) == "refuse"
    assert judge(machine, read, architecture=0x40000003) == "kill"  # 32-bit x86


def test_each_version_of_landlock_is_asked_for_all_it_knows() -> None:
    files = {n: landlock.handled(n)[0].bit_count() for n in (1, 2, 3, 4, 5, 7)}
    assert files == {1: 13, 2: 14, 3: 15, 4: 15, 5: 16, 7: 16}
    assert [landlock.handled(n)[1:] for n in (3, 4, 6)] == [(0, 0), (3, 0), (3, 3)]


def test_what_can_be_read_is_python_and_no_package() -> None:
    rights = dict(landlock.readable())
    files = [path for path, right in rights.items() if right & landlock.READ]
    assert os.path.dirname(os.__file__) not in files
    assert not [path for path in files if "-packages" in path or "ctypes." in path]
    assert not [path for path in files if "/_test" in path]
    writable = [path for path, right in rights.items() if right & landlock.WRITE]
    assert writable == ["/dev/null"]
    started = [path for path, right in rights.items() if right & landlock.EXECUTE]
    assert all("python" in path or "/ld-" in path for path in started)
