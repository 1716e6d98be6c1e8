"""Runs the class of a stream, for circusd: what its processes print comes in frames, and the class is called with it.

A frame is a line of JSON, and behind it as many bytes as its `size` says. What the class raises is shown on stderr and
ends nothing. Each frame is answered with a newline when it was dealt with: what was not goes to the next helper if this
one dies. The end of the frames is the end of this process.
"""

import json
import os
import sys
import traceback


def say(answer):
    os.write(frames.fileno(), json.dumps(answer).encode() + b"\n")


def attempt(function, *args):
    try:
        function(*args)
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()


def next_line():
    try:
        return frames.readline()
    except ConnectionResetError:
        # The end, when circusd has closed without reading the last answers.
        return b""


def serve(stream):
    while True:
        line = next_line()
        if not line:
            return
        frame = json.loads(line)
        what = frame["call"]
        if what == "data":
            data = frames.read(frame["size"])
            attempt(stream, {"data": data, "pid": frame["pid"], "name": frame["name"]})
        elif hasattr(stream, what):
            attempt(getattr(stream, what))
        try:
            os.write(frames.fileno(), b"\n")
        except OSError:
            # circusd is gone; what it has sent is dealt with all the same.
            pass


def main():
    wish = json.loads(frames.readline())
    try:
        made = resolve(wish["class"])
        if not callable(made):
            raise TypeError("it cannot be called")
        stream = None if wish["look"] else made(**wish["conf"])
        if stream is not None and not callable(stream):
            raise TypeError("its objects cannot be called")
    except BaseException as error:
        say({"error": "%s: %s" % (type(error).__name__, error)})
        raise SystemExit(1)
    say({"ok": True})
    if stream is not None:
        serve(stream)


main()
