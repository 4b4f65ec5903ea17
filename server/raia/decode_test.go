package raia

import (
	"errors"
	"strings"
	"testing"

	"github.com/meterhouse/meterhouse/schema"
)

const valid = `{"type":"OPENAI_TOKENS","amount":4567}`

func TestDecodeAcceptsUsage(t *testing.T) {
	f := func(body, wantType, wantQuantity string) {
		t.Helper()
		u, err := decode([]byte(body))
		if err != nil {
			t.Errorf("decode(%q): %v", body, err)
			return
		}
		if u.usageType != wantType || u.quantity.String() != wantQuantity {
			t.Errorf("decode(%q) = %s %s, want %s %s",
				body, u.usageType, u.quantity, wantType, wantQuantity)
		}
	}
	f(valid, "OPENAI_TOKENS", "4567")
	f(`{"type":"VAPI_SECONDS","amount":12}`, "VAPI_SECONDS", "12")
	f(`{"amount":12,"type":"VAPI_SECONDS"}`, "VAPI_SECONDS", "12")
	f(" {\n\t\"type\" : \"VAPI_SECONDS\" ,\r\n \"amount\" : 0.5 } \n", "VAPI_SECONDS", "0.5")
	f(`{"type":"VAPI_SECONDS","amount":0}`, "VAPI_SECONDS", "0")
	f(`{"type":"VAPI_SECONDS","amount":-0}`, "VAPI_SECONDS", "0")
	f(`{"type":"VAPI_SECONDS","amount":-0.0e9}`, "VAPI_SECONDS", "0")
	f(`{"type":"VAPI_SECONDS","amount":0.000001}`, "VAPI_SECONDS", "0.000001")
	f(`{"type":"VAPI_SECONDS","amount":1.5000000000}`, "VAPI_SECONDS", "1.5")
	f(`{"type":"VAPI_SECONDS","amount":1e3}`, "VAPI_SECONDS", "1000")
	f(`{"type":"VAPI_SECONDS","amount":12.5E-1}`, "VAPI_SECONDS", "1.25")
	f(`{"type":"OPENAI_TOKENS","amount":9007199254740993}`, "OPENAI_TOKENS", "9007199254740993")
	f(`{"type":"OPENAI_TOKENS","amount":9223372036854775807}`, "OPENAI_TOKENS",
		"9223372036854775807")
	f(`{"type":"OPENAI_TOKENS","amount":1,"model":{"a":[null,"ü"]}}`, "OPENAI_TOKENS", "1")
	f(`{"type":"nonsense","type":"OPENAI_TOKENS","amount":"x","amount":2}`, "OPENAI_TOKENS", "2")
	f(`{"\u0074ype":"OPENAI\u005fTOKENS","amount":3}`, "OPENAI_TOKENS", "3")
	f("\xef\xbb\xbf"+valid, "OPENAI_TOKENS", "4567")
	f(`{"a":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+`,`+valid[1:],
		"OPENAI_TOKENS", "4567")
}

func TestDecodeNamesEveryFault(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		_, err := decode([]byte(body))
		var fields []string
		for _, d := range appendDetails(nil, err) {
			fields = append(fields, d.Field+" "+d.Message)
		}
		if got := strings.Join(fields, "; "); got != want {
			t.Errorf("decode(%.80q): %q, want %q", body, got, want)
		}
	}
	const (
		badBody   = "body must be one JSON object"
		badUTF8   = "body must be valid UTF-8"
		badType   = "type must be OPENAI_TOKENS or VAPI_SECONDS"
		noNumber  = "amount must be a number"
		negative  = "amount must not be negative"
		precision = "amount must have at most 6 decimals"
		outside   = "amount is out of range"
	)
	amount := func(literal, want string) {
		t.Helper()
		f(`{"type":"OPENAI_TOKENS","amount":`+literal+`}`, want)
	}
	f(``, badBody)
	f(` `, badBody)
	f(`null`, badBody)
	f(`[]`, badBody)
	f(`"x"`, badBody)
	f(`7`, badBody)
	f(valid+`x`, badBody)
	f(valid+valid, badBody)
	f(`{"type":"OPENAI_TOKENS" "amount":1}`, badBody)
	f(`{'type':'OPENAI_TOKENS','amount':1}`, badBody)
	f(strings.Repeat("[", 100_000), badBody)
	f(strings.Repeat(`{"a":`, 20_000)+`1`+strings.Repeat(`}`, 20_000), badBody)
	f("\xff\xfe{\x00}\x00", badUTF8)
	f(`{"type":"OPENAI_TOKENS","amount":1,"x":"`+"\xff"+`"}`, badUTF8)
	f(`{}`, "type is required; amount is required")
	f(`{"Type":"OPENAI_TOKENS","AMOUNT":1}`, "type is required; amount is required")
	f(`{"type":null,"amount":null}`, "type must be a string; "+noNumber)
	f(`{"type":7,"amount":"4567"}`, "type must be a string; "+noNumber)
	f(`{"type":"openai_tokens","amount":-1}`, badType+"; "+negative)
	f(`{"type":"OTHER","amount":1e400}`, badType+"; "+outside)
	f(`{"type":"","amount":1}`, badType)
	f(`{"type":"OPENAI_TOKENS\u0000","amount":1}`, badType)
	f(`{"type":"`+strings.Repeat("A", 1<<20)+`","amount":1}`, badType)
	f(`{"type":["OPENAI_TOKENS"],"amount":1}`, "type must be a string")
	amount(`true`, noNumber)
	amount(`[1]`, noNumber)
	amount(`{}`, noNumber)
	amount(`"4567"`, noNumber)
	amount(`-1`, negative)
	amount(`-0.000001`, negative)
	amount(`0.0000001`, precision)
	amount(`1.2345678`, precision)
	amount(`1e-400`, precision)
	amount(`1e400`, outside)
	amount(`1e99999999999999999999`, outside)
	amount(`12345678901234567890`, outside)
	amount(strings.Repeat("9", 1<<20), outside)
	amount(`NaN`, badBody)
	amount(`Infinity`, badBody)
	amount(`-Infinity`, badBody)
	amount(`0x10`, badBody)
	amount(`01`, badBody)
	amount(`1.`, badBody)
	amount(`.5`, badBody)
	amount(`+1`, badBody)
	amount(`1_000`, badBody)
	amount(``, badBody)
}

func TestDecodeRefusesEveryTruncation(t *testing.T) {
	for i := range len(valid) {
		if u, err := decode([]byte(valid[:i])); err == nil {
			t.Errorf("decode(%q) = %+v, want an error", valid[:i], u)
		}
	}
}

func TestScanFlatTakesWhatClientsSend(t *testing.T) {
	if _, _, ok := scanFlat([]byte(valid)); !ok {
		t.Error("the documented example does not take the fast path")
	}
}

func FuzzDecode(f *testing.F) {
	for i := range len(valid) + 1 {
		f.Add([]byte(valid[:i]))
	}
	for _, body := range []string{
		`{"amount":1.5,"type":"VAPI_SECONDS"}`, `{"type":"OPENAI_TOKENS","amount":1e400}`,
		`{"type":"OPENAI_TOKENS","amount":NaN}`, `{"type":"OPENAI_TOKENS","amount":-0}`,
		`{"type":"OPENAI_TOKENS","amount":12345678901234567890}`, "\xef\xbb\xbf{}",
		`{"type":"\ud800","amount":01}`, `{"type":"A","type":"B"}`, `[[[[`, "\xff",
		`{"type":"OPENAI_TOKENS","amount":0.}`, `{"type":"OPENAI_TOKENS","amount":00.5}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		u, err := decode(body)
		if err != nil {
			if u != (usage{}) {
				t.Fatalf("both a value and an error: %+v, %v", u, err)
			}
			var e *schema.Error
			if !errors.As(err, &e) || e.Kind == schema.Internal {
				t.Fatalf("not the client's error: %v", err)
			}
		} else if u.quantity.Sign() < 0 || u.usageType == "" {
			t.Fatalf("accepted %+v", u)
		}
		// The fast path may take nothing that the general parser reads otherwise.
		slow, slowErr := decodeAny(body)
		if (err == nil) != (slowErr == nil) || u != slow {
			t.Fatalf("fast %+v %v, slow %+v %v", u, err, slow, slowErr)
		}
		if err != nil && err.Error() != slowErr.Error() {
			t.Fatalf("fast %v, slow %v", err, slowErr)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	body := []byte(valid)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeGeneral(b *testing.B) {
	body := []byte(`{"type":"OPENAI_TOKENS","amount":4567,"note":"x"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode(body); err != nil {
			b.Fatal(err)
		}
	}
}
