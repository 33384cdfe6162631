"""The configuration in effect, its schema, and the examples in config/, which are for copying;
services among them, behind whose walls all must work."""
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys

import messages
from lab import SECRET, end_group, wait_for
from program import BINARY, compare
from runner import case
from test_collect import PROTOCOLS, deliver_by, one_account
from user import TREE
from walls import Walls

CONFIG = os.path.join(TREE, "config")
EXAMPLES = sorted(os.path.basename(path) for path in glob.glob(os.path.join(CONFIG, "*.yaml")))
UNITS = ("systemd", "systemd/user")
SERVICES = {"mailhaul.service": "daemon", "mailhaul-mda.service": "daemon",
            "mailhaul-poll.service": "poll"}
# The exposure that systemd may see at most, in tenths: 0 is none, 100 all. Without set-uid programs
# it must be 20 or less.
EXPOSED = {"mailhaul.service": 15, "mailhaul-mda.service": 30, "mailhaul-poll.service": 15}


def schema():
    with open(os.path.join(CONFIG, "mailhaul.schema.json")) as file:
        return json.load(file)


def example(home, name):
    """Copies an example to where a user's configuration would be."""
    shutil.copy(os.path.join(CONFIG, name), home.file("config.yaml"))


def in_effect(home, *accounts):
    """What check -v says, as the mapping that the configuration amounts to."""
    result = home.run("-v", "--json", "check", *accounts)
    assert result.code == 0, result
    whole = {"accounts": {}}
    for one in result.json:
        mapping = whole if one["event"] == "configuration" else {}
        for name, option in one.get("options", {}).items():
            place = mapping
            *sections, key = name.split(".")
            for section in sections:
                place = place.setdefault(section, {})
            place[key] = option["value"]
        if one["event"] == "account":
            whole["accounts"][one["account"]] = mapping
    return whole


# ---- what a schema demands -----------------------------------------------------------------------

TYPES = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict,
         "null": type(None)}
SILENT = ("$schema", "$defs", "title", "description", "default", "additionalProperties")


def is_type(name, value):
    return isinstance(value, TYPES[name]) and (name != "integer" or not isinstance(value, bool))


def faults(rules, value, where="", root=None):
    """Where a value is not what the schema says; all of JSON Schema that ours makes use of."""
    root = root or rules
    found = []

    def inside(inner, part, name):
        return faults(inner, part, "%s/%s" % (where, name), root)

    def fault(bad):
        return [where] if bad else []

    judges = {
        "$ref": lambda rule: inside(root["$defs"][rule.rpartition("/")[2]], value, ""),
        "anyOf": lambda rule: fault(all(inside(one, value, "") for one in rule)),
        "type": lambda rule: fault(not any(is_type(one, value) for one in (
            rule if isinstance(rule, list) else [rule]))),
        "enum": lambda rule: fault(value not in rule),
        "pattern": lambda rule: fault(not re.search(rule, str(value))),
        "minLength": lambda rule: fault(len(str(value)) < rule),
        "minItems": lambda rule: fault(isinstance(value, list) and len(value) < rule),
        "minimum": lambda rule: fault(isinstance(value, int) and value < rule),
        "maximum": lambda rule: fault(isinstance(value, int) and value > rule),
        "items": lambda rule: [bad for part in (value if isinstance(value, list) else ())
                               for bad in inside(rule, part, "")],
        "propertyNames": lambda rule: [bad for name in value or ()
                                       for bad in inside(rule, name, name)],
        "properties": lambda rule: [bad for name in rule if isinstance(value, dict)
                                    and name in value
                                    for bad in inside(rule[name], value[name], name)]}
    for keyword, rule in rules.items():
        if keyword not in SILENT:
            found += judges[keyword](rule)
    others = rules.get("additionalProperties")
    if others is not None and isinstance(value, dict):
        for name in set(value) - set(rules.get("properties", ())):
            found += inside(others, value[name], name) if others else ["%s/%s" % (where, name)]
    return found


# ---- check -v ------------------------------------------------------------------------------------

@case()
def check_v_tells_where_values_come_from(lab, home):
    home.write("config.yaml", "max_connections: 8\ndefaults:\n  timeout: 90s\naccounts:\n"
                              "  one:\n    host: imap.example.org\n    user: lee\n"
                              "    password: open-sesame\n    deliver: {maildir: M}\n"
                              "  two:\n    host: imap.example.org\n    user: kim\n"
                              "    password: open-sesame\n    deliver: {maildir: M}\n")
    result = home.run("-v", "check")
    assert result.code == 0 and not result.err, result
    home.log_shows_no_secret(result, "open-sesame")
    for line in (r"# \S+config\.yaml: no mistakes; 2 accounts",
                 r"max_connections: 8 +# config.yaml:1",
                 r"max_connections_per_host: 4 +# default", r"  one: +# config.yaml:5",
                 r"    timeout: 90s +# defaults, config.yaml:3", r"    user: lee +# config.yaml:7",
                 r'    password: "<cut>" +# config.yaml:8', r"    keep: true +# default",
                 r"  two: +# config.yaml:10"):
        assert re.search("^%s$" % line, result.out, re.M), "no line %r: %r" % (line, result)
    assert "two:" not in home.run("-v", "check", "one").out
    assert "user" not in home.run("check").out


@case()
def check_v_in_json(lab, home):
    path = home.write("config.yaml", "defaults: {keep: false}\naccounts:\n  one:\n"
                                     "    host: h.example\n    user: lee\n    password: open-sesame\n"
                                     "    deliver: {maildir: M}\n")
    result = home.run("-v", "--json", "check", "one")
    home.log_shows_no_secret(result, "open-sesame")
    events = {one["event"]: one for one in result.json}
    assert set(events) == {"checked", "configuration", "account"}, result
    assert events["configuration"]["file"] == path
    options = events["account"]["options"]
    assert events["account"]["account"] == "one"
    assert options["user"] == {"value": "lee", "from": path + ":5"}, options
    assert options["keep"] == {"value": False, "from": "defaults, %s:1" % path}, options
    assert options["tls.mode"] == {"value": "starttls", "from": "default"}, options
    assert options["deliver.maildir"] == {"value": home.file("M"), "from": path + ":7"}, options
    assert options["password"]["value"] == "<cut>", options


@case()
def check_v_of_a_path_that_is_no_text(lab, home):
    home.write("config.yaml", "accounts:\n  one:\n    host: h.example\n    user: lee\n"
                              "    password_file: p\n    deliver: {maildir: \"${ROOT}/M\"}\n")
    env = {"ROOT": os.fsdecode(b"/srv/\xe4")}
    assert '"/srv/\\xE4/M"' in home.run("-v", "check", env=env).out
    options = home.run("-v", "--json", "check", env=env).json[-1]["options"]
    assert options["deliver.maildir"]["value"] == "/srv/\\xE4/M", options


@case(each=EXAMPLES)
def what_check_v_prints_reads_the_same(lab, home, name):
    example(home, name)
    before = in_effect(home)
    home.write("config.yaml", home.run("-v", "check").out)
    assert in_effect(home) == before, (before, in_effect(home))


# ---- the schema ----------------------------------------------------------------------------------

@case(each=EXAMPLES)
def an_example_fits_the_schema(lab, home, name):
    example(home, name)
    bad = faults(schema(), in_effect(home))
    assert not bad, bad


@case(each=[({"max_connections": 0}, "/max_connections"), ({"stat_dir": "x"}, "/stat_dir"),
            ({"max_connections": True}, "/max_connections"),
            ({"accounts": {".x": {}}}, "/accounts/.x"),
            ({"accounts": {"x": {"hots": "h"}}}, "/accounts/x//hots"),
            ({"accounts": {"x": {"port": 65536}}}, "/accounts/x//port"),
            ({"accounts": {"x": {"timeout": "5 minutes"}}}, "/accounts/x//timeout"),
            ({"accounts": {"x": {"tls": "none"}}}, "/accounts/x//tls"),
            ({"accounts": {"x": {"deliver": {"mda": "a b"}}}}, "/accounts/x//deliver//mda"),
            ({"accounts": {"x": {"deliver": {"mda": []}}}}, "/accounts/x//deliver//mda")])
def the_schema_refuses(lab, home, document, where):
    assert faults(schema(), document) == [where], faults(schema(), document)


@case()
def the_schema_takes_other_ways_to_write(lab, home):
    for account in ({"tls": "implicit"}, {"tls": {"mode": "implicit"}}, {"mailboxes": "INBOX"},
                    {"mailboxes": ["INBOX", "a"]}, {"auth": "SCRAM-SHA-256"}, {}):
        assert not faults(schema(), {"defaults": account, "accounts": {"x": account}}), account
    assert not faults(schema(), {"defaults": None, "accounts": None})


# ---- examples ------------------------------------------------------------------------------------

@case(each=EXAMPLES)
def an_example_has_no_mistake(lab, home, name):
    """Nor does it deserve a warning; and nothing that it names has to be there."""
    example(home, name)
    result = home.run("check")
    assert result.code == 0 and not result.err, result
    with open(os.path.join(CONFIG, name)) as file:
        assert file.readline().startswith("# "), "no words at the beginning say what it is for"


@case()
def the_crontab_runs_poll(lab, home):
    settings, jobs = {}, []
    with open(os.path.join(CONFIG, "crontab")) as file:
        for line in filter(lambda line: line.strip() and line[0] != "#", file):
            setting = re.fullmatch(r"([A-Z]+)=(\S+)\n", line)
            if setting:
                settings[setting.group(1)] = setting.group(2)
            else:
                jobs.append(line.split())
    assert set(settings) == {"PATH", "MAILTO"}, settings
    assert len(jobs) == 1 and re.fullmatch(r"[*/0-9]+", jobs[0][0]), jobs
    assert jobs[0][1:5] == ["*"] * 4 and jobs[0][6:] == ["/usr/local/bin/mailhaul", "poll"], jobs


def systemd_analyze(home, *args):
    done = subprocess.run(["systemd-analyze", *args], capture_output=True, text=True, timeout=50,
                          env={**home.env, "XDG_RUNTIME_DIR": home.path, "SYSTEMD_PAGER": ""})
    return done.returncode, done.stdout + done.stderr


def program_of(path):
    """The command that a service runs, and how."""
    with open(path) as file:
        found = re.findall(r"^ExecStart=(!?)/usr/local/bin/mailhaul (\w+)$", file.read(), re.M)
    assert len(found) == 1, path
    return found[0]


def copied_units(home, directory):
    """The units with the program that was built, for the installed one need not be there."""
    paths = []
    for path in sorted(glob.glob(os.path.join(CONFIG, directory, "*.*"))):
        with open(path) as file:
            text = file.read()
        if path.endswith(".service"):
            assert program_of(path)[1] == SERVICES[os.path.basename(path)], path
            text = text.replace("/usr/local/bin/mailhaul", BINARY)
        paths.append(home.write(os.path.join(directory, os.path.basename(path)), text))
    assert len(paths) >= 3, paths
    return paths


def verify(home, directory, units):
    """Fails with what is said of our units; those of the machine are loaded with them."""
    manager = "--user" if directory.endswith("user") else "--system"
    code, said = systemd_analyze(home, "verify", manager, "--man=no", *units)
    assert code == 0 and "mailhaul" not in said.replace(home.path, ""), said


@case(each=UNITS)
def units_are_good(lab, home, directory):
    verify(home, directory, copied_units(home, directory))


@case(each=UNITS)
def a_bad_unit_would_be_seen(lab, home, directory):
    units = copied_units(home, directory)
    with open(units[0], "a") as file:
        file.write("NoNewPrivilegs=yes\n")
    try:
        verify(home, directory, units)
    except AssertionError as error:
        assert "NoNewPrivilegs" in str(error)
    else:
        raise AssertionError("nothing was said of a key that is not known")


@case(each=list(EXPOSED))
def a_service_is_walled_off(lab, home, name):
    copied_units(home, "systemd")
    code, said = systemd_analyze(home, "security", "--offline=true",
                                 "--threshold=%d" % EXPOSED[name], home.file("systemd", name))
    assert code == 0, said


@case()
def an_open_service_would_be_seen(lab, home):
    path = home.write("mailhaul.service", "[Service]\nExecStart=%s daemon\n" % BINARY)
    code, said = systemd_analyze(home, "security", "--offline=true", "--threshold=30", path)
    assert code != 0, said


@case()
def only_set_uid_programs_go_without_the_last_walls(lab, home):
    """What takes the set-uid bit away, as systemd.exec(5) has it, is off in the one service; and in
    the others it is on."""
    for name in EXPOSED:
        with open(os.path.join(CONFIG, "systemd", name)) as file:
            keys = re.findall(r"^(NoNewPrivileges|PrivateUsers|DynamicUser)=yes$", file.read(),
                              re.M)
        for_mda = name == "mailhaul-mda.service"
        assert set(keys) == (set() if for_mda else {"NoNewPrivileges", "PrivateUsers"}), name
        # With User=, systemd would switch NoNewPrivileges= on for the sake of the filters.
        assert (program_of(os.path.join(CONFIG, "systemd", name))[0] == "!") == for_mda, name


@case(each=UNITS)
def a_daemon_is_looked_after(lab, home, directory):
    for path in glob.glob(os.path.join(CONFIG, directory, "*.service")):
        with open(path) as file:
            keys = dict(re.findall(r"^(\w+)=(.*)$", file.read(), re.M))
        if program_of(path)[1] == "poll":
            assert keys["Type"] == "oneshot", path
            continue
        assert keys["Type"] == "notify" and keys["WatchdogSec"] == "2min", path
        assert keys["ExecReload"] == "kill -HUP $MAINPID", path
        assert keys["TimeoutStopSec"] == "10s" and keys["Restart"] == "on-failure", path


# ---- behind the walls ----------------------------------------------------------------------------

REFUSED = ("import os; os.nice(1)", "import mmap; mmap.mmap(-1, 4096, prot=7)",
           "import socket; socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)")


@case(each=list(EXPOSED))
def the_walls_stand(lab, home, name):
    """So that the cases below show something; each works outside."""
    walls = Walls(os.path.join(CONFIG, "systemd", name))
    for program in REFUSED[:2]:
        assert subprocess.run([sys.executable, "-c", program], timeout=50).returncode == 0, program
    for program in REFUSED:
        done = subprocess.run([sys.executable, "-c", program], preexec_fn=walls.raise_,
                              capture_output=True, text=True, timeout=50)
        assert re.search("not permitted|not supported", done.stderr), (program, done.stderr)


@case(each=[(name, protocol) for name in EXPOSED for protocol in PROTOCOLS])
def a_poll_works_behind_the_walls(lab, home, name, protocol):
    walls = Walls(os.path.join(CONFIG, "systemd", name))
    mail = messages.sample(12)
    secret = home.write("secret", SECRET + "\n")
    user = one_account(lab, home, protocol, mail, password=None, keep=False,
                       password_command=["/bin/sh", "-c", "exec cat \"$0\"", secret])
    result = home.poll(preexec_fn=walls.raise_)
    assert not result.out + result.err, result
    compare(mail, home.letters(), protocol)
    assert not lab.left(user), "removing was refused"


@case(each=["mailhaul.service", "mailhaul-mda.service"])
def a_daemon_works_behind_the_walls(lab, home, name):
    """It listens, tells systemd that it is ready and alive, and reads its configuration anew."""
    walls = Walls(os.path.join(CONFIG, "systemd", name))
    mail = messages.sample(5)
    user = one_account(lab, home, "imap", mail, interval="1h")
    heard = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, \
            open(home.file("said"), "wb") as said:
        manager.bind("\0" + home.path)
        manager.setblocking(False)

        def told(word):
            with contextlib.suppress(BlockingIOError):
                while True:
                    heard.append(manager.recv(4096).decode())
            return any(word in one.splitlines() for one in heard)

        process = home.start("daemon", preexec_fn=walls.raise_, stdout=said, stderr=said,
                             env={"NOTIFY_SOCKET": "@" + home.path, "WATCHDOG_USEC": "500000"})
        try:
            wait_for(lambda: len(home.letters()) == 5, 10, "the letters did not come")
            wait_for(lambda: told("READY=1") and told("WATCHDOG=1"), 10, heard)
            more = messages.sample(3, first=100)
            lab.fill(user, more)
            wait_for(lambda: len(home.letters()) == 8, 10, "the news did not come")
            heard.clear()
            process.send_signal(signal.SIGHUP)
            wait_for(lambda: told("RELOADING=1") and told("READY=1"), 10, heard)
            process.send_signal(signal.SIGTERM)
            assert process.wait(5) == 0, process.returncode
            assert told("STOPPING=1"), heard
        finally:
            end_group(process)
    compare(mail + more, home.letters())
    with open(home.file("said")) as file:
        assert not file.read(), "something was said"


@case(each=("exim", "procmail", "maildrop", "dovecot_lda"))
def an_mda_works_behind_the_walls(lab, home, mda):
    """Without its set-uid bit, for nobody but root can raise these walls and leave it that."""
    walls = Walls(os.path.join(CONFIG, "systemd", "mailhaul-mda.service"))
    mail = messages.sample(6)
    one_account(lab, home, mail=mail, deliver=deliver_by(lab, home, mda))
    result = home.poll(preexec_fn=walls.raise_)
    assert not result.out + result.err, result
    compare(mail, home.letters())


@case()
def the_readme_points_at_every_example(lab, home):
    with open(os.path.join(TREE, "README.md")) as file:
        links = set(re.findall(r"\]\((config/[^)#]*)\)", file.read()))
    there = {os.path.relpath(path, TREE) for path in glob.glob(CONFIG + "/**", recursive=True)
             if os.path.isfile(path)}
    assert links == there, links ^ there
