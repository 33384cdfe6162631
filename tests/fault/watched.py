"""A home whose mailhaul is watched: how much memory it takes at most."""
import ctypes
import os
import signal
import subprocess
import time

import program
from lab import wait_for
from program import Result

MEMORY_KB = 32 * 1024  # an honest visit takes some 10 MB

# What is started from here would count our own memory as its own (exec keeps the peak); so a shell
# starts it and goes, and it becomes our child, before it begins.
LAUNCH = """cd "$1"; out=$1/../$2; shift 2
exec 3<&0
{ read go <&3; exec "$@" </dev/null >"$out.out" 2>"$out.err" 3<&-; } &
echo $!"""


def make_watched(home):
    """Makes home.run() note in home.peak how much memory the program has had, in kB."""
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
    home.peak = 0
    name = os.path.basename(home.path)

    def read(suffix):
        with open(os.path.join(home.path, "..", name + suffix), "rb") as file:
            return file.read()

    def run(*args, timeout=60):
        began = time.monotonic()
        ended = []
        with subprocess.Popen(["/bin/sh", "-c", LAUNCH, "sh", home.path, name, *home.argv(*args)],
                              env=home.env, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as shell:
            pid = int(shell.stdout.readline())
            shell.wait()
            shell.stdin.write(b"go\n")

        def has_ended():
            done, status, usage = os.wait4(pid, os.WNOHANG)
            ended.extend([os.waitstatus_to_exitcode(status), usage.ru_maxrss] if done else [])
            return ended
        if not wait_for(has_ended, timeout):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise AssertionError("%s did not end within %d s; it said: %s" % (
                args, timeout, read(".err")[-2000:].decode(errors="replace")))
        home.peak = max(home.peak, ended[1])
        return Result(ended[0], read(".out"), read(".err"), time.monotonic() - began)
    home.run = run
    return home


def check_memory(home):
    assert "san" in program.BUILD or home.peak < MEMORY_KB, "it took %d kB of memory" % home.peak
