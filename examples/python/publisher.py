#!/usr/bin/env python3
"""Publishes stats in the plain format: docs/languages.md. As a program it takes lines from
stdin, such as `count 2 app.requests` and `set 0.5 app.load`, until they end."""
import contextlib
import os
import secrets
import signal
import sys
import threading


class Publisher:
    # A program that forks makes one in each child, after the fork.
    def __init__(self, directory=os.environ.get("STATVENT_PIPE_DIR") or "/tmp/stats-pipe"):
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory)
            os.chmod(directory, 0o1777)  # for every user, whatever the umask
        self.path = os.path.join(directory, "%d.stats" % os.getpid())
        self.temporary = os.path.join(directory, ".tmp-%d-%s" % (os.geteuid(), secrets.token_hex(8)))
        self.lock, self.stats, self.closed = threading.Lock(), {}, False
        self.put_fifo()
        threading.Thread(target=self.serve, daemon=True).start()

    def count(self, name, by=1):
        with self.lock:
            self.stats[name] = self.stats.get(name, 0) + by

    def set(self, name, value):
        with self.lock:
            self.stats[name] = value

    def put_fifo(self):
        os.mkfifo(self.temporary)
        os.chmod(self.temporary, 0o644)
        os.rename(self.temporary, self.path)

    def serve(self):
        while not self.closed:
            pipe = os.open(self.path, os.O_WRONLY)  # waits for a reader
            with self.lock:
                if not self.closed:
                    self.put_fifo()  # for the next one, before anything is written
                text = "".join("%s: %r\n" % (" ".join(name.splitlines()), value) for name, value in self.stats.items())
            with contextlib.suppress(BrokenPipeError), os.fdopen(pipe, "wb") as out:
                out.write(os.fsencode(text))

    def close(self):
        with self.lock, contextlib.suppress(FileNotFoundError):
            self.closed = True
            os.unlink(self.path)


if __name__ == "__main__":
    for number in signal.SIGINT, signal.SIGTERM:
        signal.signal(number, lambda *_: sys.exit())  # so that it is closed
    with contextlib.closing(Publisher()) as publisher:
        for line in sys.stdin:
            verb, value, name = line.rstrip("\n").split(" ", 2)
            {"count": publisher.count, "set": publisher.set}[verb](name, float(value) if "." in value else int(value))
