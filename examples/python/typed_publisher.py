#!/usr/bin/env python3
"""Publishes stats in the plain and in the typed format, with nothing but the
standard library: docs/format.md explains what it does. Unlike the Go library it
answers one reader at a time, and doesn't look whether its files are still there.
As a program it takes its stats from the command line and publishes until it is
told to end:

    typed_publisher.py counter jobs 10 gauge users 7 sample 'seconds.{0}' 0.25
"""
import fcntl
import os
import re
import secrets
import signal
import sys
import threading

VERSION = 1
LABELS = [("median", 50), ("95th", 95), ("99th", 99), ("100th", 100), ("mean", -1)]
WINDOW = 100


def clean(name):
    """A line can't carry line breaks, and readers take off blanks at either end."""
    return re.sub("\r\n|\r|\n", " ", name).strip(" \t\v\f")


class Publisher:
    """The stats of this process, and the pipes at which they are published.

    A process that forks calls start in each child, after the fork: a child that
    inherits the lock would show that its parent lives.
    """

    def __init__(self, directory=None):
        self.directory = directory or os.environ.get("STATVENT_PIPE_DIR", "/tmp/stats-pipe")
        self.lock = threading.Lock()  # guards what follows, and changes of files
        self.counters, self.gauges, self.distributions = {}, {}, {}
        self.final = None

    def count(self, name, value=1):
        if not 0 <= value < float("inf"):
            raise ValueError("a counter only grows, by what is finite")
        name = clean(name)
        with self.lock:
            self.counters[name] = self.counters.get(name, 0) + value

    def set(self, name, value):
        with self.lock:
            self.gauges[clean(name)] = value

    def record(self, name, value):
        """Adds a value to a distribution, whose name has {0} where the label goes."""
        name = clean(name)
        if "{0}" not in name:
            name += ".{0}"
        with self.lock:
            d = self.distributions.setdefault(name, {"count": 0, "sum": 0, "last": []})
            d["count"] += 1
            d["sum"] += value
            d["last"] = (d["last"] + [value])[-WINDOW:]

    def start(self):
        """Makes the files: the one that shows that we live first, the plain pipe last."""
        try:
            os.mkdir(self.directory)
            os.chmod(self.directory, 0o1777)  # for every user, whatever the umask
        except FileExistsError:
            pass
        stem, ident = str(os.getpid()), secrets.token_hex(8)
        while os.path.lexists(os.path.join(self.directory, stem + ".stats")):
            stem += "-2"
        self.ident = ident
        self.live = os.path.join(self.directory, ".%s.%s.live" % (stem, ident))
        self.typed = os.path.join(self.directory, ".%s.%s.typed" % (stem, ident))
        self.plain = os.path.join(self.directory, stem + ".stats")
        temporary = self.temporary()
        self.live_file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self.live_file, fcntl.LOCK_EX)  # for as long as we live
        os.write(self.live_file, b"pid: %d\n" % os.getpid())
        os.fchmod(self.live_file, 0o644)
        os.rename(temporary, self.live)
        for path, render in (self.typed, self.as_typed), (self.plain, self.as_plain):
            self.make_fifo(path)
            threading.Thread(target=self.serve, args=(path, render), daemon=True).start()

    def close(self):
        """Turns the typed pipe into a file with what was counted, for good."""
        with self.lock:
            self.final = self.render_typed(lasting=True)  # nobody is told more from here on
            self.remove(self.plain)
            temporary = self.temporary()
            with open(temporary, "xb") as file:
                os.fchmod(file.fileno(), 0o644)
                file.write(self.final)
            os.rename(temporary, self.typed)
        self.remove(self.live)

    def remove(self, path):
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass  # somebody was faster

    def serve(self, path, render):
        while self.final is None:
            pipe = os.open(path, os.O_WRONLY)  # waits for a reader
            try:
                text = render()
                with self.lock:
                    if self.final is None:  # else its place is that of the last snapshot
                        self.make_fifo(path)  # for the next one, before anything is written
                with os.fdopen(pipe, "wb") as out:
                    out.write(text)
            except BrokenPipeError:
                pass  # the reader left

    def temporary(self):
        return os.path.join(self.directory, ".tmp-%d-%s" % (os.geteuid(), secrets.token_hex(8)))

    def make_fifo(self, path):
        temporary = self.temporary()
        os.mkfifo(temporary)
        os.chmod(temporary, 0o644)
        os.rename(temporary, path)

    def as_typed(self):
        with self.lock:
            return self.final or self.render_typed()

    def render_typed(self, lasting=False):
        lines = ["statvent: %d" % VERSION, "id %s: 1" % self.ident, "pid: %d" % os.getpid()]
        stats = len(self.counters) + len(self.distributions)
        lines += ["counter %s: %r" % item for item in self.counters.items()]
        if not lasting:  # gauges and samples end with the process
            stats += len(self.gauges)
            lines += ["gauge %s: %r" % item for item in self.gauges.items()]
        for name, d in self.distributions.items():
            lines += ["distribution %s: %d" % (name, d["count"]), "sum %s: %r" % (name, d["sum"])]
            lines += ["label %s %s: %d" % (label, name, percentile) for label, percentile in LABELS]
            lines += ["sample %s: %r" % (name, value) for value in d["last"] if not lasting]
        lines.append("end %d: %d" % (len(lines), stats))
        return os.fsencode("\n".join(lines) + "\n")

    def as_plain(self):
        with self.lock:
            values = {**self.counters, **self.gauges}
            for name, d in self.distributions.items():
                last = sorted(d["last"])
                for label, percentile in LABELS:
                    i = max(0, len(last) * percentile // 100 - 1)
                    value = sum(last) / len(last) if percentile < 0 else last[i]
                    values[name.replace("{0}", label)] = value
            return os.fsencode("".join("%s: %r\n" % item for item in sorted(values.items())))


def main():
    publisher = Publisher()
    verbs = {"counter": publisher.count, "gauge": publisher.set, "sample": publisher.record}
    for verb, name, value in zip(*[iter(sys.argv[1:])] * 3):
        try:
            number = int(value)
        except ValueError:
            number = float(value)
        verbs[verb](name, number)
    publisher.start()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    publisher.close()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
