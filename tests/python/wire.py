"""Speaks the wire by hand with pyzmq, REQ and DEALER: wire.py ENDPOINT PUBSUB."""

import json
import sys

import zmq

endpoint = sys.argv[1]
context = zmq.Context()


def socket(kind):
    it = context.socket(kind)
    it.linger = 0
    it.rcvtimeo = 20000
    it.connect(endpoint)
    return it


req = socket(zmq.REQ)
for number in range(3):
    req.send_json({"command": "numwatchers", "id": number})
    assert req.recv_json()["id"] == number

dealer = socket(zmq.DEALER)
for echo in [1, "x", [1, 2], {"a": None}, None, True, 1.5, "", -5, 2 ** 127 - 1, "\u00e9"]:
    dealer.send_json({"command": "NumWatchers", "id": echo})
    frames = dealer.recv_multipart()
    assert len(frames) == 1 and json.loads(frames[0])["id"] == echo, frames

BODIES = [
    (b"{bad", 1, "json invalid"),
    (b"\xff\xfe", 1, "json invalid"),
    (b"[]", 1, "json invalid"),
    (b"", 3, "error: empty command"),
    (b"{}", 2, "unknown command: None"),
    (b'{"command": 5}', 2, "unknown command: 5"),
]
for body, errno, reason in BODIES:
    dealer.send(body)
    reply = dealer.recv_json()
    assert (reply["errno"], reply["reason"], reply["id"]) == (errno, reason, None), (body, reply)

# A cast is not answered, neither well nor ill: the next answer is that of the next request.
for command in ["list", "nope"]:
    dealer.send_json({"command": command, "msg_type": "cast", "id": "cast"})
dealer.send_json({"command": "numwatchers", "id": "after"})
assert dealer.recv_json()["id"] == "after"
