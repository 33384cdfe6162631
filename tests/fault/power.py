"""What a power cut leaves: what was flushed, and of the rest what chance will have.

power_cut.c records what is flushed of the trees that count; here they are made anew, as they would
be found when the power is back. Without a source of chance nothing survives that was not flushed.
With one, each thing survives or not, whatever the others do: a name in a directory, the removal of
one, a move (as a whole); and of each file what was flushed, what is there now, or a mixture of both
by blocks, with zeros where nothing was written yet.
"""
import os
import shutil
import stat

BLOCK = 4096


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Disk:
    """trees: names below top that lie on this disk. record: a directory beside top."""

    def __init__(self, top, record, trees):
        self.top, self.record, self.trees = top, record, trees
        self.settle()

    def env(self, shim):
        return {"LD_PRELOAD": shim, "POWER_TOP": self.top, "POWER_DISK": self.record}

    def place(self, *names):
        return os.path.join(self.record, *names)

    # ---- what is there, and what was flushed -----------------------------------------------------

    def _now(self):
        """{inode of a directory: {name: inode}}, and {inode: path}; "" is what lies above all."""
        lists, paths = {"": {}}, {}
        for tree in self.trees:
            self._walk(os.path.join(self.top, tree), "", lists, paths)
        return lists, paths

    def _walk(self, path, above, lists, paths):
        try:
            st = os.lstat(path)
        except FileNotFoundError:
            return
        inode = str(st.st_ino)
        lists[above][os.path.basename(path)] = inode
        paths[inode] = path
        if stat.S_ISDIR(st.st_mode):
            lists[inode] = {}
            for name in os.listdir(path):
                self._walk(os.path.join(path, name), inode, lists, paths)

    def settle(self):
        """All that is there is on the disk."""
        shutil.rmtree(self.record, ignore_errors=True)
        for kind in ("file", "list", "kept"):
            os.makedirs(self.place(kind))
        lists, paths = self._now()
        for directory, names in lists.items():
            where = directory or str(os.stat(self.top).st_ino)
            with open(self.place("list", where), "w") as file:
                file.writelines("%s %s\n" % (inode, name) for name, inode in names.items())
        for inode, path in paths.items():
            if not os.path.isdir(path):
                shutil.copy2(path, self.place("file", inode))

    def _flushed(self):
        lists = {}
        root = str(os.stat(self.top).st_ino)
        for directory in os.listdir(self.place("list")):
            text = read(self.place("list", directory)).decode()
            names = [line.split(" ", 1) for line in text.splitlines()]
            lists[directory] = {name: inode for inode, name in names}
        lists[""] = {name: inode for name, inode in lists.pop(root).items() if name in self.trees}
        return lists

    # ---- chance ----------------------------------------------------------------------------------

    @staticmethod
    def _places(lists):
        found = {}
        for directory, names in lists.items():
            for name, inode in names.items():
                found.setdefault(inode, set()).add((directory, name))
        return found

    def _names(self, lists, chance):
        """The names that survive."""
        flushed = self._flushed()
        if not chance:
            return flushed
        before, after = self._places(flushed), self._places(lists)
        kept = []
        for inode in sorted(set(before) | set(after)):
            old, new = before.get(inode, set()), after.get(inode, set())
            gone, come = sorted(old - new), sorted(new - old)
            kept += [(place, inode) for place in sorted(old & new)]
            if gone and come:
                kept += [(place, inode) for place in chance.choice((gone, come))]
            else:
                kept += [(place, inode) for place in gone + come if chance.random() < 0.5]
        chance.shuffle(kept)
        survived = {directory: {} for directory in {*flushed, *lists}}
        for (directory, name), inode in kept:
            survived[directory][name] = inode
        return survived

    def _octets(self, inode, paths, chance):
        flushed = self.place("file", inode)
        before = read(flushed) if os.path.exists(flushed) else b""
        if not chance:
            return before
        now = paths.get(inode) or self.place("kept", inode)
        now = read(now) if os.path.exists(now) else before
        return chance.choice((before, now, self._mixture(before, now, chance)))

    @staticmethod
    def _mixture(before, now, chance):
        size = len(chance.choice((before, now)))
        octets = bytearray()
        for at in range(0, size, BLOCK):
            block = chance.choice((before, now))[at:at + BLOCK]
            octets += block.ljust(min(BLOCK, size - at), b"\0")[:size - at]
        return bytes(octets)

    # ---- the cut ---------------------------------------------------------------------------------

    def cut(self, chance=None):
        """Nothing may run that uses the trees."""
        lists, paths = self._now()
        names = self._names(lists, chance)
        made = self.place("made")
        os.mkdir(made)
        self._make(made, "", names, paths, chance, {})
        for tree in self.trees:
            shutil.rmtree(os.path.join(self.top, tree), ignore_errors=True)
        for tree in os.listdir(made):
            os.rename(os.path.join(made, tree), os.path.join(self.top, tree))
        self.settle()

    def _is_directory(self, inode, names, paths):
        return inode in names or os.path.isdir(paths.get(inode, ""))

    def _make(self, path, directory, names, paths, chance, made):
        for name, inode in sorted(names.get(directory, {}).items()):
            here = os.path.join(path, name)
            if self._is_directory(inode, names, paths):
                os.mkdir(here, 0o700)
                self._make(here, inode, names, paths, chance, made)
            elif inode in made:
                os.link(made[inode], here)
            elif not name.endswith("-shm"):  # memory that SQLite's processes share
                with open(here, "wb") as file:
                    file.write(self._octets(inode, paths, chance))
                os.chmod(here, 0o600)
                made[inode] = here
