package admin

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// taken is one of everything a body may hold.
type taken struct {
	text, optional string
	id, none       uuid.UUID
	yes            bool
	price          schema.USD
	from, until    time.Time
	count          uint32
	role           schema.Role
	texts          []string
	objects        []string // their only member
}

func take(body string) (taken, error) {
	v := taken{texts: []string{"before"}, optional: "before", none: uuid.Max, yes: true, count: 7, until: time.Unix(1, 0)}
	o, err := decodeObject([]byte(body))
	if err != nil {
		return v, err
	}
	o.fixed("fixed")
	o.text("text", &v.text)
	o.optional("optional", &v.optional)
	o.id("id", &v.id)
	o.optionalID("none", &v.none)
	o.boolean("yes", &v.yes)
	o.usd("price", &v.price)
	o.instant("from", &v.from)
	o.optionalInstant("until", &v.until)
	o.count("count", &v.count)
	takeRole(o, &v.role)
	o.texts("texts", &v.texts)
	o.objects("objects", func(o *object) {
		var text string
		o.text("text", &text)
		o.require("text")
		v.objects = append(v.objects, text)
	})
	return v, o.done()
}

func TestBodyIsTaken(t *testing.T) {
	f := func(body string, is func(v taken) bool) {
		t.Helper()
		v, err := take(body)
		if err != nil || !is(v) {
			t.Errorf("%s: %+v, %v", body, v, err)
		}
	}
	f(` {"text":"a\u00fc\ud83d\ude00","price":0.15}`, func(v taken) bool {
		return v.text == "aü😀" && v.price.String() == "0.15"
	})
	f(`{"price":"0.150000000001"}`, func(v taken) bool { return v.price.String() == "0.150000000001" })
	f(`{"text":"\ufffd�"}`, func(v taken) bool { return v.text == "\ufffd\ufffd" })
	f(`{}`, func(v taken) bool { return v.optional == "before" && v.yes && v.count == 7 })
	f(`{"optional":null,"none":null,"yes":false,"count":null,"until":null}`, func(v taken) bool {
		return v.optional == "" && v.none == uuid.Nil && !v.yes && v.count == 0 && v.until.IsZero()
	})
	f(`{"from":"2026-01-01","until":"2026-01-01T01:00:00.0000019+01:00"}`, func(v taken) bool {
		midnight := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		return v.from.Equal(midnight) && v.until.Equal(midnight.Add(time.Microsecond))
	})
	f(`{"count":4294967295,"role":"admin"}`, func(v taken) bool {
		return v.count == 1<<32-1 && v.role == schema.Admin
	})
	f(`{}`, func(v taken) bool { return len(v.texts) == 1 && v.texts[0] == "before" })
	for _, empty := range []string{"null", "[]", "[ ]"} {
		f(`{"texts":`+empty+`,"objects":`+empty+`}`, func(v taken) bool {
			return len(v.texts) == 0 && len(v.objects) == 0
		})
	}
	f(`{"texts":["b","a",""],"objects":[{"text":"d"}, {"text":"c"}]}`, func(v taken) bool {
		return slices.Equal(v.texts, []string{"b", "a", ""}) &&
			slices.Equal(v.objects, []string{"d", "c"})
	})
}

func TestBodyIsRefusedByName(t *testing.T) {
	f := func(body string, kind schema.Kind, field string) {
		t.Helper()
		_, err := take(body)
		e := (*schema.Error)(nil)
		if !errors.As(err, &e) || e.Kind != kind || e.Field != field || e.Message == "" {
			t.Errorf("%.80q: %v, want kind %d of %q", body, err, kind, field)
		}
	}
	for _, body := range []string{
		"", " ", "null", "7", "[]", `"x"`, "{", "{}x", "{}{}", `{"text":"a",}`, `{"text":"a" "id":1}`,
		"\xef\xbb\xbf{}", "{\"text\":\"\xff\"}", "{'text':'a'}", `{"text":"a` + "\x00" + `"}`,
		strings.Repeat(`{"a":`, 12_000), strings.Repeat("[", 30_000),
	} {
		f(body, schema.Unreadable, "")
	}
	f(`{"text":"a","x":1,"text":"b"}`, schema.Unreadable, "text")
	f(`{"text":"a","te\u0078t":"b"}`, schema.Unreadable, "text")
	f(strings.Repeat(" ", bodyBytesMax)+"{}", schema.TooLarge, "")
	invalid := func(field string, values ...string) {
		t.Helper()
		for _, value := range values {
			f(`{"`+field+`":`+value+`}`, schema.Invalid, field)
		}
	}
	invalid("x", "1", "null")
	invalid("Text", `"a"`) // names are exact
	invalid(strings.Repeat("y", 64), "1")
	f(`{"`+strings.Repeat("ü", 65)+`":1}`, schema.Invalid, strings.Repeat("ü", 64)+"…")
	invalid("fixed", `"a"`, "null")
	long := `"` + strings.Repeat("a", schema.TextMax+1) + `"`
	invalid("text", `""`, "null", "1", "[]", `"a\u0000"`, `"a\n"`, `"a\u0085"`, `"\ud800"`,
		`"\udc00\ud800"`, `"�\ud800"`, long)
	invalid("optional", "1", long)
	invalid("id", `""`, "null", `"x"`, "1", `"00000000-0000-0000-0000-000000000000"`,
		`"{12345678-1234-4234-8234-123456789012}"`, `"12345678123442348234123456789012"`,
		`"urn:uuid:12345678-1234-4234-8234-123456789012"`)
	invalid("none", `""`, "0")
	invalid("yes", "1", `"true"`, "null", "{}")
	invalid("price", "-1", `"-0.1"`, "1e400", `"1,5"`, `"NaN"`, "null", "{}", "true", `""`, `"0x1"`,
		"0.0000000000001", "1"+strings.Repeat("0", 400))
	invalid("from", "null", `"x"`, `"2026-02-30"`, `"2026-01-01T00:00:00"`, `"1969-12-31"`,
		`"2200-01-01"`, "0")
	invalid("until", `""`)
	invalid("count", "-1", "1.5", `"1"`, "4294967296", "1e3", "{}", "true")
	invalid("texts", `"a"`, "1", "{}", "true")
	f(`{"texts":["a",1]}`, schema.Invalid, "texts[1]")
	f(`{"texts":["a","\ud800"]}`, schema.Invalid, "texts[1]")
	f(`{"texts":[null]}`, schema.Invalid, "texts[0]")
	invalid("objects", `"a"`, "{}", `{"text":"a"}`)
	f(`{"objects":[{"text":"a"},"a"]}`, schema.Invalid, "objects[1]")
	f(`{"objects":[{"text":"a","text":"a"}]}`, schema.Invalid, "objects[0]")
	f(`{"objects":[{"text":"a"},{"text":"a","x":1}]}`, schema.Invalid, "objects[1].x")
	f(`{"objects":[{}]}`, schema.Invalid, "objects[0].text")
	f(`{"objects":[{"text":null}]}`, schema.Invalid, "objects[0].text")
	invalid("role", `"owner"`, `""`, "null", `"Admin"`)
}

func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		"", "{}", `{"text":"a","text":"b"}`, `{"price":"0.1","count":1,"from":"2026-01-01"}`,
		`{"id":"12345678-1234-4234-8234-123456789012","none":null,"yes":true}`, `{"text":"\ud800"}`,
		`{"texts":["a",null],"objects":[{"text":"a"},{"text":"b","text":""}]}`,
		`{"x":{"y":[1,2,{"z":null}]}}`, "{\"\xff\":1}", `{"text":"a"}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		v, err := take(body)
		e := (*schema.Error)(nil)
		if err != nil && (!errors.As(err, &e) || e.Message == "") {
			t.Errorf("%q: %v is not an error for a client", body, err)
		}
		if err == nil && (schema.CheckText("", v.text) != nil || v.price.Sign() < 0) {
			t.Errorf("%q was taken as %+v", body, v)
		}
	})
}

func TestSecretsAreLongAndKnownByTheirBeginning(t *testing.T) {
	for kind, beginning := range map[schema.CredentialKind]string{
		schema.AgentSecret: "mh_agent_", schema.AppPassword: "app_a7_", schema.AccessToken: "mh_token_",
	} {
		one, other := newSecret(kind), newSecret(kind)
		random, ok := strings.CutPrefix(one, beginning)
		// 32 signs, five bits each.
		if !ok || len(random)*5 < 128 || one == other || !secretValid(one) {
			t.Errorf("%q, %q", one, other)
		}
	}
	id, err := uuid.Parse(newSecret(schema.LoginToken))
	if err != nil || id.Version() != 4 {
		t.Errorf("a login token is %s: %v", id, err)
	}
}

func TestCursorsAreOurOwn(t *testing.T) {
	for _, bad := range []string{"x", "=", "", "????", "YQ=="} {
		if place, err := (query{"cursor": bad}).cursor(); err == nil {
			t.Errorf("%q stands for %q", bad, place)
		}
	}
	q := query{"cursor": *cursorAt("a/b ü")}
	if place, err := q.cursor(); err != nil || place != "a/b ü" {
		t.Errorf("%q, %v", place, err)
	}
	for _, bad := range []string{"x", "1", "1.", ".1", "0.1", "1.1.1", "-1.1", "1.4294967296"} {
		q := query{"cursor": *cursorAt(bad)}
		if place, err := q.auditPlace(); err == nil {
			t.Errorf("%q is the place %v", bad, place)
		}
	}
}
