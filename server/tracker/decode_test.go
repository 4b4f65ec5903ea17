package tracker

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/meterhouse/meterhouse/schema"
)

const (
	jsonType = "application/json"
	valid    = `{"api_name":"llm_query","endpoint":"/chat","units_used":346,` +
		`"cost_usd":0.0043,"api_key_used":"sk-live-abcdefgh"}`
)

// with returns the valid body with one member's value replaced by a literal.
func with(t *testing.T, name, literal string) string {
	t.Helper()
	for _, old := range []string{
		`"llm_query"`, `"/chat"`, `346`, `0.0043`, `"sk-live-abcdefgh"`,
	} {
		if member := `"` + name + `":`; strings.Contains(valid, member+old) {
			return strings.Replace(valid, member+old, member+literal, 1)
		}
	}
	t.Fatalf("no member %s", name)
	return ""
}

// told writes the problems of err one a line: type, place and input.
func told(err error) string {
	var problems invalid
	if !errors.As(err, &problems) {
		return fmt.Sprint(err)
	}
	var lines []string
	for _, p := range problems {
		lines = append(lines, fmt.Sprintf("%s %v %s", p.Type, p.Loc[1:], p.Input))
	}
	return strings.Join(lines, "\n")
}

func TestDecodeAcceptsUsage(t *testing.T) {
	f := func(body, wantUnits, wantCost string) {
		t.Helper()
		u, err := decode(jsonType, []byte(body))
		if err != nil {
			t.Errorf("decode(%.120q): %s", body, told(err))
			return
		}
		if got := fmt.Sprint(u.units); got != wantUnits || u.cost.String() != wantCost {
			t.Errorf("decode(%.120q): %s %s, want %s %s", body, got, u.cost, wantUnits, wantCost)
		}
	}
	units := func(literal, want string) { t.Helper(); f(with(t, fieldUnits, literal), want, "0.0043") }
	cost := func(literal, want string) { t.Helper(); f(with(t, fieldCost, literal), "346", want) }

	f(valid, "346", "0.0043")
	f("\xef\xbb\xbf \n"+valid+"\n", "346", "0.0043")
	f(strings.ReplaceAll(valid, `":`, "\" : \t"), "346", "0.0043")
	f(`{"units_used":"x","user_id":7,`+valid[1:], "346", "0.0043")
	units(`0`, "0")
	units(`-0`, "0")
	units(`346.0`, "346")
	units(`3.46e2`, "346")
	units(`"346"`, "346")
	units(`" +0346.00 "`, "346")
	units(`"\u0033"`, "3")
	units(`9007199254740993`, "9007199254740993")
	units(`9223372036854775807`, "9223372036854775807")
	units(`9223372036854775807.0`, "9223372036854775807")
	units(`"9223372036854775807"`, "9223372036854775807")
	cost(`0`, "0")
	cost(`-0.0`, "0")
	cost(`999999.9999`, "999999.9999")
	cost(`"999999.9999"`, "999999.9999")
	cost(`0.00430000000`, "0.0043")
	cost(`43e-4`, "0.0043")
	cost(`" +0043. "`, "43")
	cost(`".5"`, "0.5")
	cost(`"0.5E1"`, "5")
}

func TestDecodeNamesEveryFault(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		if _, err := decode(jsonType, []byte(body)); told(err) != want {
			t.Errorf("decode(%.120q):\n%s\nwant\n%s", body, told(err), want)
		}
	}
	bad := func(name, literal, kind string) {
		t.Helper()
		f(with(t, name, literal), fmt.Sprintf("%s [%s] %s", kind, name, literal))
	}
	f(``, "missing [] null")
	f(`null`, "missing [] null")
	f(`[]`, "model_attributes_type [] []")
	f(`"x"`, `model_attributes_type [] "x"`)
	f(`7`, "model_attributes_type [] 7")
	f("\xff{}", "body: must be valid UTF-8")
	f(`{"a":1}`, `missing [api_name] {"a":1}
missing [endpoint] {"a":1}
missing [units_used] {"a":1}
missing [cost_usd] {"a":1}
missing [api_key_used] {"a":1}`)
	f(`{"API_NAME":"a","endpoint":null,"units_used":1.5,"cost_usd":"free","api_key_used":1}`,
		`missing [api_name] {"API_NAME":"a","endpoint":null,"units_used":1.5,"cost_usd":"free",`+
			`"api_key_used":1}
string_type [endpoint] null
int_from_float [units_used] 1.5
decimal_parsing [cost_usd] "free"
string_type [api_key_used] 1`)

	bad(fieldAPIName, `["x"]`, "string_type")
	bad(fieldAPIName, `true`, "string_type")
	bad(fieldAPIName, `"\u0000"`, "string_pattern_mismatch")
	bad(fieldAPIName, `"a\nb"`, "string_pattern_mismatch")
	bad(fieldAPIName, `"\ud800"`, "string_unicode")
	bad(fieldAPIName, `"\ufffd\\ufffd\udc00"`, "string_unicode")
	bad(fieldEndpoint, `"`+strings.Repeat("x", 257)+`"`, "string_too_long")
	bad(fieldUnits, `null`, "int_type")
	bad(fieldUnits, `true`, "int_type")
	bad(fieldUnits, `[1]`, "int_type")
	bad(fieldUnits, `{}`, "int_type")
	bad(fieldUnits, `""`, "int_parsing")
	bad(fieldUnits, `"1e3"`, "int_parsing")
	bad(fieldUnits, `"1.5"`, "int_parsing")
	bad(fieldUnits, `"1."`, "int_parsing")
	bad(fieldUnits, `"1_000"`, "int_parsing")
	bad(fieldUnits, `"NaN"`, "int_parsing")
	bad(fieldUnits, `0.5`, "int_from_float")
	bad(fieldUnits, `-0.5`, "int_from_float")
	bad(fieldUnits, `1e-400`, "int_from_float")
	bad(fieldUnits, `-1`, "greater_than_equal")
	bad(fieldUnits, `"-1"`, "greater_than_equal")
	bad(fieldUnits, `-1e400`, "greater_than_equal")
	bad(fieldUnits, `-9999999999999999999`, "greater_than_equal")
	bad(fieldUnits, `"-99999999999999999999"`, "greater_than_equal")
	bad(fieldUnits, `9223372036854775808`, "less_than_equal")
	bad(fieldUnits, `12345678901234567890`, "less_than_equal")
	bad(fieldUnits, `"12345678901234567890"`, "less_than_equal")
	bad(fieldUnits, `1e400`, "less_than_equal")
	bad(fieldCost, `null`, "decimal_type")
	bad(fieldCost, `true`, "decimal_type")
	bad(fieldCost, `[]`, "decimal_type")
	bad(fieldCost, `""`, "decimal_parsing")
	bad(fieldCost, `"."`, "decimal_parsing")
	bad(fieldCost, `"-"`, "decimal_parsing")
	bad(fieldCost, `"$1"`, "decimal_parsing")
	bad(fieldCost, `"1,5"`, "decimal_parsing")
	bad(fieldCost, `"1 5"`, "decimal_parsing")
	bad(fieldCost, `"--1"`, "decimal_parsing")
	bad(fieldCost, `"NaN"`, "finite_number")
	bad(fieldCost, `"-Infinity"`, "finite_number")
	bad(fieldCost, `0.00431`, "decimal_max_places")
	bad(fieldCost, `1e-5`, "decimal_max_places")
	bad(fieldCost, `1e-11`, "decimal_max_digits")
	bad(fieldCost, `1e-400`, "decimal_max_digits")
	bad(fieldCost, `1e400`, "decimal_max_digits")
	bad(fieldCost, `12345678901`, "decimal_max_digits")
	bad(fieldCost, `999999.99999`, "decimal_max_digits")
	bad(fieldCost, `1000000`, "decimal_whole_digits")
	bad(fieldCost, `-0.0043`, "greater_than_equal")
	bad(fieldAPIKey, `null`, "string_type")
}

func TestBadJSONIsPointedAt(t *testing.T) {
	f := func(body string, position int, reason string) {
		t.Helper()
		_, err := decode(jsonType, []byte(body))
		var problems invalid
		if !errors.As(err, &problems) || problems[0].Type != "json_invalid" {
			t.Errorf("decode(%.60q): %v", body, err)
			return
		}
		if problems[0].Loc[1] != position || problems[0].Ctx["error"] != reason {
			t.Errorf("decode(%.60q): %v %v", body, problems[0].Loc, problems[0].Ctx)
		}
	}
	const value = "Expecting value"
	f(`{"a":x}`, 5, value)
	f(`{"ü":x}`, 5, value)
	f(`{"a":`, 5, value)
	f(` `, 1, value)
	f(`{a:1}`, 1, "Expecting property name enclosed in double quotes")
	f(`{"a" 1}`, 5, "Expecting ':' delimiter")
	f(`{"a":1 "b"}`, 7, "Expecting ',' delimiter")
	f(`[1 2]`, 3, "Expecting ',' delimiter")
	f(`{}{}`, 2, "Extra data")
	f("{\"a\":\"\n\"}", 6, "Invalid control character at")
	f(`{"a":"\x"}`, 7, `Invalid \escape`)
	f(`{"a":NaN}`, 5, value)
	f(`{"a":Infinity}`, 5, value)
	f(strings.Repeat("[", 20_000), 10_000, value)
}

func TestDecodeRefusesEveryTruncation(t *testing.T) {
	for i := range len(valid) {
		if u, err := decode(jsonType, []byte(valid[:i])); err == nil {
			t.Errorf("decode(%q) = %+v, want an error", valid[:i], u)
		}
	}
}

func TestOtherMediaTypesAreNoObject(t *testing.T) {
	f := func(contentType string, want bool) {
		t.Helper()
		_, err := decode(contentType, []byte(valid))
		if (err == nil) != want {
			t.Errorf("decode as %q: %v", contentType, err)
		}
	}
	f("", true)
	f("application/json", true)
	f("Application/JSON; charset=utf-8", true)
	f("application/vnd.api+json", true)
	f("application/x-www-form-urlencoded", false)
	f("text/plain;charset=UTF-8", false)
	f("text/json", false)
	f(";", false)
}

func TestLongInputIsNotRepeated(t *testing.T) {
	body := `{"x":"` + strings.Repeat("x", 1<<20) + `"}`
	_, err := decode(jsonType, []byte(body))
	status, detail := encodeError(err)
	answer, marshalErr := json.Marshal(detail)
	if status != 422 || marshalErr != nil || len(answer) > 1000 {
		t.Errorf("status %d, %d bytes, %v", status, len(answer), marshalErr)
	}
}

func TestErrorTextHoldsNoInput(t *testing.T) {
	_, err := decode(jsonType, []byte(`{"api_key_used":"sk-secret","units_used":"sk-secret"}`))
	var e *schema.Error
	if strings.Contains(err.Error(), "sk-secret") || !errors.As(err, &e) ||
		e.Kind != schema.Invalid || strings.Contains(e.Error(), "sk-secret") {
		t.Errorf("error %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for i := range len(valid) + 1 {
		f.Add([]byte(valid[:i]))
	}
	for _, body := range []string{
		`{"units_used":1e400}`, `{"units_used":"` + strings.Repeat("9", 30) + `"}`,
		`{"cost_usd":NaN}`, `{"cost_usd":" .5e-3 "}`, `{"cost_usd":-0}`, `{"api_name":"\ud800"}`,
		"\xef\xbb\xbf{}", "\xff", `[[[[`, `null`, `{"a":1}{"a":2}`,
		`{"api_name":"","endpoint":"","units_used":"1.0","cost_usd":"1.","api_key_used":""}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		u, err := decode(jsonType, body)
		if err == nil {
			if u.units < 0 || u.cost.Sign() < 0 {
				t.Fatalf("accepted %+v", u)
			}
			return
		}
		if u != (usage{}) {
			t.Fatalf("both a value and an error: %+v, %v", u, err)
		}
		if kind := schema.KindOf(err); kind != schema.Invalid && kind != schema.Unreadable {
			t.Fatalf("not the client's error: %v", err)
		}
		_, detail := encodeError(err)
		if _, err := marshal(detail); err != nil {
			t.Fatalf("cannot be told: %v", err)
		}
	})
}

func FuzzParseUUID(f *testing.F) {
	for _, s := range []string{
		"", "user", "7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11", "{}", "urn:uuid:", "{ü}", "----",
		"7b0e6c1e2f5c4a778b306f8f1d6f2d11", "{7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11}",
		"7b0e6c1e2-f5c-4a77-8b30-6f8f1d6f2d11", "\xff",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, reason := parseUUID(s); reason == "invalid format" {
			t.Fatalf("no reason for %q", s)
		}
	})
}

func TestParseUUID(t *testing.T) {
	const id = "7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11"
	f := func(s, wantReason string) {
		t.Helper()
		got, reason := parseUUID(s)
		if reason != wantReason || reason == "" && got.String() != id {
			t.Errorf("parseUUID(%q) = %s, %q", s, got, reason)
		}
	}
	f(id, "")
	f(strings.ToUpper(id), "")
	f(strings.ReplaceAll(id, "-", ""), "")
	f("{"+id+"}", "")
	f("urn:uuid:"+id, "")
	const character = "invalid character: expected an optional prefix of `urn:uuid:` " +
		"followed by [0-9a-fA-F-], found "
	f("uuid123", character+"`u` at 1")
	f("{"+id[:35]+"ü}", character+"`ü` at 37")
	f("", "invalid length: expected length 32 for simple format, found 0")
	f("abc", "invalid length: expected length 32 for simple format, found 3")
	f("{abc}", "invalid group count: expected 5, found 1")
	f("{"+strings.ReplaceAll(id, "-", "")+"}", "invalid group count: expected 5, found 1")
	f("a-b", "invalid group count: expected 5, found 2")
	f("7"+id, "invalid group length in group 0: expected 8, found 9")
	f(id+"7", "invalid group length in group 4: expected 12, found 13")
}
