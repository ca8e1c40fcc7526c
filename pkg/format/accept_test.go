package format

import "testing"

func TestParseAccept(t *testing.T) {
	is := func(accept, want string) {
		t.Helper()
		if got := ParseAccept(accept).ContentType(); got != want {
			t.Errorf("%q: got %s, want %s", accept, got, want)
		}
	}
	const (
		text = "text/plain; version=0.0.4; charset=utf-8; escaping="
		new1 = "text/plain; version=1.0.0; charset=utf-8; escaping="
		om1  = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping="
	)
	is("", text+"underscores")
	is("*/*", text+"underscores")
	is("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", text+"underscores")
	is("text/plain", text+"underscores")
	is("text/plain;version=0.0.4;escaping=dots", text+"dots")
	is("text/plain;version=0.0.4;escaping=allow-utf-8", text+"underscores")
	is("text/plain;version=1.0.0", new1+"underscores")
	is("text/plain; version=1.0.0; escaping=allow-utf-8", new1+"allow-utf-8")
	is("text/plain;version=2.0.0", text+"underscores")
	is("application/openmetrics-text", om1+"underscores")
	is("application/openmetrics-text;version=\"1.0.0\";escaping=values", om1+"values")
	is("Application/OpenMetrics-Text; Version=1.0.0; Escaping=Values", om1+"values")
	is("application/openmetrics-text;version=0.0.1", text+"underscores")
	is("application/openmetrics-text;version=1.0.0;q=0.1,text/plain;version=1.0.0;q=0.2", new1+"underscores")
	is("application/openmetrics-text;version=1.0.0;q=0", text+"underscores")
	is("application/openmetrics-text;version=1.0.0;q=x", text+"underscores")
	is("application/openmetrics-text;version=1.0.0;escaping=odd", om1+"underscores")
	// Prometheus 3 and 2.
	is("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"+
		"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1", om1+"allow-utf-8")
	is("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", om1+"underscores")
}
