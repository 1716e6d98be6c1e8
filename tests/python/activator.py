"""Starts a program as systemd would start it: with open sockets. activator.py PATH PROGRAM...

The first is one of TCP at a free port, called `web`; the second is at PATH, with a name that is nobody's. What
they are is written to PATH.txt.
"""

import os
import socket
import sys


def main(path, program):
    tcp = socket.create_server(("127.0.0.1", 0))
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(path)
    unix.listen()
    with open(path + ".txt", "w") as file:
        file.write(f"{tcp.getsockname()[1]}\n")
    sources = [os.dup(one.fileno()) for one in (tcp, unix)]
    sources = [os.dup2(source, 20 + place, inheritable=True) for place, source in enumerate(sources)]
    for place, source in enumerate(sources):
        os.dup2(source, 3 + place, inheritable=True)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES="web:circusd.socket")
    os.execvp(program[0], program)


main(sys.argv[1], sys.argv[2:])
