"""A worker that serves HTTP from a socket it inherits, and answers whom it has accepted before it ends."""

import argparse
import http.server
import os
import signal
import socket


class Visit(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"served by process {os.getpid()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, text, *values):
        # One line on standard output for each visit.
        print(self.address_string(), text % values)


class Server(http.server.HTTPServer):
    def __init__(self, inherited):
        # It is bound and listens already.
        super().__init__(inherited.getsockname(), Visit, bind_and_activate=False)
        self.socket.close()
        self.socket = inherited
        self.ending = False

    def serve(self):
        self.timeout = 0.5
        while not self.ending:
            self.handle_request()

    def get_request(self):
        # Another worker may have been faster: the socket does not block.
        return self.socket.accept()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    inherited = socket.socket(fileno=parser.parse_args().fd)
    server = Server(inherited)

    def end(_signal, _frame):
        server.ending = True

    signal.signal(signal.SIGTERM, end)
    server.serve()


if __name__ == "__main__":
    main()
