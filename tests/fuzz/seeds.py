#!/usr/bin/python3
"""The inputs of the fuzz targets.

seeds.py gather DIR NAME...          all that is kept for each target, into DIR/NAME.seeds
seeds.py fuzz DIR SECONDS NAME...    runs DIR/fuzz_NAME for so long, from these and what it grew
seeds.py keep DIR NAME...            what it grew, as little as reaches the same, into the corpus

corpus/NAME.seeds holds one input on each line, with escapes (see replay.c). Besides, transcripts
in tests/dialog are inputs for the engines and the parser, and the examples in config/ for the
loading of configurations, so that what is added there is fuzzed from then on.
"""
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
MARK = b"\xfe"
INPUT_MAX = 4096  # octets; longer ones are slow to fuzz and rarely better
TAB = "\t"


# ---- lines of a corpus ----

def escaped(octets):
    text = "".join({92: "\\\\", 13: "\\r", 10: "\\n", 9: "\\t"}.get(
        o, chr(o) if 32 <= o < 127 else "\\x%02x" % o) for o in octets)
    return "\\x23" + text[1:] if text.startswith("#") else text


def unescaped(text):
    def one(found):
        c = found.group(1)
        return chr(int(c[1:], 16)) if len(c) == 3 else {"r": "\r", "n": "\n", "t": "\t"}.get(c, c)
    return re.sub(r"\\(x[0-9a-fA-F]{2}|.)", one, text).encode("latin-1")


def read_seeds(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="ascii") as file:
        return [unescaped(line) for line in file.read().split("\n") if line and line[0] != "#"]


def write_seeds(path, seeds):
    with open(path, "w", encoding="ascii") as file:
        file.write("".join(escaped(seed) + "\n" for seed in seeds if seed))


# ---- transcripts ----

def script(path):
    """(kind, variant, text) of each line; octets as latin-1, escapes not yet undone."""
    with open(path, encoding="latin-1") as file:
        for line in file.read().split("\n"):
            if re.match(r"[OSCEVWT][:|*!-]", line):
                yield line[0], line[1], line[2:].removeprefix(" ")


def words(text):
    found = re.findall(r'"((?:[^"\\]|\\.)*)"|((?:[^ \\]|\\.)+)', text)
    return [unescaped(quoted or bare).decode("latin-1") for quoted, bare in found]


def server_sends(variant, text):
    if variant == "*":
        times, text = text.split(" ", 1)
        return unescaped(text) * min(int(times), INPUT_MAX // max(1, 2 * len(text)))
    return unescaped(text) + (b"\r\n" if variant == ":" else b"")


def verb(text):
    """What the input says for a verb of a transcript; "" for what the driver does by itself."""
    name, *rest = words(text)
    letter = {"auth": "a", "login": "l", "mailboxes": "m", "status": "t", "fetch": "f", "headers": "h", "present": "p",
              "remove": "d", "idle": "y", "finish": "q", "eof": "e", "respond": "r", "cancel": "c"}.get(name)
    if name == "select":
        letter = "w" if rest[1:] == ["writing"] else "s"
        rest = rest[:1]
    elif name == "list":
        letter = {"sizes": "z", "ids": "i"}.get("".join(rest[1:2]), "n")
        rest = rest[:1]
    if not letter:
        return b""
    if letter == "l":
        rest = [word.replace("\n", "\r") for word in rest]
    return MARK + (letter + TAB.join(rest) + "\n").encode("latin-1")


def session(path):
    """The input for an engine (drive.h): flags, the answers to challenges, then what comes."""
    flags = 4 * (zlib.crc32(os.path.basename(path).encode()) % 8)
    answers, rest, tag = b"", b"", 0
    for kind, variant, text in script(path):
        if kind == "O":
            flags |= {"encrypted": 1, "trace": 2, "name": 32}.get(words(text)[0], 0)
        elif kind == "S":
            for part in re.split(rb"(?<=\n)", server_sends(variant, text).replace(MARK, MARK * 2)):
                found = re.match(rb"a(\d+)(?= )", part)
                if found and int(found.group(1)) == tag + 1 and "/imap/" in path:
                    tag, part = tag + 1, MARK + b"T" + part[found.end():]
                rest += part
        elif kind == "V" and verb(text)[1:2] in (b"r", b"c"):
            answers += verb(text)
        elif kind == "V":
            rest += verb(text)
    return bytes([flags]) + answers + rest


def responses(path):
    """The input for the parser: the size of the pieces, then all that the server sends."""
    drip = zlib.crc32(os.path.basename(path).encode()) % 8
    return bytes([drip]) + b"".join(server_sends(variant, text)
                                    for kind, variant, text in script(path) if kind == "S")


def whole(path):
    with open(path, "rb") as file:
        return file.read()


GROWN = {"imap": ("tests/dialog/imap/*.txt", session), "pop3": ("tests/dialog/pop3/*.txt", session),
         "imap_parse": ("tests/dialog/imap/*.txt", responses), "config": ("config/**/*.yaml", whole)}


def seeds_of(name):
    """(those that the tree grows by itself, all)"""
    pattern, make = GROWN.get(name, ("", None))
    paths = sorted(glob.glob(os.path.join(TREE, pattern), recursive=True)) if pattern else []
    grown = [make(path)[:INPUT_MAX] for path in paths]
    kept = read_seeds(os.path.join(HERE, "corpus", name + ".seeds"))
    return grown, list(dict.fromkeys(grown + kept))


# ---- what is run ----

def gather(directory, names):
    os.makedirs(directory, exist_ok=True)
    for name in names:
        write_seeds(os.path.join(directory, name + ".seeds"), seeds_of(name)[1])


def unpack(directory, seeds):
    os.makedirs(directory, exist_ok=True)
    for seed in seeds:
        with open(os.path.join(directory, hashlib.sha1(seed).hexdigest()), "wb") as file:
            file.write(seed)


def fuzz(directory, seconds, names):
    broken = []
    for name in names:
        corpus = os.path.join(directory, name + ".corpus")
        unpack(corpus, seeds_of(name)[1])
        found = subprocess.run([os.path.join(directory, "fuzz_" + name), corpus,
                                "-max_total_time=" + seconds, "-max_len=%d" % INPUT_MAX,
                                "-timeout=10", "-rss_limit_mb=1000", "-print_final_stats=1",
                                "-artifact_prefix=" + os.path.join(directory, name + "-")],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        text = found.stdout.decode(errors="replace")
        with open(os.path.join(directory, name + ".log"), "w", encoding="utf-8") as file:
            file.write(text)
        runs = re.findall(r"number_of_executed_units: (\d+)", text)
        cover = re.findall(r"cov: (\d+) ft: (\d+)", text)
        print("%-12s %9s runs, %s edges, %s features, %s" % (
            name, runs[-1] if runs else "?", *(cover[-1] if cover else "??"),
            "BROKEN, see %s/%s.log" % (directory, name) if found.returncode else "all well"),
            flush=True)
        if found.returncode:
            broken.append(name)
    return not broken


def keep(directory, names):
    """What is known stays: it may be there for what it once broke. To it comes the least that
    reaches edges which it does not."""
    for name in names:
        grown, known = seeds_of(name)
        merged = os.path.join(directory, name + ".merged")
        shutil.rmtree(merged, ignore_errors=True)
        unpack(merged, known)
        given = set(os.listdir(merged))
        subprocess.run([os.path.join(directory, "fuzz_" + name), "-merge=1", "-use_counters=0",
                        merged, os.path.join(directory, name + ".corpus")],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        seeds = [whole(os.path.join(merged, file)) for file in set(os.listdir(merged)) - given]
        seeds += [seed for seed in known if seed not in grown]
        write_seeds(os.path.join(HERE, "corpus", name + ".seeds"), sorted(seeds))
        print("%-12s %d inputs" % (name, len(seeds)))


def main():
    what, directory, *rest = sys.argv[1:]
    if what == "gather":
        gather(directory, rest)
    elif what == "keep":
        keep(directory, rest)
    elif not fuzz(directory, rest[0], rest[1:]):
        sys.exit(1)


if __name__ == "__main__":
    main()
