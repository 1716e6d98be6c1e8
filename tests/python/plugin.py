"""A plugin on Python's base class, which asks, casts and hears events: plugin.py ENDPOINT PUBSUB."""

import sys

from circus.plugins import CircusPlugin


class Watching(CircusPlugin):
    """Restarts `one` when it hears the first event, and ends when it saw that."""

    name = "watching"

    def handle_init(self):
        self.heard = []
        # Casts until the subscription has settled; a cast is not answered.
        self.period = self.loop.call_later(0.05, self.poke)
        self.limit = self.loop.call_later(20, self.stop)

    def poke(self):
        assert self.call("status", name="one")["status"] == "active"
        self.cast("set", name="marker", options={"graceful_timeout": 1})
        if not self.heard:
            self.period = self.loop.call_later(0.05, self.poke)

    def handle_recv(self, data):
        watcher, action, message = self.split_data(data)
        if not self.heard:
            self.cast("restart", name="one")
        self.heard.append((watcher, action))
        assert self.load_message(message)["time"] > 0
        if self.heard[-1] == ("one", "start"):
            self.stop()

    def handle_stop(self):
        pass


plugin = Watching(sys.argv[1], sys.argv[2], 1.0)
plugin.start()
assert [action for watcher, action in plugin.heard if watcher == "one"] == [
    "kill", "reap", "stop", "spawn", "start"], plugin.heard
