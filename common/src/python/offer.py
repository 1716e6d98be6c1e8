"""What people's code takes from the package `circus`, for a Python that has none. In front of programs of ours that run
hooks and plugins. Nothing is required but pyzmq, and that only by who makes a client.
"""

import importlib.util
import json
import logging
import sys
import time
import types
import uuid


def is_there(module):
    """Whether this Python has such a module itself."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def offer_module(name, **members):
    made = types.ModuleType(name)
    made.__dict__.update(members)
    sys.modules[name] = made
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, made)


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


class CallError(Exception):
    """circusd did not answer, or has refused."""


def make_message(command, **props):
    return {"id": uuid.uuid4().hex, "command": command, "properties": props}


def cast_message(command, **props):
    return dict(make_message(command, **props), msg_type="cast")


def exchange(socket, message, timeout):
    """Sends a message and returns the answer to it: a late one to an earlier message is passed over."""
    socket.send(to_bytes(json.dumps(message)))
    until = time.time() + timeout
    while True:
        left = until - time.time()
        if left <= 0 or not socket.poll(int(left * 1000) + 1):
            raise CallError("Timed out.")
        reply = json.loads(to_str(socket.recv_multipart()[-1]))
        if isinstance(reply, dict) and reply.get("id") == message["id"]:
            return reply


class CircusClient(object):
    """Asks a circusd, and waits for the answer."""

    def __init__(self, context=None, endpoint="tcp://127.0.0.1:5555", timeout=5.0):
        import zmq

        self.context = context or zmq.Context.instance()
        self.endpoint = endpoint
        self.timeout = timeout
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(endpoint)

    def send_message(self, command, **props):
        return self.call(make_message(command, **props))

    def call(self, message):
        return exchange(self.socket, dict(message, id=uuid.uuid4().hex), self.timeout)

    def stop(self):
        self.socket.close(0)


def offer_circus():
    offer_module("circus", logger=logging.getLogger("circus"), __path__=[], __version__="0.19.0")
    offer_module("circus.util", to_bool=to_bool, to_str=to_str, to_bytes=to_bytes)
    offer_module("circus.client", CircusClient=CircusClient, make_message=make_message, cast_message=cast_message)
    offer_module("circus.exc", CallError=CallError)


