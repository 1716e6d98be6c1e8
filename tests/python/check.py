"""What the scripts share: a client that asserts, and a recorder of events."""

import json
import threading
import time

from circus.client import CircusClient
from circus.consumer import CircusConsumer

LIMIT = 20


def until(what, condition):
    """Looks until the condition holds and returns what it found."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("waited too long for %s" % what)


class Talker:
    """Python's synchronous client, with shorthands."""

    def __init__(self, endpoint):
        self.client = CircusClient(endpoint=endpoint, timeout=LIMIT)

    def ask(self, command, **properties):
        return self.client.send_message(command, **properties)

    def ok(self, command, **properties):
        reply = self.ask(command, **properties)
        assert reply["status"] != "error", (command, properties, reply)
        return reply

    def refused(self, errno, reason, command, **properties):
        reply = self.ask(command, **properties)
        members = ["status", "reason", "tb", "time", "errno", "id"]
        assert list(reply) == members, reply
        assert (reply["status"], reply["errno"], reply["tb"]) == ("error", errno, None), reply
        assert reply["reason"] == reason, reply

    def pids(self, name):
        return self.ok("list", name=name)["pids"]


class Recorder(threading.Thread):
    """Python's CircusConsumer, kept reading by a thread."""

    def __init__(self, endpoint):
        super().__init__(daemon=True)
        self.consumer = CircusConsumer(["watcher."], endpoint=endpoint)
        self.seen = []
        self.start()

    def run(self):
        for topic, message in self.consumer:
            self.seen.append((topic.decode(), json.loads(message)))

    def settle(self, talker):
        """Waits until events arrive: a late subscriber misses the first ones."""

        def heard():
            talker.ok("set", name="marker", options={"graceful_timeout": 1})
            return self.seen

        until("the first event", heard)

    def of(self, resource):
        head = "watcher.%s." % resource
        return [(t[len(head):], p) for t, p in list(self.seen) if t.startswith(head)]

    def forget(self):
        self.seen.clear()

    def names(self, resource):
        """`kill`, `reap(-15)`, `spawn`: what happened to a watcher, in order."""
        return [
            "reap(%s)" % payload["exit_code"] if event == "reap" else event
            for event, payload in self.of(resource)
        ]
