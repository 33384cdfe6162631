"""The walls of a systemd service, without systemd as the first process: what seccomp is to refuse.

The unit's SystemCallFilter=, RestrictAddressFamilies= and MemoryDenyWriteExecute= become a filter as
systemd makes it, with the sets of calls that systemd-analyze knows, by the libseccomp of systemd.
"""
import ctypes
import errno
import subprocess

ALLOW, ERRNO = 0x7fff0000, 0x00050000
EQUAL, AT_LEAST, MASKED = 4, 5, 7
WRITE, EXEC, SHM_EXEC = 2, 4, 0o100000
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}


class Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64),
                ("b", ctypes.c_uint64)]


def settings(path, key):
    """The words after each KEY= of a unit."""
    with open(path) as file:
        return [line.partition("=")[2].split() for line in file if line.startswith(key + "=")]


def calls(names):
    """The system calls that are meant, the sets among them opened."""
    found = set()
    for name in names:
        if name.startswith("@"):
            done = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True,
                                  capture_output=True, text=True, timeout=50)
            inner = [line.strip() for line in done.stdout.splitlines()[1:]]
            found |= calls([one for one in inner if one and one[0] != "#"])
        else:
            found.add(name)
    return found


class Walls:
    """raise_() in a process puts it, and all that it starts, behind the walls of the unit."""

    def __init__(self, path):
        self.lib = ctypes.CDLL("libseccomp.so.2")
        self.lib.seccomp_init.restype = ctypes.c_void_p
        allowed = set()
        for first, *rest in settings(path, "SystemCallFilter"):
            if first.startswith("~"):
                allowed -= calls([first[1:], *rest])
            else:
                allowed |= calls([first, *rest])
        self.filters = [self._new(ERRNO | errno.EPERM), self._new(ALLOW)]
        for name in allowed:
            self._rule(self.filters[0], ALLOW, name)
        self._families(settings(path, "RestrictAddressFamilies"))
        if settings(path, "MemoryDenyWriteExecute") == [["yes"]]:
            self._write_or_execute()

    def _new(self, otherwise):
        return ctypes.c_void_p(self.lib.seccomp_init(ctypes.c_uint32(otherwise)))

    def _rule(self, context, action, name, *compares):
        number = self.lib.seccomp_syscall_resolve_name(name.encode())
        array = (Compare * len(compares))(*compares)
        if number >= 0:
            code = self.lib.seccomp_rule_add_array(context, ctypes.c_uint32(action), number,
                                                   len(compares), array)
            assert code == 0, (name, code)

    def _families(self, lines):
        """The numbers are few, so each gap between those that are allowed is refused."""
        numbers = sorted(FAMILIES[one] for line in lines for one in line)
        refused = ERRNO | errno.EAFNOSUPPORT
        for number in set(range(numbers[-1])) - set(numbers):
            self._rule(self.filters[1], refused, "socket", Compare(0, EQUAL, number, 0))
        self._rule(self.filters[1], refused, "socket", Compare(0, AT_LEAST, numbers[-1] + 1, 0))

    def _write_or_execute(self):
        refused, both = ERRNO | errno.EPERM, WRITE | EXEC
        self._rule(self.filters[1], refused, "mmap", Compare(2, MASKED, both, both))
        for name in ("mprotect", "pkey_mprotect"):
            self._rule(self.filters[1], refused, name, Compare(2, MASKED, EXEC, EXEC))
        self._rule(self.filters[1], refused, "shmat", Compare(2, MASKED, SHM_EXEC, SHM_EXEC))

    def raise_(self):
        for context in reversed(self.filters):
            if self.lib.seccomp_load(context):
                raise OSError("the filter cannot be loaded")
