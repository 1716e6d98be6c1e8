"""Calls the Python hooks of watchers, for circusd: one process for all that share interpreter, module path and user.

Frames are lines of JSON. circusd asks (`call`, `look`), answers (`reply`) and takes back (`forget`); this process answers
(`done`, `found`), asks in turn while a hook runs (`ask`), publishes (`event`) and logs (`log`). The calls of one watcher
run one after the other, as hooks expect; those of different watchers do not wait for each other. The end of the frames is
the end.
"""

import copy
import importlib
import inspect
import json
import logging
import os
import queue
import signal
import site
import socket
import sys
import threading
import time

#: What a hook may change on its watcher, and how circusd calls it.
OPTIONS = ("numprocesses", "env", "cmd", "args", "working_dir", "uid", "gid", "stop_signal", "graceful_timeout",
           "max_retry", "priority")

#: The longest line that circusd takes from here, and the longest text of its log.
LONGEST = 1 << 20
LONGEST_TEXT = 1 << 14

#: Threads that are kept, one for each watcher.
MOST_LINES = 256

out = threading.Lock()
answers = {}
lines = {}
numbers = iter(range(1, 1 << 62))


def say(frame):
    # What is no Unicode (a file name of other bytes) and what is no number are no JSON for circusd.
    text = json.dumps(frame, default=str, ensure_ascii=False, allow_nan=False)
    data = text.encode("utf-8", "replace") + b"\n"
    if len(data) > LONGEST:
        raise ValueError("%d bytes are more than circusd takes from a hook" % len(data))
    with out:
        while data:
            data = data[os.write(frames.fileno(), data):]


class ToCircusd(logging.Handler):
    """What hooks write to the logger of Circus goes into circusd's log, as it does where they run in circusd."""

    def emit(self, record):
        try:
            # A traceback is several lines there too.
            for text in self.format(record).splitlines():
                say({"log": record.levelname, "text": text[:LONGEST_TEXT]})
        except Exception:
            self.handleError(record)


def explain(error):
    return "%s: %s" % (type(error).__name__, error)


class CallError(Exception):
    """circusd has refused a request."""

    def __init__(self, message, errno=None):
        super().__init__(message)
        self.message = message
        self.errno = errno


class Seen(object):
    """What hooks see of something in circusd, which has more to it than is known here."""

    def __getattr__(self, name):
        kind = type(self).__name__.lower()
        raise AttributeError("%s.%s cannot be had in a hook; docs/hooks.md lists what can" % (kind, name))


class Process(Seen):
    """A process of a watcher, as it was when the hook was called."""

    #: What Circus copies to each process of its watcher.
    OF_WATCHER = ("cmd", "args", "env", "working_dir", "shell", "executable", "close_child_stdin", "close_child_stdout",
                  "close_child_stderr")

    def __init__(self, watcher, facts):
        self.watcher = watcher
        self.name = watcher.name
        self.pid = facts["pid"]
        self.wid = facts["wid"]
        self.started = facts["started"]

    def __getattr__(self, name):
        return getattr(self.watcher, name) if name in self.OF_WATCHER else super().__getattr__(name)

    def age(self):
        return time.time() - self.started

    def info(self):
        return self.watcher.call("stats", process=self.pid)["info"]

    def children(self, recursive=False):
        return [child["pid"] for child in self.info().get("children", []) if "pid" in child]

    def is_child(self, pid):
        return pid in self.children()

    def is_alive(self):
        return self.pid in self.watcher.call("list").get("pids", [])

    @property
    def status(self):
        """Running or gone, by the numbers of Circus; circusd keeps no zombies."""
        return 0 if self.is_alive() else 2

    def poll(self):
        return None if self.is_alive() else self.returncode()

    def returncode(self):
        """As in Circus: None of one that runs, and 0 of one of which nobody knows any more."""
        exits = self.watcher.call("why")["slots"].get(str(self.wid), [])
        known = [it["exit_code"] for it in exits if it["pid"] == self.pid]
        return known[-1] if known else None if self.is_alive() else 0

    def send_signal(self, signum):
        self.watcher.send_signal(self.pid, signum)

    def send_signal_child(self, pid, signum):
        self.watcher.send_signal_child(self.pid, pid, signum)

    def send_signal_children(self, signum, recursive=False):
        self.watcher.send_signal_children(self.pid, signum, recursive)

    def stop(self):
        self.watcher.kill_process(self)

    def __repr__(self):
        return "<circus.Process pid=%s wid=%s>" % (self.pid, self.wid)


class Socket(Seen):
    """A managed socket: what is known of it. It is open in circusd and in processes with `use_sockets`, not here."""

    def __init__(self, name, facts):
        self.name = name
        self.fd = facts["fd"]
        self.family = getattr(socket, facts["family"])
        self.type = self.socktype = getattr(socket, facts["type"])
        self.proto = protocol(facts["proto"])
        self.host = facts["host"]
        self.port = facts["port"]
        self.path = facts["path"]
        self.umask = facts["umask"]
        self.replace = facts["replace"]
        self.backlog = facts["backlog"]
        self.interface = facts["interface"]
        self.so_reuseport = facts["so_reuseport"]
        self.blocking = facts["blocking"]
        self.is_unix = self.path is not None

    def fileno(self):
        """Its number in circusd and in the processes that inherit it; in this process that number means nothing."""
        return self.fd

    def getsockname(self):
        if self.is_unix:
            return self.path
        return (self.host, self.port) if self.family == socket.AF_INET else (self.host, self.port, 0, 0)

    @property
    def location(self):
        return "%r" % self.path if self.is_unix else "%s:%d" % (self.host, self.port)

    def __str__(self):
        return "socket %r at %s" % (self.name, self.location)

    def __repr__(self):
        return "<circus.Socket name=%s fd=%s at %s>" % (self.name, self.fd, self.location)


def protocol(written):
    """The number of a protocol that is written as a name or a number."""
    if not written:
        return 0
    try:
        return int(written) if written.isdigit() else socket.getprotobyname(written)
    except OSError:
        return 0


class Watcher(Seen):
    """A watcher. What is set on the hook's own takes effect when the hook returns."""

    def __init__(self, arbiter, facts):
        self.arbiter = arbiter
        self.name = facts["name"]
        self.res_name = self.name.lower().replace(" ", "_")
        self._status = facts["status"]
        self._options = options = facts["options"]
        for name, value in options.items():
            if name.isidentifier() and not hasattr(type(self), name):
                setattr(self, name, copy.deepcopy(value))
        self.env = dict(options.get("env") or {})
        self.stop_signal = number_to_signal(self.stop_signal)
        self.optnames = sorted(options)
        self.sockets = arbiter.sockets
        self.processes = {}
        for process in facts["processes"]:
            self.processes[process["pid"]] = Process(self, process)
        self._before = self._state()

    def _state(self):
        return {name: copy.deepcopy(getattr(self, name, None)) for name in OPTIONS}

    def changes(self):
        now = self._state()
        return {name: now[name] for name in OPTIONS if now[name] != self._before[name]}

    def __len__(self):
        return len(self.processes)

    def __repr__(self):
        return "<circus.Watcher name=%s numprocesses=%s>" % (self.name, self.numprocesses)

    @property
    def pids(self):
        return list(self.processes)

    def call(self, command, **properties):
        """Sends circusd a command on this watcher and returns what it answers."""
        return self.arbiter.call(command, name=self.name, **properties)

    def status(self):
        return self._status

    def is_active(self):
        return self._status == "active"

    def is_stopped(self):
        return self._status == "stopped"

    def is_stopping(self):
        return self._status == "stopping"

    def options(self, *args):
        return sorted(self._options.items())

    def get_active_processes(self):
        return list(self.processes.values())

    def get_active_pids(self):
        return list(self.processes)

    def info(self, extended=False):
        return {int(pid): info for pid, info in self.call("stats")["info"].items()}

    def process_info(self, pid, extended=False):
        return self.call("stats", process=int(pid))["info"]

    def send_signal(self, pid, signum):
        self.call("signal", pid=int(pid), signum=int(signum))

    def send_signal_process(self, process, signum, recursive=False):
        self.call("signal", pid=process.pid, signum=int(signum), recursive=recursive)

    def send_signal_child(self, pid, child_id, signum):
        self.call("signal", pid=int(pid), childpid=int(child_id), signum=int(signum))

    def send_signal_children(self, pid, signum, recursive=False):
        self.call("signal", pid=int(pid), signum=int(signum), children=True, recursive=recursive)

    def kill_process(self, process, stop_signal=None, graceful_timeout=None):
        properties = {"pid": process.pid}
        if stop_signal is not None:
            properties["signum"] = int(stop_signal)
        if graceful_timeout is not None:
            properties["graceful_timeout"] = graceful_timeout
        self.call("kill", **properties)

    def kill_processes(self, stop_signal=None, graceful_timeout=None):
        for process in self.get_active_processes():
            self.kill_process(process, stop_signal, graceful_timeout)

    def spawn_process(self, recovery_wid=None):
        """Fills the places that are free. Circus ends a process that is more than `numprocesses` at its next look."""
        if self.is_active() and len(self.processes) < self.numprocesses:
            self.call("start")
        return True

    def spawn_processes(self):
        self.spawn_process()

    # circusd reaps by itself.
    manage_processes = reap_and_manage_processes = spawn_processes

    def reap_process(self, *_):
        pass

    reap_processes = reap_process

    def notify_event(self, topic, msg):
        say({"event": str(topic), "watcher": self.name, "message": msg})

    def start(self):
        return self.call("start")

    def stop(self):
        return self.call("stop")

    def restart(self):
        return self.call("restart")

    def reload(self, graceful=True, sequential=False):
        return self.call("reload", graceful=graceful, sequential=sequential)

    def incr(self, nb=1):
        return self.call("incr", nb=nb).get("numprocesses")

    def decr(self, nb=1):
        return self.call("decr", nb=nb).get("numprocesses")

    def set_numprocesses(self, number):
        return self.set_opt("numprocesses", int(number))

    def set_opt(self, key, value):
        return self.call("set", options={key: value})


class Arbiter(Seen):
    """The daemon, asked through the frames."""

    def __init__(self, call, facts, sockets):
        self._call = call
        self.endpoint = facts.get("endpoint")
        self.pubsub_endpoint = facts.get("pubsub_endpoint")
        self.stats_endpoint = facts.get("stats_endpoint")
        self.check_delay = facts.get("check_delay")
        self.warmup_delay = facts.get("warmup_delay")
        self.pid = os.getppid()
        self.sockets = {name: Socket(name, known) for name, known in sockets.items()}
        self.own = None

    def call(self, command, **properties):
        """Sends circusd a command and returns what it answers."""
        answer = queue.Queue(1)
        number = next(numbers)
        answers[number] = answer
        say({"ask": number, "for": self._call, "command": command, "properties": properties})
        reply = answer.get()
        if reply.get("status") == "error":
            raise CallError(reply.get("reason"), reply.get("errno"))
        return reply

    def get_watcher(self, name):
        if name.lower() == self.own.name.lower():
            return self.own
        for written, status in self.statuses().items():
            if written.lower() == name.lower():
                return self._fetch(written, status)
        raise KeyError(name.lower())

    def _fetch(self, name, status):
        try:
            options = self.call("options", name=name)["options"]
        except CallError:
            raise KeyError(name)
        infos = self.call("stats", name=name)["info"]
        processes = []
        for pid, info in infos.items():
            if isinstance(info, dict):
                processes.append({"pid": int(pid), "wid": info.get("wid"), "started": info.get("started")})
        processes.sort(key=lambda process: process["started"] or 0)
        return Watcher(self, {"name": name, "status": status, "options": options, "processes": processes})

    @property
    def watchers(self):
        # `list` would tell their names in lower case.
        statuses = self.statuses().items()
        return [self.own if name == self.own.name else self._fetch(name, status) for name, status in statuses]

    @property
    def multicast_endpoint(self):
        return self.call("globaloptions", option="multicast_endpoint")["options"]["multicast_endpoint"]

    def iter_watchers(self, reverse=True):
        return iter(sorted(self.watchers, key=lambda watcher: watcher.priority, reverse=reverse))

    def numprocesses(self):
        return self.call("numprocesses")["numprocesses"]

    def numwatchers(self):
        return self.call("numwatchers")["numwatchers"]

    def statuses(self):
        statuses = self.call("status")["statuses"]
        if self.own.is_stopped() and self.own.name in statuses:
            statuses[self.own.name] = "stopped"
        return statuses

    def add_watcher(self, name, cmd, **options):
        self.call("add", name=name, cmd=cmd, options=options)
        return self.get_watcher(name)

    def rm_watcher(self, name, nostop=False):
        return self.call("rm", name=name, nostop=nostop)

    def reload(self, graceful=True, sequential=False):
        return self.call("reload", graceful=graceful, sequential=sequential)

    def start_watcher(self, watcher):
        return watcher.start()

    def start_watchers(self):
        return self.call("start")

    def stop_watchers(self):
        return self.call("stop")

    def stop(self):
        return self.call("quit")


def number_to_signal(number):
    try:
        return signal.Signals(number)
    except ValueError:
        return number


def invoke(function, hook, own, arbiter, details):
    """Calls a hook by names. Circus hands `extended_stats` its first three by position: there they may be called
    anything."""
    named = dict(details, watcher=own, arbiter=arbiter, hook_name=hook)
    if hook == "extended_stats":
        try:
            inspect.signature(function).bind(**named)
        except (TypeError, ValueError):
            return function(own, arbiter, hook, **details)
    return function(**named)


def call(frame):
    """Runs one hook and says what came of it."""
    done = {"done": frame["id"], "result": False, "error": None, "changes": {}, "stats": None}
    watcher = None
    try:
        function = resolve(frame["function"])
        if frame["hook"] == "before_start":
            # Circus asks it before anything else, and shows the watcher as it was.
            frame["watcher"]["status"] = "stopped"
        arbiter = Arbiter(frame["id"], frame["arbiter"], frame["sockets"])
        watcher = arbiter.own = Watcher(arbiter, frame["watcher"])
        details = dict(frame["details"])
        if "signum" in details:
            details["signum"] = number_to_signal(details["signum"])
        done["stats"] = details.get("stats")
        done["result"] = bool(invoke(function, frame["hook"], watcher, arbiter, details))
    except BaseException as error:
        done["error"] = str(error) or type(error).__name__
        logger.exception("Hook %r failed", frame["hook"])
    if watcher is not None:
        done["changes"] = watcher.changes()
    try:
        say(done)
    except (TypeError, ValueError) as error:
        say({"done": frame["id"], "result": False, "error": explain(error), "changes": {}, "stats": None})


class Line(threading.Thread):
    """The calls of one watcher, one after the other."""

    def __init__(self, waiting):
        super().__init__(daemon=True)
        self.waiting = waiting
        self.current = None
        self.left = False

    def is_idle(self):
        return self.current is None and self.waiting.empty()

    def run(self):
        while not self.left:
            frame = self.waiting.get()
            if frame is None:
                return
            self.current = frame["id"]
            if frame["id"] not in forgotten:
                call(frame)
            else:
                say({"done": frame["id"], "result": False, "error": "taken back", "changes": {}, "stats": None})
            forgotten.discard(frame["id"])
            self.current = None


forgotten = set()


def enqueue(frame):
    name = frame["watcher"]["name"]
    if name not in lines:
        make_room()
        lines[name] = Line(queue.Queue())
        lines[name].start()
    lines[name].waiting.put(frame)


def make_room():
    """Watchers come and go, and nobody says so here: the thread that came first and has nothing to do goes."""
    if len(lines) < MOST_LINES:
        return
    for name, line in list(lines.items()):
        if line.is_idle():
            line.left = True
            line.waiting.put(None)
            del lines[name]
            return


def forget(number):
    """Nobody waits for this call any more: those behind it must not either."""
    forgotten.add(number)
    for name, line in list(lines.items()):
        if line.current == number:
            line.left = True
            lines[name] = Line(line.waiting)
            lines[name].start()


def look(frame):
    try:
        if frame["anew"]:
            path = frame["function"]
            resolve(path)
            prefix = path.partition(":")[0] if ":" in path else path
            while prefix and prefix not in sys.modules:
                prefix = prefix.rpartition(".")[0]
            if prefix and prefix != "__main__":
                importlib.reload(sys.modules[prefix])
        if not callable(resolve(frame["function"])):
            raise TypeError("it cannot be called")
        say({"found": frame["look"], "error": None})
    except BaseException as error:
        say({"found": frame["look"], "error": explain(error)})


logger = logging.getLogger("circus")


def main():
    json.loads(frames.readline())
    # What hooks print goes where circusd's own words go, and the frames stay with this process.
    say({"ok": True})
    for path in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        if path:
            # As in Circus, what a .pth file there names counts too.
            site.addsitedir(path)
    if not is_there("circus"):
        offer_circus()
    logger.addHandler(ToCircusd())
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    while True:
        line = frames.readline()
        if not line:
            # Hooks that hang are no reason to stay.
            os._exit(0)
        frame = json.loads(line)
        what = frame["do"]
        if what == "call":
            enqueue(frame)
        elif what == "forget":
            forget(frame["id"])
        elif what == "reply":
            answer = answers.pop(frame["id"], None)
            if answer is not None:
                answer.put(frame["reply"])
        elif what == "look":
            threading.Thread(target=look, args=(frame,), daemon=True).start()


main()
