"""The system calls a confined program may make; every other one fails as not permitted.

A list of what is allowed rather than of what is not, so that calls of newer kernels are refused.
Not on it, among others: fork, clone (so no thread either), sockets, ptrace, anything that makes,
changes or removes a file, mount, setuid, bpf, io_uring, keyctl. Landlock says which files can be
opened; what Landlock does not govern (chmod, chown, utime, truncate on older kernels) ends here.
"""

import ctypes
import os
import platform
import struct

# name, number on x86-64, number on aarch64 (- where it has none). Checked by a test against the
# kernel's headers, where they are installed.
CALLS = """
read 0 63; write 1 64; readv 19 65; writev 20 66; pread64 17 67; pwrite64 18 68; preadv 295 69
pwritev 296 70; close 3 57; close_range 436 436; lseek 8 62; mmap 9 222; munmap 11 215
mprotect 10 226; mremap 25 216; madvise 28 233; brk 12 214; fstat 5 80; stat 4 -; lstat 6 -
newfstatat 262 79; statx 332 291; access 21 -; faccessat 269 48; faccessat2 439 439; readlink 89 -
readlinkat 267 78; getcwd 79 17; getdents64 217 61; dup 32 23; dup2 33 -; dup3 292 24; pipe 22 -
pipe2 293 59; poll 7 -; ppoll 271 73; select 23 -; pselect6 270 72; epoll_create 213 -
epoll_create1 291 20; epoll_ctl 233 21; epoll_wait 232 -; epoll_pwait 281 22; sendto 44 206
recvfrom 45 207; sendmsg 46 211; recvmsg 47 212; shutdown 48 210; getsockname 51 204
getpeername 52 205; getsockopt 55 209; futex 202 98; set_robust_list 273 99
rseq 334 293; set_tid_address 218 96; arch_prctl 158 -; rt_sigaction 13 134; rt_sigprocmask 14 135
rt_sigreturn 15 139; rt_sigpending 127 136; rt_sigtimedwait 128 137; rt_sigsuspend 130 133
sigaltstack 131 132; restart_syscall 219 128; nanosleep 35 101; clock_nanosleep 230 115
clock_gettime 228 113; clock_getres 229 114; gettimeofday 96 169; time 201 -; times 100 153
getrusage 98 165; getitimer 36 102; setitimer 38 103; alarm 37 -; pause 34 -; getpid 39 172
getppid 110 173; gettid 186 178; getuid 102 174; geteuid 107 175; getgid 104 176; getegid 108 177
getgroups 115 158; getresuid 118 148; getresgid 120 150; getpgid 121 155; getpgrp 111 -
getsid 124 156; uname 63 160; sysinfo 99 179; sched_yield 24 124; sched_getaffinity 204 123
getcpu 309 168; getrlimit 97 163; exit 60 93; exit_group 231 94; getrandom 318 278; chdir 80 49
fchdir 81 50; umask 95 166; membarrier 324 283; fadvise64 221 223; getpriority 140 141
"""
GUARDED = """
open 2 -; openat 257 56; fcntl 72 25; ioctl 16 29; socketpair 53 199; prlimit64 302 261; kill 62 129
tgkill 234 131; execve 59 221
"""
ARCHITECTURES = {"x86_64": (1, 0xC000003E), "aarch64": (2, 0xC00000B7)}

ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050001, 0x80000000  # REFUSE: fails with EPERM
LOAD, AND, EQUAL, ANY_BIT, AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x45, 0x35, 0x06
NUMBER, ARCHITECTURE = 0, 4  # places in the kernel's struct seccomp_data
X32 = 0x40000000  # numbers of another set of calls on x86-64, which would slip by this list
TRUNCATE, ACCESS = 0x200, 3  # flags of open()

# Setting who gets the signals of a file would let a program send one to any process of its user.
FCNTL = (0, 1, 2, 3, 4, 1030)  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC
STREAMS = (1, 0x801, 0x80001, 0x80801)  # SOCK_STREAM, with SOCK_NONBLOCK or SOCK_CLOEXEC
IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS to FIONBIO and FIOCLEX

Instruction = tuple[int, int, int, int]


def numbers(table: str, machine: str) -> dict[str, int]:
    """Return name -> number of the calls of a table that this kind of machine has."""
    column = ARCHITECTURES[machine][0]
    rows = [row.split() for row in table.replace(";", "\n").splitlines() if row.strip()]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


def argument(place: int, upper: bool = False) -> int:
    """Return where an argument's lower or upper half lies in struct seccomp_data."""
    return 16 + 8 * place + 4 * upper


def listing(machine: str, pid: int, program: int) -> list[Instruction]:
    """Return the filter for the process ``pid``, which may exec only the path at an address.

    The address is one of the warden's memory: it lets the program start and nothing after it, as
    the new process cannot choose its addresses.
    """
    guarded = numbers(GUARDED, machine)
    low, high = program & 0xFFFFFFFF, program >> 32
    rules: dict[str, list[tuple[int, tuple[int, ...]]]] = {
        "fcntl": [(argument(1), FCNTL)],
        "ioctl": [(argument(1), IOCTL)],
        # AF_UNIX, for asyncio wakes itself through one; and streams, as a datagram socket could
        # send to any that has a name in the file system.
        "socketpair": [(argument(0), (1,)), (argument(1), STREAMS)],
        "prlimit64": [(argument(0), (0,))],
        "kill": [(argument(0), (pid,))],
        "tgkill": [(argument(0), (pid,))],
        "execve": [(argument(0), (low,)), (argument(0, upper=True), (high,))],
    }
    code = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, ARCHITECTURES[machine][1]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, REFUSE),
    ]
    for name, checks in rules.items():
        body = [step for check in checks for step in one_of(*check)]
        code += when(guarded[name], body)
    for name, place in (("open", 1), ("openat", 2)):
        if name in guarded:
            code += when(guarded[name], no_truncation(place))
    allowed = list(numbers(CALLS, machine).values())
    code += [(EQUAL, len(allowed) - i, 0, number) for i, number in enumerate(allowed)]
    return [*code, (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)]


def when(number: int, body: list[Instruction]) -> list[Instruction]:
    """Run ``body``, which refuses or falls through, for one call; then it is allowed."""
    return [(EQUAL, 0, len(body) + 1, number), *body, (RETURN, 0, 0, ALLOW)]


def one_of(place: int, values: tuple[int, ...]) -> list[Instruction]:
    """Refuse unless a word of the arguments is one of these values."""
    tests = [(EQUAL, len(values) - i, 0, value) for i, value in enumerate(values)]
    return [(LOAD, 0, 0, place), *tests, (RETURN, 0, 0, REFUSE)]


def no_truncation(place: int) -> list[Instruction]:
    """Refuse to truncate a file that is not opened for writing.

    Before its third version Landlock let that pass; opening for writing it has always judged.
    """
    return [
        (LOAD, 0, 0, argument(place)),
        (ANY_BIT, 0, 4, TRUNCATE),
        (AND, 0, 0, ACCESS),
        (EQUAL, 2, 0, os.O_WRONLY),
        (EQUAL, 1, 0, os.O_RDWR),
        (RETURN, 0, 0, REFUSE),
    ]


def confine(libc: ctypes.CDLL, program: int) -> None:
    """Install the filter for good, in this process and whatever it executes."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise OSError(f"seccomp: no table of system calls for {machine}")
    code = listing(machine, os.getpid(), program)
    packed = b"".join(struct.pack("=HBBI", *step) for step in code)
    buffer = ctypes.create_string_buffer(packed, len(packed))
    header = struct.pack("@HP", len(code), ctypes.addressof(buffer))
    if libc.prctl(22, 2, header, 0, 0):  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        raise OSError(ctypes.get_errno(), "seccomp: the kernel refuses filters")
