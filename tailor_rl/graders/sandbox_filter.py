"""The system calls that code under test may not make (seccomp), for x86_64 and aarch64.

Namespaces leave four holes that only a filter closes: AF_VSOCK sockets reach the host of a virtual
machine from any network namespace; System V shared memory is outside every resource limit; threads
must be possible while processes must not; a nested user namespace gives capabilities back.

The program is a list without computed jumps: each denied call is two instructions, "not this one:
skip the next" and "refuse". Numbers: the kernel's asm/unistd_64.h and asm-generic/unistd.h; a
system call never changes its number.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column, AUDIT_ARCH_*
_DENIED = {  # name: (x86_64, aarch64); None where an architecture has no such call
    "socket": (41, 198), "fork": (57, None), "vfork": (58, None),
    "execve": (59, 221), "execveat": (322, 281),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "kcmp": (312, 272), "pidfd_getfd": (438, 438),
    "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
    "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "fanotify_init": (300, 262), "personality": (135, 92),
}  # fmt: skip
_CLONE, _CLONE3 = (56, 220), (435, 435)
_CLONE_THREAD = 0x00010000
_X32 = 0x40000000  # numbers from here on are the x32 calls: the same calls under other names

_LOAD, _IS, _AT_LEAST, _HAS_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; arguments' low words
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000  # _REFUSE | errno

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def program(machine: str) -> bytes:
    """The filter as classic BPF. Raises OSError(ENOSYS) for an architecture without a table."""
    if machine not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"there is no system call filter for {machine}")
    column, arch = _ARCHITECTURES[machine]
    denied = [numbers[column] for numbers in _DENIED.values()]
    lines = [
        (_LOAD, 0, 0, _ARCH),
        (_IS, 1, 0, arch),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _REFUSE | errno.EPERM),
        # The C library then falls back to clone, whose flags a filter can read.
        (_IS, 0, 1, _CLONE3[column]),
        (_RETURN, 0, 0, _REFUSE | errno.ENOSYS),
    ]
    for number in filter(None, denied):
        lines += [(_IS, 0, 1, number), (_RETURN, 0, 0, _REFUSE | errno.EPERM)]
    lines += [
        (_IS, 1, 0, _CLONE[column]),
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_HAS_BIT, 0, 1, _CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE | errno.EPERM),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def install() -> None:
    """Filter this process and whatever threads it starts, for good. Needs PR_SET_NO_NEW_PRIVS."""
    code = program(platform.machine())
    loaded = _Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(loaded), 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"installing the system call filter: {errno.errorcode[number]}")
