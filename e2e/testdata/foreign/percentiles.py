#!/usr/bin/env python3
"""Computes what the distributions of several processes are together, sharing no
code with this repository. Standard input is JSON: {NAME: {"window": how many
values each process remembers, "labels": {NAME OF A STAT: its percentile, or -1
for the mean}, "recorded": [the values of each process, in order]}}. Prints
{NAME OF A STAT: VALUE} and, under each NAME, how many values there were.
"""
import fractions
import json
import sys

stats = {}
for name, d in json.load(sys.stdin).items():
    stats[name] = sum(len(values) for values in d["recorded"])
    last = sorted(v for values in d["recorded"] for v in values[-d["window"]:])
    for label, percentile in d["labels"].items():
        if percentile < 0:
            stats[label] = float(sum(map(fractions.Fraction, last))) / len(last)
        else:
            rank = fractions.Fraction(str(percentile)) * len(last) / 100
            stats[label] = last[max(0, int(rank) - 1)]
json.dump(stats, sys.stdout)
