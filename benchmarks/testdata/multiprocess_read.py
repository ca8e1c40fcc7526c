"""Brings together what multiprocess_write.py has left, once for each line on the
standard input, and says how long that took in seconds, without the time to start.
The answer to the line "text" is the text that was made, as a JSON string."""
import json
import sys
import time

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector


def generate():
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry)


def main():
    for line in sys.stdin:
        begin = time.perf_counter()
        text = generate()
        took = time.perf_counter() - begin
        print(json.dumps(text.decode()) if line == "text\n" else repr(took), flush=True)


if __name__ == "__main__":
    main()
