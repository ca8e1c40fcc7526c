package conformance

import (
	"mime"
	"net/http"
	"testing"

	"github.com/prometheus/common/expfmt"

	"github.com/statvent/statvent/pkg/format"
)

// acceptHeaders are what clients send, and what they might.
var acceptHeaders = []struct{ who, accept string }{
	{"Prometheus 2.42", "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"},
	{"Prometheus 2.49", "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"},
	{"Prometheus 2.5", "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"},
	{"Prometheus 2.0", "text/plain;version=0.0.4;q=1,*/*;q=0.1"},
	{"Prometheus 2.42 with native histograms", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"},
	{"Prometheus 3.0", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"},
	{"Prometheus 3.0, legacy names", "application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=underscores;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"},
	{"Prometheus 3.0, text alone", "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3"},
	{"Prometheus 3.0, dots", "text/plain;version=1.0.0;escaping=dots;q=0.5,*/*;q=0.3"},
	{"Prometheus 3.0, values", "text/plain;version=1.0.0;escaping=values;q=0.5,*/*;q=0.3"},
	{"Prometheus 3.0, protobuf first", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"},
	{"text 0.0.4 and UTF-8", "text/plain;version=0.0.4;escaping=allow-utf-8"},
	{"vmagent", "text/plain;version=0.0.4;q=1,*/*;q=0.1"},
	{"vmagent 1.90", "text/plain"},
	{"Telegraf", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,text/plain;version=0.0.4;q=0.3"},
	{"Telegraf, version 1", "text/plain;version=0.0.4;q=0.3,*/*;q=0.1"},
	{"Datadog", "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1"},
	{"Datadog, text", "text/plain"},
	{"curl", "*/*"},
	{"nothing", ""},
	{"Firefox", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"},
	{"Chromium", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"},
	{"a library for JSON", "application/json, text/plain, */*"},
	{"JSON alone", "application/json"},
	{"any text", "text/*"},
	{"OpenMetrics of no version", "application/openmetrics-text"},
	{"OpenMetrics of another version", "application/openmetrics-text;version=2.0.0"},
	{"OpenMetrics or text", "application/openmetrics-text;version=2.0.0,text/plain;version=0.0.4;q=0.1"},
	{"text of another version", "text/plain;version=9"},
	{"OpenMetrics last", "text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.1"},
	{"text later and better", "application/openmetrics-text;version=1.0.0;q=0.1,text/plain;version=0.0.4;q=0.9"},
	{"blanks", " application/openmetrics-text ; version=1.0.0 ; charset=utf-8 , text/plain "},
	{"an unknown escaping", "application/openmetrics-text;version=1.0.0;escaping=rot13"},
	{"a charset", "text/plain; version=0.0.4; charset=utf-8"},
}

func TestNegotiationIsThatOfExpfmt(t *testing.T) {
	// Where this answers otherwise, and why.
	differs := map[string]string{
		// No protobuf is spoken here: the next that they take.
		"Prometheus 3.0, protobuf first":         "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
		"Prometheus 2.42 with native histograms": "application/openmetrics-text;version=1.0.0;escaping=underscores",
		"Telegraf":                               "text/plain;version=0.0.4;escaping=underscores",
		// Version 0.0.1 is that of a draft. All who take it take something else.
		"Prometheus 2.5": "text/plain;version=0.0.4;escaping=underscores",
		// Who names no version takes the current one.
		"OpenMetrics of no version": "application/openmetrics-text;version=1.0.0;escaping=underscores",
		// Names can't be quoted in this version.
		"text 0.0.4 and UTF-8": "text/plain;version=0.0.4;escaping=underscores",
		// expfmt doesn't write version 1.0.0 of the text format.
		"Prometheus 3.0, text alone": "text/plain;version=1.0.0;escaping=allow-utf-8",
		"Prometheus 3.0, dots":       "text/plain;version=1.0.0;escaping=dots",
		"Prometheus 3.0, values":     "text/plain;version=1.0.0;escaping=values",
	}
	for _, c := range acceptHeaders {
		want := string(expfmt.NegotiateAccept(http.Header{"Accept": {c.accept}}, expfmt.DefaultOpenMetricsAcceptedFormats()...))
		if other, ok := differs[c.who]; ok {
			if essence(t, other) == essence(t, want) {
				t.Errorf("%s: expfmt answers %s as well", c.who, want)
			}
			want = other
		}
		got := format.ParseAccept(c.accept).ContentType()
		if essence(t, got) != essence(t, want) {
			t.Errorf("%s, %q: got %s, want %s", c.who, c.accept, got, want)
		}
		if _, err := scrape(expose(c.accept, counter("a.b", format.Int(1)))); err != nil {
			t.Errorf("%s: %v", c.who, err)
		}
	}
}

// essence is what of a content type says how to read it.
func essence(t *testing.T, contentType string) string {
	t.Helper()
	mediaType, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatalf("%v: %s", err, contentType)
	}
	return mediaType + " " + params["version"] + " " + params["escaping"]
}

// Whatever a header says, there is an answer that can be read.
func TestAbsurdAcceptHeaders(t *testing.T) {
	for _, accept := range []string{
		",", ";", "=", ",,,;;;===", "*", "/", "*/", "/*", "text", "text/", "text/plain;", "text/plain;;", "text/plain;version", "text/plain;version=",
		"text/plain;q=", "text/plain;q=x", "text/plain;q=-1", "text/plain;q=2", "text/plain;q=NaN", "text/plain;q=1e999", "text/plain;q=0", "*/*;q=0",
		`text/plain;version="1.0.0";escaping="allow-utf-8"`, `text/plain;version="`, `application/openmetrics-text;version="1.0.0,text/plain"`,
		"TEXT/PLAIN;VERSION=1.0.0;ESCAPING=ALLOW-UTF-8", "text/plain;version=1.0.0;version=0.0.4", "text/plain;escaping=dots;escaping=values",
		"\x00", "\xff", "application/openmetrics-text;version=1.0.0\r\nX: y", "😀/😀;😀=😀",
	} {
		body, contentType := expose(accept, counter("a.b", format.Int(1)))
		essence(t, contentType)
		if samples, err := scrape(body, contentType); err != nil || len(samples) != 1 {
			t.Errorf("%q: %v, %v in %s", accept, samples, err, body)
		}
	}
}
