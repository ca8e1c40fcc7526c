"""Reads expositions with the parsers of Prometheus' Python client.

Each line of standard input is an object {"openmetrics": BOOL, "text": TEXT}. For
each a line is printed: {"error": TEXT} or {"samples": [[NAME, LABELS, VALUE]]},
in which a VALUE is the text that Python makes of it.
"""

import json
import sys

try:
    from prometheus_client import parser as text
    from prometheus_client.openmetrics import parser as openmetrics
except ImportError:
    sys.exit(77)

for line in sys.stdin:
    request = json.loads(line)
    parse = (openmetrics if request["openmetrics"] else text).text_string_to_metric_families
    try:
        samples = [[s.name, s.labels, repr(float(s.value))] for f in parse(request["text"]) for s in f.samples]
        print(json.dumps({"samples": samples}))
    except Exception as e:  # whatever it is, the scrape fails
        print(json.dumps({"error": f"{type(e).__name__}: {e}"}))
