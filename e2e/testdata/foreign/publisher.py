#!/usr/bin/env python3
"""Publishes fixed stats as the document of the first statvent says, sharing no
code with this one: python3 publisher.py NAME=VALUE ...

Each reader gets a snapshot; then the pipe is removed and made again.
"""
import os
import signal
import sys

directory = os.environ.get("STATVENT_PIPE_DIR", "/tmp/stats-pipe")
path = os.path.join(directory, "%d.stats" % os.getpid())


def leave(*_):
    if os.path.exists(path):
        os.unlink(path)
    os._exit(0)


signal.signal(signal.SIGTERM, leave)
os.makedirs(directory, exist_ok=True)
stats = [arg.rsplit("=", 1) for arg in sys.argv[1:]]
while True:
    os.mkfifo(path)
    descriptor = os.open(path, os.O_WRONLY)
    try:
        with os.fdopen(descriptor, "wb") as pipe:
            for name, value in stats:
                pipe.write(b"%s: %s\n" % (os.fsencode(name), os.fsencode(value)))
    except BrokenPipeError:
        pass
    os.unlink(path)
