"""Runs a command of this project as Windows would run it: `python -m tests.windows fetch demo --out data/demo`.

It is no Windows. The project's own modules see an `os` and a `signal` without what Windows has not, and import none of the
modules that it lacks. Files that are open or mapped are not moved, replaced or removed, what is only read is not brought to the
disk, text has the old encoding of western Europe unless another is asked for, and worker processes begin afresh.
"""

import builtins
import errno
import importlib
import multiprocessing
import os
import runpy
import sys
import types
from pathlib import Path
from typing import Any

OURS = ("bench", "dataset", "fetch", "geocells", "infer", "label_maps", "plumbing", "tools", "train", "viz")
NO_MODULES = ("fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty")
"""Modules that Windows lacks."""
NO_NAMES = {
    "os": """chown chroot confstr ctermid fchdir fchmod fchown fdatasync fork forkpty fpathconf fstatvfs getegid geteuid getgid
        getgroups getloadavg getpgid getpgrp getpriority getsid getuid getxattr killpg lchown listxattr lockf mkfifo mknod nice
        O_CLOEXEC O_DIRECTORY O_DSYNC O_NOCTTY O_NOFOLLOW O_NONBLOCK O_SYNC openpty pathconf pidfd_open pipe2 posix_fadvise
        posix_fallocate posix_spawn pread preadv pwrite pwritev readv register_at_fork sched_getaffinity sched_setaffinity
        sched_yield sendfile setgid setpgid setpriority setsid setuid setxattr statvfs sync sysconf tcgetpgrp uname wait wait3
        wait4 WEXITSTATUS WIFEXITED WNOHANG writev""",
    "signal": "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGUSR1 SIGUSR2 alarm pause setitimer sigwait",
    "socket": "AF_UNIX socketpair",
    "time": "tzset",
}
"""What modules lack there."""
CODE_PAGE = "cp1252"


class Seen(types.ModuleType):
    """A module as this project's own modules see it."""

    def __init__(self, module: types.ModuleType, without: list[str], **other: Any) -> None:
        super().__init__(module.__name__)
        self.__dict__.update({k: v for k, v in vars(module).items() if k not in without} | other)


def is_used(path: Any) -> bool:
    """Say whether this process has a file open or mapped."""
    wanted = os.path.realpath(path)
    opened = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            opened.add(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue
    return wanted in opened or any(line.rstrip("\n").endswith(f" {wanted}") for line in _maps())


def _maps() -> list[str]:
    with REAL_OPEN("/proc/self/maps", encoding="utf-8", errors="replace") as lines:
        return list(lines)


REAL_OPEN = builtins.open


def _guarded(real: Any) -> Any:
    def moved(path: Any, *others: Any, **named: Any) -> Any:
        if not named.get("dir_fd"):
            for one in (path, *others):
                if isinstance(one, str | os.PathLike) and is_used(one):
                    raise PermissionError(errno.EACCES, "the file is used by this process", str(one))
        return real(path, *others, **named)

    return moved


def _fsync(number: int) -> None:
    import fcntl

    if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, "Bad file descriptor")
    os.fsync(number)


def _opened(
    file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, *rest: Any, **named: Any
) -> Any:
    if "b" not in mode and encoding is None:
        encoding = CODE_PAGE
    return REAL_OPEN(file, mode, buffering, encoding, *rest, **named)


def disguise() -> None:
    """Make this process look like one of Windows to the project's own modules."""
    for name in ("replace", "rename", "unlink", "remove"):
        setattr(os, name, _guarded(getattr(os, name)))
    read_text, write_text = Path.read_text, Path.write_text
    Path.read_text = lambda self, encoding=None, errors=None: read_text(self, encoding or CODE_PAGE, errors)
    Path.write_text = lambda self, data, encoding=None, errors=None, newline=None: write_text(
        self, data, encoding or CODE_PAGE, errors, "\r\n" if newline is None else newline
    )
    seen = {name: Seen(importlib.import_module(name), without.split()) for name, without in NO_NAMES.items()}
    seen["os"].fsync = _fsync
    for name, module in seen.items():
        for gone in NO_NAMES[name].split():
            assert not hasattr(module, gone)
    real_import = builtins.__import__

    def imported(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        module = real_import(name, globals, locals, fromlist, level)
        if not level and globals and _owner(globals) in OURS:
            if name.split(".")[0] in NO_MODULES:
                raise ModuleNotFoundError(f"No module named {name!r}, as on Windows", name=name)
            return seen.get(name, module)
        return module

    builtins.__import__ = imported
    builtins.open = _opened
    multiprocessing.set_start_method("spawn")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding=CODE_PAGE)


def _owner(names: dict[str, Any]) -> str:
    spec = names.get("__spec__")
    return (spec.name if spec else str(names.get("__name__"))).split(".")[0]


if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    disguise()
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
