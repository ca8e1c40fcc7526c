#!/usr/bin/env python3
"""Publishes counters, and what has a point as a gauge, in the
plain format and in a version of the typed format that is yet to come:
python3 later.py NAME=VALUE ...
"""
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../../examples/python"))
sys.dont_write_bytecode = True
import typed_publisher

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
typed_publisher.VERSION = 2
publisher = typed_publisher.Publisher()
for arg in sys.argv[1:]:
    name, value = arg.rsplit("=", 1)
    if "." in value:
        publisher.set(name, float(value))
    else:
        publisher.count(name, int(value))
publisher.start()
signal.sigwait({signal.SIGTERM})
publisher.close()
