"""Python's StatsClient on our circusd-stats: stats.py ENDPOINT STATS WATCHER..."""

import sys

from check import Talker, until
from circus.stats.client import StatsClient

PROCESS = ["mem_info1", "mem_info2", "cpu", "mem", "ctime", "pid", "username", "nice", "create_time", "age",
           "cmdline", "children", "subtopic", "name"]
GROUP = ["pid", "cpu", "mem", "age"]
OWN = ["circusd", "circusd-stats"]


def is_of(pid, stat):
    """Whether it is the whole picture of that process, as Circus draws it."""
    assert list(stat)[:len(PROCESS)] == PROCESS, stat
    assert stat["pid"] == stat["subtopic"] == pid and stat["children"] == [], stat
    for name in ("cpu", "mem", "create_time", "age"):
        assert isinstance(stat[name], float), (name, stat)
    for name in ("mem_info1", "mem_info2", "ctime", "username", "cmdline"):
        assert isinstance(stat[name], str) and stat[name] != "N/A", (name, stat)
    return True


def main():
    endpoint, stats, watchers = sys.argv[1], sys.argv[2], sys.argv[3:]
    talk = Talker(endpoint)
    wanted = {}
    for watcher in watchers:
        until("processes", lambda: talk.pids(watcher))
        name = watcher.lower().replace(" ", "_")
        pids = talk.pids(watcher)
        wanted.update({(name, str(pid)): pid for pid in pids})
        wanted[name, None] = pids
    own = set()
    for watcher, subtopic, stat in StatsClient(stats).iter_messages():
        pid = wanted.get((watcher, subtopic))
        if watcher == "circus" and subtopic is not None:
            assert is_of(int(subtopic), stat)
            own.add(stat["name"])
        elif subtopic is not None:
            if pid is not None and is_of(pid, stat):
                assert stat["name"] is None, stat
                del wanted[watcher, subtopic]
        elif stat["pid"] == pid:
            assert list(stat)[:len(GROUP)] == GROUP, stat
            del wanted[watcher, subtopic]
        if not wanted and sorted(own) == OWN:
            return


main()
