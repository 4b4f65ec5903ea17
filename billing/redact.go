package billing

import (
	"regexp"
	"strings"
	"unicode"
)

// detailMax bounds a Detail in bytes.
const detailMax = 300

// secretLike finds what looks like a key of Stripe's, or the rest that Stripe leaves of one where
// it quotes it: sk_test_*****1234.
var secretLike = regexp.MustCompile(
	`(?i)(?:(?:sk|rk|pk|ek)_(?:live|test|org)_|whsec_|\b(?:sk|rk|pk|ek)_)[0-9a-z_*+/=.-]*`)

const redacted = "[redacted]"

// redactor takes secrets out of texts that came from elsewhere.
type redactor struct{ known *strings.Replacer }

// newRedactor knows these secrets, and what looks like one.
func newRedactor(secrets ...string) redactor {
	var pairs []string
	for _, s := range secrets {
		if s != "" {
			pairs = append(pairs, s, redacted)
		}
	}
	return redactor{strings.NewReplacer(pairs...)}
}

// line returns a text as one line of at most detailMax bytes, without secrets.
func (r redactor) line(text string) string {
	text = secretLike.ReplaceAllString(r.known.Replace(text), redacted)
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.IsSpace(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "?"))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= detailMax {
		return text
	}
	const dots = "…"
	return strings.ToValidUTF8(text[:detailMax-len(dots)], "") + dots
}
