package dialecttest

import "testing"

func TestDiffer(t *testing.T) {
	f := func(want, got string, same bool) {
		t.Helper()
		w, err := parseJSON(want)
		if err != nil {
			t.Fatal(err)
		}
		g, err := parseJSON(got)
		if at := differ("", w, g); err == nil && (at == "") != same {
			t.Errorf("%s and %s: %q", want, got, at)
		} else if err != nil && same {
			t.Errorf("%s: %v", got, err)
		}
	}
	f(`{"a":1,"b":[true,null,"x"]}`, ` {"b" : [true,null,"x"],"a":1}`, true)
	f(`{"a":1}`, `{"a":1.0}`, false)
	f(`{"a":1}`, `{"a":"1"}`, false)
	f(`{"a":"1"}`, `{"a":1}`, false)
	f(`{"a":9007199254740993}`, `{"a":9007199254740992}`, false)
	f(`{"a":1}`, `{"a":1,"b":null}`, false)
	f(`{"a":1,"b":null}`, `{"a":1}`, false)
	f(`{"a":1}`, `{"a":1,"a":1}`, false)
	f(`[]`, `null`, false)
	f(`[]`, `{}`, false)
	f(`{}`, `[]`, false)
	f(`[1,2]`, `[2,1]`, false)
	f(`[1]`, `[1,1]`, false)
	f(`{}`, `{} {}`, false)
	f(`{}`, `{`, false)
	f(`["«integer»"]`, `[-17]`, true)
	f(`["«integer»"]`, `[1.5]`, false)
	f(`["«integer»"]`, `["17"]`, false)
	f(`["«uuid»"]`, `["01975c1e-0000-7000-8000-000000000001"]`, true)
	f(`["«uuid»"]`, `["01975C1E-0000-7000-8000-000000000001"]`, false)
	f(`["«instant»"]`, `["2026-01-31T00:00:00Z"]`, true)
	f(`["«instant»"]`, `["2026-01-31T00:00:00.5Z"]`, true)
	f(`["«instant»"]`, `["2026-01-31T00:00:00+00:00"]`, false)
	f(`["«instant»"]`, `["2026-01-31"]`, false)
}
