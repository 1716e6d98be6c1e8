"""Drives a daemon through every command with Python's CircusClient: client.py ENDPOINT PUBSUB."""

import os
import sys

from check import Talker, until

INFO = ["mem_info1", "mem_info2", "cpu", "mem", "ctime", "pid", "username", "nice", "create_time", "age",
        "cmdline", "children"]


def reading(talk, pubsub):
    assert talk.ok("list")["watchers"] == ["down", "marker", "one", "sleep er", "web"]
    assert talk.ok("numwatchers")["numwatchers"] == 5
    assert talk.ok("numprocesses")["numprocesses"] == 5
    reply = talk.ok("numprocesses", name="WEB")
    assert list(reply) == ["status", "time", "numprocesses", "watcher_name", "id"], reply
    assert (reply["numprocesses"], reply["watcher_name"]) == (2, "WEB"), reply
    assert talk.ok("status")["statuses"] == {
        "Web": "active", "down": "stopped", "marker": "active", "one": "active", "sleep er": "active"}
    assert talk.ok("status", name="web")["status"] == "active"
    reply = talk.ok("globaloptions")
    assert list(reply) == ["status", "time", "options", "version", "id"], reply
    options = reply["options"]
    assert list(options) == [
        "endpoint", "stats_endpoint", "pubsub_endpoint", "check_delay", "multicast_endpoint"], options
    assert options["pubsub_endpoint"] == pubsub and options["check_delay"] == 0.5, options
    assert talk.ok("globaloptions", option="check_delay")["options"] == {"check_delay": 0.5}
    assert talk.ok("listsockets")["sockets"] == [
        {"fd": 64, "name": "ux", "backlog": 2048, "path": "ux.sock"}]
    assert talk.ok("ipython")["shell"] is False
    dstats = talk.ok("dstats")["info"]
    assert list(dstats) == INFO and dstats["children"] == [], dstats


def statistics(talk):
    every = talk.ok("stats")["infos"]
    assert list(every) == ["Web", "down", "marker", "one", "sleep er"] and every["down"] == {}, every
    reply = talk.ok("stats", name="WEB", extended=True)
    assert reply["name"] == "WEB" and len(reply["info"]) == 2, reply
    for pid, info in reply["info"].items():
        assert list(info) == INFO + ["started", "wid"], info
        assert info["pid"] == int(pid) and info["cmdline"] == "sleep", info
    pid = talk.pids("one")[0]
    reply = talk.ok("stats", name="one", process=pid)
    assert reply["process"] == pid and reply["info"]["wid"] == 1, reply


def options(talk):
    values = talk.ok("options", name="Web")["options"]
    assert list(values) == sorted(values), values
    expected = {"args": "", "cmd": "sleep 1000", "copy_env": False, "env": {"A": "1", "B": "two words"},
                "executable": None, "flapping.max_retry": "2", "gid": None, "graceful_timeout": 2.0, "max_age": 0,
                "max_age_variance": 30, "max_retry": 5, "numprocesses": 2, "priority": 0, "respawn": True,
                "shell": False, "shell_args": None, "stderr_stream_conf": {}, "stop_signal": 15,
                "uid": None, "warmup_delay": 0}
    assert {key: values[key] for key in expected} == expected, values
    assert talk.ok("options", name="down")["options"]["uid"] == str(os.getuid())
    got = talk.ok("get", name="web", keys=["numprocesses", "flapping.max_retry"])["options"]
    assert got == {"numprocesses": 2, "flapping.max_retry": "2"}, got


def changes(talk):
    talk.ok("set", name="one", options={"graceful_timeout": 3, "cmd": "sleep 1001"}, waiting=True)
    assert talk.ok("get", name="one", keys=["cmd"])["options"] == {"cmd": "sleep 1001"}
    assert talk.ok("incr", name="one", waiting=True)["numprocesses"] == 2
    assert talk.ok("decr", name="one", nb=5, waiting=True)["numprocesses"] == 0
    assert talk.ok("incr", name="one", waiting=True)["numprocesses"] == 1
    assert talk.ok("incr", name="sleep er", waiting=True)["singleton"] is True
    old = talk.pids("one")
    info = talk.ok("restart", name="one", waiting=True)["info"]
    assert list(info) == ["stopped", "started", "kept"] and info["stopped"] == old, info
    info = talk.ok("reload", name="one", waiting=True)["info"]
    assert info["started"] == talk.pids("one") and info["kept"] == [], info
    assert talk.ok("stop", name="one", waiting=True)["info"] is None
    info = talk.ok("start", name="o*", waiting=True)["info"]
    assert info == {"started": talk.pids("one"), "kept": []}, info
    for command, properties in [
        ("kill", {"pid": talk.pids("one")[0], "signum": "KILL", "graceful_timeout": "1", "waiting": True}),
        ("signal", {"signum": "TERM", "pid": talk.pids("one")[0]}),
    ]:
        talk.ok(command, name="one", **properties)
        until("a new process", lambda: talk.pids("one") and talk.pids("one")[0] != properties["pid"])
    talk.ok("set", name="down", options={"uid": str(os.getuid())}, waiting=True)
    assert talk.ok("get", name="down", keys=["uid"])["options"] == {"uid": os.getuid()}


def adding(talk):
    reply = talk.ok("add", name="New One", cmd="sleep", args=["1000"], start=True, waiting=True,
                    options={"numprocesses": 2})
    # Two are started at once: in which order the answer names them is not said.
    assert sorted(reply["started"]) == sorted(talk.pids("new one")) and reply["kept"] == [], reply
    talk.ok("rm", name="new ONE", waiting=True)
    assert "new one" not in talk.ok("list")["watchers"]


def refusals(talk):
    talk.refused(3, "program zz not found", "list", name="zz")
    talk.refused(3, "message invalid 'name' is missing", "options")
    talk.refused(3, "'nope' option not found", "get", name="web", keys=["cmd", "nope"])
    talk.refused(3, "unknown key 'zz'", "set", name="web", options={"zz": 1})
    talk.refused(3, "'options' property should be an object", "set", name="web", options=None)
    talk.refused(3, "'numprocesses' isn't an integer", "set", name="web", options={"numprocesses": "2"})
    talk.refused(3, "unknown match method nope", "start", name="web", match="nope")
    talk.refused(3, "process 1 not found in 'web'", "stats", name="web", process=1)
    talk.refused(3, "'x' not an existing option", "globaloptions", option="x")
    talk.refused(3, "invalid message. use a pub/sub socket", "listen")
    talk.refused(4, "[Errno 22] Invalid argument", "signal", name="web", signum=999)
    talk.refused(2, "unknown command: 'nope'", "nope")


def main():
    endpoint, pubsub = sys.argv[1:]
    talk = Talker(endpoint)
    reading(talk, pubsub)
    statistics(talk)
    options(talk)
    refusals(talk)
    changes(talk)
    adding(talk)
    talk.ok("reloadconfig", waiting=True)
    talk.ok("stop", waiting=True)
    assert set(talk.ok("status")["statuses"].values()) == {"stopped"}
    talk.ok("quit", waiting=True)


main()
