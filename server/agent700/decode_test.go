package agent700

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

const valid = `{"user_id":"7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11",` +
	`"organization_id":"0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55","model_name":"gpt-4o-mini",` +
	`"input_tokens":1200,"output_tokens":350,"service_name":"transcription","channel":"voice"}`

// with returns the valid body with one member written otherwise.
func with(t *testing.T, name, member string) string {
	t.Helper()
	_, rest, ok := strings.Cut(valid, `"`+name+`":`)
	if !ok {
		t.Fatalf("no member %s", name)
	}
	value := rest[:strings.IndexAny(rest, ",}")]
	return strings.Replace(valid, `"`+name+`":`+value, member, 1)
}

// told writes an error as its envelope tells it.
func told(err error) string {
	if err == nil {
		return "no error"
	}
	status, body := encodeError(err)
	return strings.Join(append([]string{fmt.Sprint(status, " ", body.Error)}, body.Details...), "; ")
}

func TestDecodeAccepts(t *testing.T) {
	want := usage{
		user:         uuid.MustParse("7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11"),
		organization: uuid.MustParse("0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55"),
		model:        "gpt-4o-mini", service: "transcription", channel: "voice",
		input: 1200, output: 350,
	}
	f := func(body string, want usage) {
		t.Helper()
		got, err := decode([]byte(body))
		if err != nil || got != want {
			t.Errorf("decode(%.300q): %+v, %s, want %+v", body, got, told(err), want)
		}
	}
	f(valid, want)
	f("\xef\xbb\xbf \n"+valid+"\n", want)
	f(`{"x":[{"user_id":1}],"user_Id":7,`+valid[1:], want)
	f(strings.Replace(valid, "7b0e6c1e", "7B0E6C1E", 1), want)
}

func TestDecodeTakesAliases(t *testing.T) {
	want, err := decode([]byte(valid))
	if err != nil {
		t.Fatal(err)
	}
	for name, names := range aliases {
		_, rest, _ := strings.Cut(valid, `"`+name+`":`)
		value := rest[:strings.IndexAny(rest, ",}")]
		for _, alias := range names {
			for _, body := range []string{
				with(t, name, `"`+alias+`":`+value),
				with(t, name, `"`+alias+`":`+value+`,"`+name+`":`+value),
				with(t, name, `"`+alias+`":null,"`+name+`":`+value),
				with(t, name, `"`+alias+`":`+value+`,"`+alias+`":`+value),
			} {
				if alias == name && strings.Contains(body, "null") {
					continue // that is one member with two values
				}
				if got, err := decode([]byte(body)); err != nil || got != want {
					t.Errorf("%s: %+v, %s", body, got, told(err))
				}
			}
		}
	}
}

func TestDecodeIntegers(t *testing.T) {
	f := func(literal string, want int64) {
		t.Helper()
		for _, name := range []string{fieldInput, fieldOutput} {
			u, err := decode([]byte(with(t, name, `"`+name+`":`+literal)))
			got := u.input
			if name == fieldOutput {
				got = u.output
			}
			if err != nil || got != want {
				t.Errorf("%s %s: %d, %s, want %d", name, literal, got, told(err), want)
			}
		}
	}
	f("0", 0)
	f("-0", 0)
	f("10", 10)
	f("10.0", 10)
	f("1e1", 10)
	f("999999999999", 999999999999)
	f("999999999999.000", 999999999999)

	g := func(literal, want string) {
		t.Helper()
		body := with(t, fieldInput, `"input_tokens":`+literal)
		if _, err := decode([]byte(body)); told(err) != "400 Validation failed; input_tokens "+want {
			t.Errorf("%s: %s, want %s", literal, told(err), want)
		}
	}
	const notInteger, tooMany = "must be an integer >= 0", "must be at most 999999999999"
	for _, literal := range []string{
		"10.5", `"10"`, "true", "false", "[]", "[1]", "{}", "-1", "-0.5", `""`, `"x"`, "0.0000001",
		"1e-400", "-1e400", "0.5e0",
	} {
		g(literal, notInteger)
	}
	for _, literal := range []string{
		"1000000000000", "9223372036854775807", "9223372036854775808", "1e400", "1e12",
	} {
		g(literal, tooMany)
	}
}

func TestDecodeSaysWhatIsMissing(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		if _, err := decode([]byte(body)); told(err) != want {
			t.Errorf("%.200q: %s, want %s", body, told(err), want)
		}
	}
	f(`{}`, "400 Missing required field: user_id")
	f(`{"input_tokens":"x"}`, "400 Missing required field: user_id")
	for _, name := range []string{
		fieldUser, fieldOrganization, fieldModel, fieldInput, fieldOutput, fieldService,
	} {
		want := "400 Missing required field: " + name
		f(with(t, name, `"x":1`), want)
		f(with(t, name, `"`+name+`":null`), want)
	}
	for _, name := range []string{fieldUser, fieldOrganization, fieldModel, fieldService} {
		f(with(t, name, `"`+name+`":""`), "400 Missing required field: "+name)
	}
	for _, member := range []string{`"x":1`, `"channel":null`, `"channel":""`} {
		if u, err := decode([]byte(with(t, fieldChannel, member))); err != nil ||
			u.channel != "external_api" {
			t.Errorf("%s: channel %q, %v", member, u.channel, err)
		}
	}
}

func TestDecodeNamesEveryFault(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		if _, err := decode([]byte(body)); told(err) != want {
			t.Errorf("%.200q:\n%s, want\n%s", body, told(err), want)
		}
	}
	const noObject = "400 Request body must be a JSON object"
	for _, body := range []string{
		"", " ", "null", "7", `"x"`, "[]", "[" + valid + "]", valid + "x", valid + valid, valid[1:],
		valid[:len(valid)-1], "\xff" + valid, strings.Replace(valid, "{", "{\"\xff\":1,", 1),
		strings.Repeat("[", 100_000), `{"x":` + strings.Repeat("[", 20_000), "\xef\xbb\xbf",
	} {
		f(body, noObject)
	}
	const failed = "400 Validation failed; "
	f(with(t, fieldUser, `"user_id":"x"`), failed+"user_id must be a UUID")
	f(with(t, fieldUser, `"user_id":7`), failed+"user_id must be a UUID")
	f(with(t, fieldOrganization, `"org_id":"{0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55}"`),
		failed+"org_id must be a UUID")
	f(with(t, fieldOrganization, `"org_id":"urn:uuid:0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55"`),
		failed+"org_id must be a UUID")
	f(with(t, fieldModel, `"model":7`), failed+"model must be a string")
	f(with(t, fieldService, `"service_name":"a\u0000"`),
		failed+"service_name must not contain control characters")
	f(with(t, fieldService, `"service_name":"`+strings.Repeat("x", 257)+`"`),
		failed+"service_name must have at most 256 characters")
	f(with(t, fieldChannel, `"channel":"\ud800"`), failed+"channel must be valid Unicode")
	f(with(t, fieldChannel, `"channel":{}`), failed+"channel must be a string")
	f(with(t, fieldChannel, `"channel":"a","source_channel":"b"`),
		failed+"source_channel must be the same as channel")
	f(with(t, fieldInput, `"prompt_tokens":1,"inputTokens":2`),
		failed+"prompt_tokens must be the same as inputTokens")
	f(with(t, fieldInput, `"input_tokens":1,"input_tokens":2`),
		failed+"input_tokens must be given once")
	f(with(t, fieldInput, `"input_tokens":null,"input_tokens":2`),
		failed+"input_tokens must be given once")
	f(with(t, fieldModel, `"model":"a","model_name":"b","modelName":"c"`),
		failed+"modelName must be the same as model_name; model must be the same as modelName")
	f(strings.NewReplacer(`1200`, `-1`, `350`, `"350"`, `"voice"`, `7`).Replace(valid), failed+
		"input_tokens must be an integer >= 0; output_tokens must be an integer >= 0; "+
		"channel must be a string")
}

func TestDecodeEveryTruncation(t *testing.T) {
	for i := range len(valid) {
		if u, err := decode([]byte(valid[:i])); err == nil {
			t.Errorf("decode(%q): %+v", valid[:i], u)
		}
	}
}

func TestDecodeLogin(t *testing.T) {
	f := func(body, want, problem string) {
		t.Helper()
		got, err := decodeLogin([]byte(body))
		if got != want || told(err) != problem {
			t.Errorf("%s: %q, %s, want %q, %s", body, got, told(err), want, problem)
		}
	}
	f(`{"token":"app_a7_x"}`, "app_a7_x", "no error")
	f(`{"token":" é\u0000"}`, " é\x00", "no error") // looked up as it is
	f(`{}`, "", "400 Missing required field: token")
	f(`{"token":""}`, "", "400 Missing required field: token")
	f(`{"token":null}`, "", "400 Missing required field: token")
	f(`{"token":7}`, "", "400 Validation failed; token must be a string")
	f(`{"token":"a","token":"b"}`, "", "400 Validation failed; token must be given once")
	f(`x`, "", "400 Request body must be a JSON object")
}

func TestDecodeRange(t *testing.T) {
	now := time.Date(2026, 11, 22, 7, 8, 9, 123456000, time.UTC)
	f := func(start, end, wantFrom, wantTo string) {
		t.Helper()
		from, to, err := decodeRange(start, end, now)
		got := from.Format(time.RFC3339Nano) + " " + to.Format(time.RFC3339Nano)
		if err != nil || got != wantFrom+" "+wantTo {
			t.Errorf("%q %q: %s, %s, want %s %s", start, end, got, told(err), wantFrom, wantTo)
		}
	}
	const thisMonth, thisMoment = "2026-11-01T00:00:00Z", "2026-11-22T07:08:09.123456Z"
	f("", "", thisMonth, thisMoment)
	f("2026-10-05", "", "2026-10-05T00:00:00Z", thisMoment)
	f("", "2026-10-31", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")
	f("", "2026-11-01T00:00:00Z", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")
	f("2026-02-28", "2026-02-28", "2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z")
	f("2026-02-28T23:59:59Z", "2026-02-28", "2026-02-28T23:59:59Z", "2026-03-01T00:00:00Z")
	f("2024-02-29", "2024-12-31", "2024-02-29T00:00:00Z", "2025-01-01T00:00:00Z")
	f("2026-01-01T00:00:00+01:00", "2026-01-02T00:00:00.5Z",
		"2025-12-31T23:00:00Z", "2026-01-02T00:00:00.5Z")
	f("2026-01-01T00:00:00 01:00", "2026-01-02", "2025-12-31T23:00:00Z", "2026-01-03T00:00:00Z")
	f("2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z")
	f("0001-01-01", "9999-12-31", "0001-01-01T00:00:00Z", "10000-01-01T00:00:00Z")

	g := func(start, end string, want ...string) {
		t.Helper()
		_, _, err := decodeRange(start, end, now)
		if told(err) != "400 Validation failed; "+strings.Join(want, "; ") {
			t.Errorf("%q %q: %s, want %s", start, end, told(err), want)
		}
	}
	g("yesterday", "", "start_date"+badInstant)
	g("2026-02-30", "2026-13-01", "start_date"+badInstant, "end_date"+badInstant)
	g("20260101", "2026-01-01 00:00:00", "start_date"+badInstant, "end_date"+badInstant)
	g("2026-01-02", "2026-01-01T23:59:59Z", "start_date must not be after end_date")
	g("2026-01-02", "2026-01-01", "start_date must not be after end_date")
	g("2026-12-01", "", "start_date must not be after end_date")
	g("99999-01-01T00:00:00Z", "", "start_date"+badInstant)
}

// FuzzDecode holds what decode promises: any bytes give a usage that can be recorded, or an error
// that can be told, and never both.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(valid))
	f.Add([]byte(strings.NewReplacer("1200", "10.0", "350", "1e400").Replace(valid)))
	f.Add([]byte(`{"token":"\ud800","channel":"\ufffd","channel":null}`))
	for i := 0; i < len(valid); i += 7 {
		f.Add([]byte(valid[:i]))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		u, err := decode(body)
		if err == nil {
			for _, text := range []string{u.model, u.service, u.channel} {
				if text == "" || schema.CheckText("", text) != nil {
					t.Errorf("%q: text %q", body, text)
				}
			}
			if u.input < 0 || u.output < 0 || u.input > tokensMax || u.output > tokensMax {
				t.Errorf("%q: %d %d", body, u.input, u.output)
			}
			return
		}
		if status, told := encodeError(err); u != (usage{}) || status != 400 || told.Error == "" {
			t.Errorf("%q: %+v, %d %+v", body, u, status, told)
		}
		if kind := schema.KindOf(err); kind != schema.Invalid && kind != schema.Unreadable {
			t.Errorf("%q: kind %d", body, kind)
		}
		if _, err := decodeLogin(body); err != nil && schema.KindOf(err) == schema.Internal {
			t.Errorf("%q: login: %v", body, err)
		}
	})
}

func TestInvalidIsAnError(t *testing.T) {
	var known *schema.Error
	err := fmt.Errorf("x: %w", &invalid{text: "a", details: []string{"b", "c"}})
	if err.Error() != "x: a: b, c" || !errors.As(err, &known) || known.Kind != schema.Invalid {
		t.Errorf("%v, %+v", err, known)
	}
}
