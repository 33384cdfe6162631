"""Nothing here needs root but installing packages: started as root, a test goes on as `nobody`.

The tree may stand where nobody else can read it (/root), so what the tests need of it is copied
into a directory of that user, which is removed at the end.
"""
import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile

USER = "nobody"
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"  # root's may hold what nobody else can read
TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NEEDED = ("Makefile", "README.md", "build", "config", "include", "man", "src", "tests",
          ".clang-format")


def die_with_parent():
    """For preexec_fn: the child gets SIGTERM when the thread that started it ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def prefer_memory(path="/dev/shm", octets=1 << 30):
    """Temporary files are made in memory if there is room: for tests that flush all the time, and of
    which none wants to know how a real disk takes it."""
    with contextlib.suppress(OSError):
        space = os.statvfs(path)
        if os.access(path, os.W_OK) and not space.f_flag & os.ST_NOEXEC and \
                space.f_bavail * space.f_frsize >= octets:
            os.environ.setdefault("TMPDIR", path)


def _copy_tree(target):
    skip = shutil.ignore_patterns("*.o", "*.d", "*.a", "__pycache__", "fuzzing")
    for name in NEEDED:
        source = os.path.join(TREE, name)
        if os.path.isdir(source):
            shutil.copytree(source, os.path.join(target, name), ignore=skip, symlinks=True)
        elif os.path.exists(source):
            shutil.copy2(source, target)


def continue_unprivileged(bring_back=None):
    """Returns at once unless root; as root, runs this program again as USER and ends with its
    exit code. bring_back: a path below the tree that is taken over from the copy at the end."""
    if os.geteuid() != 0:
        return
    them = pwd.getpwnam(USER)
    base = tempfile.mkdtemp(prefix="mailhaul-tests-")
    os.chmod(base, 0o755)
    child = None

    def become():
        os.setgroups([])
        os.setgid(them.pw_gid)
        os.setuid(them.pw_uid)
        os.umask(0o022)
        die_with_parent()

    def stop(number, _frame):
        if child:
            child.send_signal(number)

    code = 1
    try:
        tree = os.path.join(base, "tree")
        home = os.path.join(base, "home")
        os.mkdir(tree)
        os.mkdir(home)
        os.chown(home, them.pw_uid, them.pw_gid)
        _copy_tree(tree)
        if bring_back:
            place = os.path.join(tree, bring_back)
            shutil.rmtree(place, ignore_errors=True)
            os.makedirs(place)
            os.chown(place, them.pw_uid, them.pw_gid)
        program = os.path.join(tree, os.path.relpath(os.path.abspath(sys.argv[0]), TREE))
        environment = dict(os.environ, HOME=home, TMPDIR=home, USER=USER, LOGNAME=USER,
                           MAIL=os.path.join(home, "mbox"), PATH=PATH, PYTHONDONTWRITEBYTECODE="1")
        for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "MAKEFLAGS"):
            environment.pop(name, None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, stop)
        child = subprocess.Popen([sys.executable, program] + sys.argv[1:], cwd=tree,
                                 env=environment, preexec_fn=become)
        code = child.wait()
        if bring_back:
            shutil.rmtree(os.path.join(TREE, bring_back), ignore_errors=True)
            shutil.copytree(os.path.join(tree, bring_back), os.path.join(TREE, bring_back),
                            symlinks=True)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    sys.exit(code if code >= 0 else 128 - code)
