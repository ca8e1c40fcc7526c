package format

import (
	"slices"
	"strconv"
	"strings"
)

// ParseAccept returns the exposition that a request asks for with this Accept
// header: of what it takes, the first that it prefers to all others, or else the
// text format that everything reads. Names are escaped by underscores unless it
// says otherwise, with the parameter "escaping"; they stay whole only where they
// can be quoted, so not in version 0.0.4 of the text format.
func ParseAccept(accept string) Exposition {
	var best Exposition
	preference := 0.0
	for clause := range strings.SplitSeq(accept, ",") {
		e, q, ok := parseMediaRange(clause)
		if ok && q > preference {
			best, preference = e, q
		}
	}
	return best
}

// parseMediaRange reads one of the alternatives of an Accept header.
func parseMediaRange(s string) (e Exposition, q float64, ok bool) {
	mediaType, rest, _ := strings.Cut(s, ";")
	params := make(map[string]string)
	for param := range strings.SplitSeq(rest, ";") {
		name, value, _ := strings.Cut(param, "=")
		params[strings.ToLower(trimBlanks(name))] = strings.ToLower(strings.Trim(trimBlanks(value), `"`))
	}
	version := params["version"]
	switch strings.ToLower(trimBlanks(mediaType)) {
	case "application/openmetrics-text":
		e.Syntax, ok = OpenMetrics, version == "1.0.0" || version == ""
	case "text/plain":
		e.Syntax, ok = PrometheusText, version == "0.0.4" || version == ""
		if version == "1.0.0" {
			e.Syntax, ok = PrometheusText1, true
		}
	case "text/*", "*/*":
		ok = true
	}
	if i := slices.Index(escapingNames[:], params["escaping"]); i > 0 {
		e.Escaping = Escaping(i)
	}
	if e.Syntax == PrometheusText && e.Escaping == EscapeNothing {
		e.Escaping = EscapeUnderscores
	}
	q = 1
	if text, given := params["q"]; given {
		var err error
		if q, err = strconv.ParseFloat(text, 64); err != nil {
			ok = false
		}
	}
	return e, q, ok
}
