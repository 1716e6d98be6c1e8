"""Runs one plugin class. Text of circus-plugin, handed to the interpreter on its standard input.

With the package `circus` installed the class runs on its CircusPlugin; otherwise on the one below, which is offered
under the same names and needs nothing but pyzmq.
"""
import json
import signal
import sys
import time


class _Interrupted(KeyboardInterrupt):
    """circusd, or somebody at a terminal, wants the plugin to end."""


def _end(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise _Interrupted()


def _offer_circus():
    """Modules `circus` and `circus.plugins` for an interpreter that has none."""
    import errno
    import heapq
    import itertools
    import logging
    import types
    import uuid

    import zmq

    def to_str(value):
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    def to_bytes(value):
        return value if isinstance(value, bytes) else str(value).encode("utf-8")

    def to_bool(value):
        if isinstance(value, bool):
            return value
        text = str(value).strip().lower()
        if text in ("yes", "true", "on", "1"):
            return True
        if text in ("no", "false", "off", "0"):
            return False
        raise ValueError("%r is not a boolean" % (value,))

    class _Handle(object):
        __slots__ = ("callback", "cancelled")

        def __init__(self, callback):
            self.callback = callback
            self.cancelled = False

        def cancel(self):
            self.cancelled = True

    class IOLoop(object):
        """The part of Tornado's loop that plugins use."""

        READ, WRITE, ERROR = zmq.POLLIN, zmq.POLLOUT, zmq.POLLERR

        def __init__(self):
            self._poller = zmq.Poller()
            self._handlers = {}
            self._timers = []
            self._order = itertools.count()
            self._running = False
            self._callbacks = []

        def time(self):
            return time.time()

        def add_handler(self, fd, handler, events):
            self._handlers[fd] = handler
            self._poller.register(fd, events & (zmq.POLLIN | zmq.POLLOUT) or zmq.POLLIN)

        def update_handler(self, fd, events):
            self._poller.modify(fd, events)

        def remove_handler(self, fd):
            if self._handlers.pop(fd, None) is not None:
                self._poller.unregister(fd)

        def add_callback(self, callback, *args, **kwargs):
            self._callbacks.append(lambda: callback(*args, **kwargs))

        add_callback_from_signal = spawn_callback = add_callback

        def call_at(self, when, callback, *args, **kwargs):
            handle = _Handle(lambda: callback(*args, **kwargs))
            heapq.heappush(self._timers, (when, next(self._order), handle))
            return handle

        def call_later(self, delay, callback, *args, **kwargs):
            return self.call_at(self.time() + delay, callback, *args, **kwargs)

        def add_timeout(self, deadline, callback, *args, **kwargs):
            if hasattr(deadline, "total_seconds"):
                return self.call_later(deadline.total_seconds(), callback, *args, **kwargs)
            return self.call_at(deadline, callback, *args, **kwargs)

        def remove_timeout(self, handle):
            handle.cancel()

        def _guarded(self, callback, *args):
            try:
                callback(*args)
            except Exception:
                logger.exception("Exception in callback %r", callback)

        def _due(self):
            callbacks, self._callbacks = self._callbacks, []
            for callback in callbacks:
                self._guarded(callback)
            while self._timers and self._timers[0][0] <= self.time():
                handle = heapq.heappop(self._timers)[2]
                if not handle.cancelled:
                    self._guarded(handle.callback)

        def _patience(self):
            if self._callbacks:
                return 0
            if self._timers:
                return max(0, int(1000 * (self._timers[0][0] - self.time())) + 1)
            return None

        def start(self):
            self._running = True
            while self._running:
                self._due()
                if not self._running:
                    break
                try:
                    ready = self._poller.poll(self._patience())
                except zmq.ZMQError as error:
                    if error.errno == errno.EINTR:
                        continue
                    raise
                for fd, events in ready:
                    handler = self._handlers.get(fd)
                    if handler is not None:
                        self._guarded(handler, fd, events)

        def stop(self):
            self._running = False

        def close(self, all_fds=False):
            self._running = False

        def make_current(self):
            IOLoop._current = self

        _current = None

        @classmethod
        def current(cls, instance=True):
            if cls._current is None and instance:
                cls._current = cls()
            return cls._current

        instance = current

    class PeriodicCallback(object):
        """Calls a function every so many milliseconds."""

        def __init__(self, callback, callback_time, io_loop=None):
            self.callback = callback
            self.callback_time = callback_time
            self.io_loop = io_loop or IOLoop.current()
            self._handle = None

        def _run(self):
            self._handle = self.io_loop.call_later(self.callback_time / 1000.0, self._run)
            self.callback()

        def start(self):
            self.stop()
            self._handle = self.io_loop.call_later(self.callback_time / 1000.0, self._run)

        def stop(self):
            if self._handle is not None:
                self._handle.cancel()
                self._handle = None

        def is_running(self):
            return self._handle is not None

    def _loop_classes():
        try:
            from tornado import ioloop
        except ImportError:
            return IOLoop, PeriodicCallback
        return ioloop.IOLoop, ioloop.PeriodicCallback

    Loop, Periodic = _loop_classes()

    class CallError(Exception):
        """circusd did not answer."""

    def make_message(command, **props):
        return {"id": uuid.uuid4().hex, "command": command, "properties": props}

    def cast_message(command, **props):
        return dict(make_message(command, **props), msg_type="cast")

    class CircusPlugin(object):
        """Base class of plugins: see "Own plugins" in docs/plugins.md."""

        name = ""
        #: Seconds that `call` waits for an answer.
        call_timeout = 30.0

        def __init__(self, endpoint, pubsub_endpoint, check_delay, ssh_server=None, **config):
            self.daemon = True
            self.config = config
            self.active = to_bool(config.get("active", True))
            self.endpoint = endpoint
            self.pubsub_endpoint = pubsub_endpoint
            self.check_delay = check_delay
            self.ssh_server = ssh_server
            self.running = False
            self._id = uuid.uuid4().hex.encode("ascii")
            self.loop = Loop() if Loop is IOLoop else Loop(make_current=True)

        def initialize(self):
            self.context = zmq.Context()
            self._connect_client()
            self.sub_socket = self.context.socket(zmq.SUB)
            self.sub_socket.setsockopt(zmq.SUBSCRIBE, b"watcher.")
            self.sub_socket.connect(self.pubsub_endpoint)
            if Loop is IOLoop:
                self.loop.add_handler(self.sub_socket, self._readable, IOLoop.READ)
            else:
                fd = self.sub_socket.getsockopt(zmq.FD)
                self.loop.add_handler(fd, self._readable, Loop.READ)
                # The descriptor tells of changes only: what is there already must be looked for.
                self.loop.add_callback(self._readable)

        def _connect_client(self):
            self.client = self.context.socket(zmq.DEALER)
            self.client.setsockopt(zmq.IDENTITY, self._id)
            self.client.linger = 0
            self.client.connect(self.endpoint)

        def _readable(self, *_):
            while True:
                try:
                    data = self.sub_socket.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    return
                if len(data) == 2:
                    try:
                        self.handle_recv(data)
                    except Exception:
                        logger.exception("handle_recv failed on %r", data)

        def start(self):
            if not self.active:
                raise ValueError("Will not start an inactive plugin")
            if hasattr(self.loop, "make_current"):
                self.loop.make_current()
            self.handle_init()
            self.initialize()
            self.running = True
            try:
                self.loop.start()
            finally:
                if Loop is IOLoop:
                    self.loop.remove_handler(self.sub_socket)

        def stop(self):
            if not self.running:
                return
            self.running = False
            try:
                self.handle_stop()
            finally:
                self.loop.stop()
                self.client.close(0)
                self.sub_socket.close(0)
                self.context.term()

        def call(self, command, **props):
            message = make_message(command, **props)
            self.client.send(to_bytes(json.dumps(message)))
            until = time.time() + self.call_timeout
            while True:
                left = until - time.time()
                if left <= 0 or not self.client.poll(int(left * 1000) + 1):
                    # A late answer must not be taken for that of the next call.
                    self.client.close(0)
                    self._connect_client()
                    raise CallError("no answer to %r within %s s" % (command, self.call_timeout))
                reply = json.loads(to_str(self.client.recv_multipart()[-1]))
                if isinstance(reply, dict) and reply.get("id") == message["id"]:
                    return reply

        def cast(self, command, **props):
            self.client.send(to_bytes(json.dumps(cast_message(command, **props))))

        def handle_recv(self, data):
            raise NotImplementedError()

        def handle_stop(self):
            pass

        def handle_init(self):
            pass

        @staticmethod
        def split_data(data):
            """(watcher name, event, message): a name may hold dots, so the event is the last part."""
            topic, message = data
            named = to_str(topic).split(".", 1)[1]
            watcher, event = named.rsplit(".", 1)
            return watcher, event, message

        @staticmethod
        def load_message(message):
            return json.loads(to_str(message))

    logger = logging.getLogger("circus")

    def module(name, **members):
        made = types.ModuleType(name)
        made.__dict__.update(members)
        sys.modules[name] = made
        return made

    circus = module("circus", logger=logger, __path__=[], __version__="0.19.0")
    circus.plugins = module("circus.plugins", CircusPlugin=CircusPlugin, logger=logger, __path__=[])
    circus.util = module("circus.util", to_bool=to_bool, to_str=to_str, to_bytes=to_bytes,
                         AsyncPeriodicCallback=Periodic)
    circus.client = module("circus.client", make_message=make_message, cast_message=cast_message)
    circus.exc = module("circus.exc", CallError=CallError)


def _open_log(name, level, output):
    """The same lines as the other programs of Circus write."""
    import logging
    import logging.handlers

    from circus import logger

    if output in ("", "-", "stdout"):
        handler = logging.StreamHandler()
    elif output.startswith("syslog://"):
        address, _, facility = output[len("syslog://"):].partition("?")
        if not address.startswith("/"):
            host, _, port = address.partition(":")
            address = (host, int(port or 514))
        known = logging.handlers.SysLogHandler.facility_names
        handler = logging.handlers.SysLogHandler(address, known.get(facility, known["user"]))
    else:
        handler = logging.handlers.WatchedFileHandler(output)
    line = "%(asctime)s " + (name or "circus") + "[%(process)d] [%(levelname)s] %(message)s"
    handler.setFormatter(logging.Formatter(line, "%Y-%m-%d %H:%M:%S"))
    logger.addHandler(handler)
    logger.propagate = False
    levels = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
    logger.setLevel(levels.get(level.lower(), 20))
    return logger


def _main():
    job = json.loads(sys.argv[1])
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    sys.argv = ["circus-plugin", job["class"]]
    try:
        import importlib.util

        missing = importlib.util.find_spec("circus") is None or importlib.util.find_spec("circus.plugins") is None
    except (ImportError, ValueError):
        missing = True
    if missing:
        _offer_circus()
    factory = resolve(job["class"])
    logger = _open_log(getattr(factory, "name", ""), job["log_level"], job["log_output"])
    logger.info("Loading the plugin...")
    logger.info("Endpoint: %r", job["endpoint"])
    logger.info("Pub/sub: %r", job["pubsub"])
    plugin = factory(job["endpoint"], job["pubsub"], job["check_delay"], job["ssh"], **job["config"])
    logger.info("Starting")
    try:
        plugin.start()
    except KeyboardInterrupt:
        pass
    finally:
        logger.info("Stopping")
        plugin.stop()


_main()
