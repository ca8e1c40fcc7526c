"""Leaves the files of processes that counted with prometheus_client in its
multiprocess mode. Usage: multiprocess_write.py VALUES, where each line of that file
has the stats of one process as JSON: {NAME: NUMBER}. The files go to
$PROMETHEUS_MULTIPROC_DIR."""
import json
import os
import sys

from prometheus_client import CollectorRegistry, Counter


def count(stats):
    registry = CollectorRegistry()
    for name, value in stats.items():
        Counter(name, "Counted by a process.", registry=registry).inc(value)


def main():
    with open(sys.argv[1]) as lines:
        for line in lines:
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    count(json.loads(line))
                    status = 0
                finally:
                    os._exit(status)  # the parent's open files are not ours to close
            if os.waitpid(pid, 0)[1] != 0:
                sys.exit("a process that counts has failed")


if __name__ == "__main__":
    main()
