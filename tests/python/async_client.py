"""Asks with Python's AsyncCircusClient: async_client.py ENDPOINT PUBSUB."""

import sys

import tornado.gen
import tornado.ioloop
from circus.client import AsyncCircusClient


@tornado.gen.coroutine
def main(endpoint):
    client = AsyncCircusClient(endpoint=endpoint)
    reply = yield client.send_message("status", name="web")
    assert reply["status"] == "active", reply
    reply = yield client.send_message("restart", name="web", waiting=True)
    assert len(reply["info"]["stopped"]) == len(reply["info"]["started"]) == 2, reply
    reply = yield client.send_message("list", name="web")
    assert len(reply["pids"]) == 2, reply
    client.stop()


tornado.ioloop.IOLoop.current().run_sync(lambda: main(sys.argv[1]))
