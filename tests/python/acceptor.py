"""A worker for tests: accepts on descriptors it inherited, answers each line with a line, ends well on SIGTERM.

acceptor.py FD...     these descriptors
acceptor.py listen    those of LISTEN_FDS
acceptor.py --once .. ends after the first connection
"""

import os
import select
import signal
import socket
import sys

STOP = []


def descriptors(words):
    if words != ["listen"]:
        return [int(word) for word in words]
    assert int(os.environ["LISTEN_PID"]) == os.getpid(), os.environ["LISTEN_PID"]
    return [3 + number for number in range(int(os.environ["LISTEN_FDS"]))]


def serve(connection):
    """Whoever was accepted is served, whatever happens meanwhile."""
    connection.setblocking(True)
    with connection, connection.makefile("rb") as lines:
        for line in lines:
            names = os.environ.get("LISTEN_FDNAMES", "-")
            word = line.split()[0].decode() if line.split() else ""
            connection.sendall(f"{os.getpid()} {word} {names}\n".encode())


def main(words):
    once = words[:1] == ["--once"]
    listening = [socket.socket(fileno=fd) for fd in descriptors(words[once:])]
    for one in listening:
        one.setblocking(False)
    wake, end = os.pipe()
    os.set_blocking(end, False)
    signal.set_wakeup_fd(end)
    signal.signal(signal.SIGTERM, lambda *_: STOP.append(True))
    while not STOP:
        ready, _, _ = select.select(listening + [wake], [], [])
        for one in ready:
            if one is wake or STOP:
                continue
            try:
                connection, _ = one.accept()
            except BlockingIOError:
                continue
            serve(connection)
            if once:
                return


main(sys.argv[1:])
