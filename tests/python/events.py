"""Compares the events of each operation with the recorded ones: events.py ENDPOINT PUBSUB."""

import os
import signal
import sys

from check import Recorder, Talker, until

PAYLOADS = {
    "spawn": ["process_pid", "time"],
    "kill": ["process_pid", "time"],
    # `expected` is ours: a deliberate end and a crash can be told apart.
    "reap": ["process_pid", "time", "exit_code", "expected"],
}

# watcher, its resource name, command, properties, events
STORIES = [
    ("one", "one", "stop", {}, "kill reap(-15) stop"),
    ("one", "one", "stop", {}, ""),
    ("one", "one", "start", {}, "spawn start"),
    ("one", "one", "restart", {}, "kill reap(-15) stop spawn start"),
    ("one", "one", "reload", {}, "spawn kill reap(-15) reload"),
    ("one", "one", "reload", {"sequential": True}, "kill reap(-15) spawn reload"),
    ("one", "one", "reload", {"graceful": False}, "kill reap(-15) stop spawn start"),
    ("one", "one", "incr", {}, "spawn"),
    ("one", "one", "decr", {}, "kill reap(-15)"),
    ("one", "one", "kill", {}, "kill reap(-15) spawn"),
    ("one", "one", "set", {"options": {"cmd": "sleep 1001"}}, "updated spawn kill reap(-15) reload"),
    ("one", "one", "set", {"options": {"numprocesses": 0}}, "updated kill reap(-15)"),
    ("one", "one", "restart", {}, "stop stop"),
    ("one", "one", "reload", {}, "stop reload"),
    ("Web", "web", "stop", {}, "kill kill reap(-15) reap(-15) stop"),
    ("Web", "web", "start", {}, "spawn spawn start"),
    ("sleep er", "sleep_er", "restart", {}, "kill reap(-15) stop spawn start"),
    ("down", "down", "reload", {}, "spawn start reload"),
    ("down", "down", "set", {"options": {"send_hup": True}}, "updated"),
    ("down", "down", "rm", {}, "remove kill reap(-15) stop"),
    ("down", "down", "add", {"cmd": "sleep 1000", "start": True}, "add spawn start"),
    ("missing", "missing", "add", {"cmd": "/no/program", "start": True, "options": {"max_retry": 1}}, "add stop"),
    ("once", "once", "add", {"cmd": "true", "start": True, "options": {"respawn": False}},
     "add spawn start reap(0) stop"),
]


def main():
    endpoint, pubsub = sys.argv[1:]
    talk, events = Talker(endpoint), Recorder(pubsub)
    events.settle(talk)
    for name, resource, command, properties, story in STORIES:
        events.forget()
        talk.ok(command, name=name, waiting=True, **properties)
        wanted = story.split()
        try:
            until("the events", lambda: len(events.names(resource)) >= len(wanted))
        finally:
            assert events.names(resource) == wanted, (name, command, properties, wanted, events.names(resource))
        for event, payload in events.of(resource):
            assert list(payload) == PAYLOADS.get(event, ["time"]), (event, payload)

    events.forget()
    os.kill(talk.pids("sleep er")[0], signal.SIGKILL)
    until("reap and spawn", lambda: events.names("sleep_er") == ["reap(-9)", "spawn"])
    assert events.of("sleep_er")[0][1]["expected"] is False


main()
