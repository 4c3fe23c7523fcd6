"""The kernel's part of the sandbox: namespaces, a root of its own, limits. Linux 5.14 or newer.

Runs in the sandbox's own processes only, which have one thread. Every refusal is an OSError whose
text names the step. Sources: namespaces(7), user_namespaces(7), pid_namespaces(7),
pivot_root(2), mount_setattr(2), getrlimit(2).
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Iterator, Mapping

NOBODY = 65534
_NEWPID, _NEWUSER = 0x20000000, 0x10000000
_NAMESPACES = {
    "user": _NEWUSER, "mount": 0x00020000, "pid": _NEWPID, "network": 0x40000000,
    "ipc": 0x08000000, "uts": 0x04000000, "cgroup": 0x02000000,
}  # fmt: skip
_CALLS = {
    "x86_64": {"pivot_root": 155, "keyctl": 250},
    "aarch64": {"pivot_root": 41, "keyctl": 219},
}
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442  # the same on every architecture
_HERE, _EMPTY_PATH, _RECURSIVE, _CLONE_TREE, _CLOEXEC = -100, 0x1000, 0x8000, 1, 0o2000000
_RDONLY, _NOSUID, _NODEV, _NOEXEC = 1, 2, 4, 8  # the same bits in mount(2) and mount_setattr(2)
_MS_PRIVATE_TREE = (1 << 18) | (1 << 14)
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_JOIN_SESSION_KEYRING = 1
_LIBRARIES = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib")
_DEVICES = ("/dev/null", "/dev/urandom")
_NEW_ROOT = "/tmp"

_libc = ctypes.CDLL(None, use_errno=True)


def _do(step: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{step}: {os.strerror(number)}")
    return result


def die_with_parent() -> None:
    """SIGKILL when the parent ends. A change of user forgets it: call this afterwards."""
    _do("dying with the parent", _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))


def leave_the_machine() -> None:
    """New namespaces of every kind, owned by a user without power outside.

    Root becomes nobody where that user exists: the limit on processes does not hold for root. The
    caller's children (not the caller) live in the new process namespace.
    """
    # Out of memory, the kernel ends code under test before the trainer.
    _write("/proc/self/oom_score_adj", "1000")
    calls = _CALLS.get(platform.machine())
    if calls is None:
        raise OSError(f"the sandbox knows x86_64 and aarch64, not {platform.machine()}")
    # Fails where the kernel has no keyrings; then there is none to see either.
    _libc.syscall(calls["keyctl"], _JOIN_SESSION_KEYRING, None)
    user, group = os.geteuid(), os.getegid()
    become_nobody = user == 0 and _has_nobody()
    write, helper = _helper(os.getpid()) if become_nobody else (-1, -1)
    flags = 0
    for flag in _NAMESPACES.values():
        flags |= flag
    _do(f"making namespaces ({', '.join(_NAMESPACES)})", _libc.unshare(flags))
    if become_nobody:
        os.write(write, b"1")
        if os.waitpid(helper, 0)[1] != 0:
            raise OSError("mapping users into the namespace was refused")
    else:
        _write("/proc/self/setgroups", "deny")
        _map_users("self", user, group)


def _has_nobody() -> bool:
    """Whether the namespace that we come from knows the user nobody."""
    ranges = [line.split() for line in _read("/proc/self/uid_map").splitlines()]
    return any(int(start) <= NOBODY < int(start) + int(size) for start, _, size in ranges)


def _helper(pid: int) -> tuple[int, int]:
    """A process that stays outside as root and maps `pid`'s users when told to: root alone may map
    a user other than itself, and a process that has left is root no more.
    """
    read, write = os.pipe()
    helper = os.fork()
    if helper:
        os.close(read)
        return write, helper
    os.close(write)
    status = 1
    try:
        if os.read(read, 1):
            _map_users(str(pid), NOBODY, NOBODY)
            status = 0
    finally:
        os._exit(status)


def _map_users(pid: str, user: int, group: int) -> None:
    _write(f"/proc/{pid}/uid_map", f"{NOBODY} {user} 1")
    _write(f"/proc/{pid}/gid_map", f"{NOBODY} {group} 1")


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def build_root() -> None:
    """An empty read-only root with Python's library and the system's shared libraries in it, and
    nothing else: no /proc, no /sys, no home, no /etc, nothing to write to.
    """
    _do("making mounts private", _libc.mount(None, b"/", None, _MS_PRIVATE_TREE, None))
    links = {path: os.readlink(path) for path in _LIBRARIES if os.path.islink(path)}
    trees = {path: _tree(path, _RDONLY | _NOSUID | _NODEV) for path in _python_needs()}
    trees |= {d: _tree(d, _RDONLY | _NOSUID | _NOEXEC) for d in _DEVICES if os.path.exists(d)}
    _become_nobody()  # now: root finds Python in its home, nobody can make folders in a tmpfs
    _tmpfs(_NEW_ROOT, b"size=1m,mode=755")
    for path, link in links.items():
        os.makedirs(os.path.dirname(_NEW_ROOT + path), exist_ok=True)
        os.symlink(link, _NEW_ROOT + path)
    for path, tree in trees.items():
        _place(tree, path)
    for path in _installed_packages():
        _tmpfs(_NEW_ROOT + path, b"size=0,nr_inodes=1,mode=555")
    os.chdir(_NEW_ROOT)
    pivot_root = _CALLS[platform.machine()]["pivot_root"]
    _do("changing the root", _libc.syscall(pivot_root, b".", b"."))
    _do("leaving the old root", _libc.umount2(b".", 2))
    os.chdir("/")
    _restrict(_HERE, "/", _RDONLY | _NOSUID | _NODEV | _NOEXEC, recursive=False)
    _do("naming the machine", _libc.sethostname(b"sandbox", 7))


def _become_nobody() -> None:
    """The one user of the namespace; capabilities inside it stay. For an ordinary user that is no
    change, and its further groups cannot be left: files that they may read are not shown.
    """
    if _read("/proc/self/setgroups").strip() == "allow":
        os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def _python_needs() -> list[str]:
    """Folders, none inside another: the standard library and where shared libraries lie."""
    prefix = sys.base_prefix
    wanted = [*sys.path, f"{prefix}/lib", f"{prefix}/lib64", *_LIBRARIES]
    folders = sorted(
        {os.path.abspath(p) for p in wanted if os.path.isdir(p) and not os.path.islink(p)}, key=len
    )
    kept: list[str] = []
    for folder in folders:
        if not any(folder.startswith(f"{outer}/") for outer in kept):
            kept.append(folder)
    return kept


def _installed_packages() -> Iterator[str]:
    """Folders of installed packages inside what is shown: they are the user's, not Python's."""
    homes = {os.path.dirname(os.__file__), "/usr/lib/python3", *map(os.path.abspath, sys.path)}
    for home in sorted(homes):
        for name in ("site-packages", "dist-packages"):
            if os.path.isdir(f"{_NEW_ROOT}{home}/{name}"):
                yield f"{home}/{name}"


def _tree(path: str, attributes: int) -> int:
    """A detached copy of the mounts at `path`, restricted before it is put anywhere."""
    flags = _CLONE_TREE | _CLOEXEC | _RECURSIVE
    tree = _do(f"copying {path}", _libc.syscall(_OPEN_TREE, _HERE, path.encode(), flags))
    _restrict(tree, "", attributes, recursive=True)
    return tree


def _restrict(folder: int, path: str, attributes: int, *, recursive: bool) -> None:
    wanted = struct.pack("=QQQQ", attributes, 0, 0, 0)
    flags = _EMPTY_PATH | (_RECURSIVE if recursive else 0)
    _do(
        f"restricting the mount {path}",
        _libc.syscall(_MOUNT_SETATTR, folder, path.encode(), flags, wanted, len(wanted)),
    )


def _place(tree: int, path: str) -> None:
    target, from_fd = _NEW_ROOT + path, 4  # MOVE_MOUNT_F_EMPTY_PATH
    if path in _DEVICES:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _write(target, "")
    else:
        os.makedirs(target, exist_ok=True)
    _do(
        f"showing {path}",
        _libc.syscall(_MOVE_MOUNT, tree, b"", _HERE, target.encode(), from_fd),
    )
    os.close(tree)


def _tmpfs(path: str, options: bytes) -> None:
    flags = _NOSUID | _NODEV | _NOEXEC
    _do("mounting a tmpfs", _libc.mount(b"tmpfs", path.encode(), b"tmpfs", flags, options))


class ProcessNamespaces:
    """Forks children that are each process 1 of a namespace of their own: whatever they start dies
    with them, and they see nobody else. For process 1 of the sandbox.
    """

    def __init__(self) -> None:
        self._own = os.pidfd_open(os.getpid())

    def fork(self) -> int:
        _do("making a process namespace", _libc.unshare(_NEWPID))
        pid = os.fork()
        if pid:
            _do("returning to the process namespace", _libc.setns(self._own, _NEWPID))
        return pid


def give_up_power(limits: Mapping[str, int]) -> None:
    """Resource limits (`RLIMIT_` names without the prefix), no capabilities, none to be gained."""
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
    _do("giving up new privileges", _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    version = struct.pack("=Ii", 0x20080522, 0)
    _do("giving up capabilities", _libc.capset(version, bytes(24)))
