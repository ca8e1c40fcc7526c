#!/usr/bin/env python3
"""Reads as the first statvent's web service did, sharing no code with this one:
opens every entry of the directory, splits each line at its last colon, adds up
and prints a line of JSON. python3 reader.py DIRECTORY
"""
import json
import os
import sys
import time

directory = sys.argv[1]
stats = {}
for entry in os.listdir(directory):
    path = os.path.join(directory, entry)
    # The publishers remove their pipes after each reader; here is none to
    # share with, but one may be between two pipes.
    for attempt in range(200):
        try:
            with open(path, "rb") as pipe:
                lines = pipe.read().split(b"\n")
            break
        except FileNotFoundError:
            if not entry.endswith(".stats"):
                lines = []
                break
            time.sleep(0.01)
    else:
        continue
    for line in lines:
        if not line:
            continue
        name, value = line.rsplit(b":", 1)
        name = os.fsdecode(name.strip())
        value = value.strip()
        try:
            number = int(value)
        except ValueError:
            number = float(value)
        stats[name] = stats.get(name, 0) + number
print(json.dumps({"stats": stats, "timestamp": time.time()}))
