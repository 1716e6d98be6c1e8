"""Runs one plugin class. Text of circus-plugin, handed to the interpreter on its standard input.

With the package `circus` installed the class runs on its CircusPlugin; otherwise on the one below, which is offered
under the same names and needs nothing but pyzmq.
"""
import json
import logging
import os
import signal
import sys
import time
import uuid


#: What stands for it where the log is to go.
STDERR = ("", "-", "stdout")


class _Interrupted(KeyboardInterrupt):
    """circusd, or somebody at a terminal, wants the plugin to end."""


def _end(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise _Interrupted()


def _offer_plugins():
    """The module `circus.plugins`; returns what offers the part of Tornado's loop that it uses, where there is none."""
    import collections
    import errno
    import heapq
    import itertools

    import zmq

    logger = logging.getLogger("circus")

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
            self._callbacks = collections.deque()
            # What another thread asks for must end the waiting.
            self._wakes, self._wake = os.pipe()
            os.set_blocking(self._wake, False)
            self.add_handler(self._wakes, lambda fd, events: os.read(fd, 4096), self.READ)

        def time(self):
            return time.time()

        @staticmethod
        def _key(fd):
            """What the poller knows it by: a number, or a socket of ZeroMQ."""
            return fd if isinstance(fd, (int, zmq.Socket)) else fd.fileno()

        def add_handler(self, fd, handler, events):
            self._handlers[self._key(fd)] = fd, handler
            self._poller.register(fd, events & (zmq.POLLIN | zmq.POLLOUT) or zmq.POLLIN)

        def update_handler(self, fd, events):
            self._poller.modify(fd, events)

        def remove_handler(self, fd):
            if self._handlers.pop(self._key(fd), None) is not None:
                self._poller.unregister(fd)

        def add_callback(self, callback, *args, **kwargs):
            self._callbacks.append(lambda: callback(*args, **kwargs))
            try:
                os.write(self._wake, b" ")
            except BlockingIOError:
                pass

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
            for _ in range(len(self._callbacks)):
                self._guarded(self._callbacks.popleft())
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
                for key, events in ready:
                    fd, handler = self._handlers.get(key, (None, None))
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
            self.io_loop = io_loop
            self._handle = None

        def _plan(self):
            self._handle = self.io_loop.call_later(self.callback_time / 1000.0, self._run)

        def _run(self):
            self._plan()
            self.callback()

        def start(self):
            self.stop()
            # Only now: the loop of a plugin that makes one of these in its constructor is not the current one yet.
            self.io_loop = self.io_loop or IOLoop.current()
            self._plan()

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
            self.client = self.context.socket(zmq.DEALER)
            self.client.setsockopt(zmq.IDENTITY, self._id)
            self.client.linger = 0
            self.client.connect(self.endpoint)
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
            return exchange(self.client, make_message(command, **props), self.call_timeout)

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

    offer_module("circus.plugins", CircusPlugin=CircusPlugin, logger=logger, __path__=[])
    sys.modules["circus.util"].AsyncPeriodicCallback = Periodic

    def offer_loop():
        offer_module("tornado", __path__=[])
        offer_module("tornado.ioloop", IOLoop=Loop, PeriodicCallback=Periodic)

    return offer_loop


def _plugin_class(path):
    """The class, on our CircusPlugin if the package is not there."""
    if is_there("circus.plugins"):
        return resolve(path)
    offer_circus()
    offer_loop = _offer_plugins()
    try:
        return resolve(path)
    except ModuleNotFoundError as error:
        if error.name not in ("tornado", "tornado.ioloop"):
            raise
    # Who asks for Tornado most often wants its PeriodicCallback. Others must not think that it is there.
    offer_loop()
    return resolve(path)


def _open_log(name, level, output):
    """The same lines as the other programs of Circus write."""
    import logging.handlers

    logger = logging.getLogger("circus")
    if output in STDERR:
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


def _run(job, factory, logger):
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
    # Threads of the plugin are not waited for: under Circus SIGTERM ends them too.
    logging.shutdown()
    try:
        sys.stdout.flush()
    finally:
        os._exit(0)


def _main():
    job = json.loads(sys.argv[1])
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    sys.argv = ["circus-plugin", job["class"]]
    logger = None
    try:
        factory = _plugin_class(job["class"])
        logger = _open_log(getattr(factory, "name", ""), job["log_level"], job["log_output"])
        _run(job, factory, logger)
    except Exception:
        # Under circusd nobody sees what goes to stderr.
        if job["log_output"] not in STDERR:
            logger = logger or _open_log("", job["log_level"], job["log_output"])
            logger.exception("The plugin %s has failed", job["class"])
        raise


_main()
