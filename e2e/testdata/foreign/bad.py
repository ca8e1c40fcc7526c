#!/usr/bin/env python3
"""A publisher that goes wrong: python3 bad.py HOW

silent    opens its pipe and writes nothing
endless   writes for ever
stalls    stops in mid-line
long      sends a line of 100 MB between two good ones
garbage   sends what is no stat between good ones
"""
import os
import signal
import sys

signal.signal(signal.SIGPIPE, signal.SIG_IGN)
directory = os.environ["STATVENT_PIPE_DIR"]
path = os.path.join(directory, "%d.stats" % os.getpid())
how = sys.argv[1]

while True:
    os.mkfifo(path)
    try:
        with open(path, "wb", buffering=0) as pipe:
            if how in ("silent", "stalls"):
                if how == "stalls":
                    pipe.write(b"stalls: 1\nnothing: 12")
                signal.pause()
            elif how == "endless":
                while True:
                    pipe.write(b"endless: 1\n" * 5000)
            elif how == "long":
                pipe.write(b"long.before: 1\n")
                for _ in range(100):
                    pipe.write(b"x" * 1000000)
                pipe.write(b": 1\nlong.after: 1\n")
            elif how == "garbage":
                pipe.write(b"garbage.before: 1\n\x00\xff\xfe\nno colon\n: \nname: \nname: 0x10\n")
                pipe.write(b"a: b: c\n\n\n{\"json\": 1}\ngarbage.after: 1\ncut: 12")
    except OSError:
        pass
    os.unlink(path)
