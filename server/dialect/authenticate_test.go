package dialect

import (
	"strings"
	"testing"
)

func TestCheckKey(t *testing.T) {
	f := func(key string, want bool) {
		t.Helper()
		if message := CheckKey(key); (message == "") != want {
			t.Errorf("CheckKey(%.20q): %s", key, message)
		}
	}
	f("a", true)
	f(strings.Repeat("ü", 200), true)
	f("", false)
	f(strings.Repeat("ü", 201), false)
	f("a\tb", false)
	f("a\x7f", false)
	f("\xff", false)
}
