package schema

import "strings"

// sqlToken is a word, a number, a quoted text or a sign of a statement, with the white space before
// it. Comments are white space.
type sqlToken struct{ space, text string }

// tokenize cuts a statement where ClickHouse would. What is not closed ends with the statement:
// whoever runs it is told.
func tokenize(statement string) []sqlToken {
	var tokens []sqlToken
	space := ""
	for rest := statement; rest != ""; {
		n, kind := tokenLength(rest)
		text := rest[:n]
		rest = rest[n:]
		switch kind {
		case tokenSpace:
			space += text
		case tokenComment:
		default:
			tokens = append(tokens, sqlToken{space, text})
			space = ""
		}
	}
	return tokens
}

type tokenKind int

const (
	tokenText tokenKind = iota
	tokenSpace
	tokenComment
)

// tokenLength returns how long the first token of a text is that is not empty.
func tokenLength(s string) (int, tokenKind) {
	until := func(end string) int {
		if i := strings.Index(s[2:], end); i >= 0 {
			return i + 2 + len(end)
		}
		return len(s)
	}
	switch {
	case strings.HasPrefix(s, "--"):
		if i := strings.IndexByte(s, '\n'); i >= 0 {
			return i, tokenComment
		}
		return len(s), tokenComment
	case strings.HasPrefix(s, "/*"):
		return until("*/"), tokenComment
	case strings.ContainsRune("'\"`", rune(s[0])):
		return quotedLength(s), tokenText
	case isSpace(s[0]):
		return run(s, isSpace), tokenSpace
	case isWord(s[0]):
		return run(s, isWord), tokenText
	}
	return 1, tokenText
}

// quotedLength returns how long the quoted text is that s begins with. A backslash and a doubled
// quote escape.
func quotedLength(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == s[0] && i+1 < len(s) && s[i+1] == s[0]:
			i++
		case s[i] == s[0]:
			return i + 1
		}
	}
	return len(s)
}

func run(s string, of func(byte) bool) int {
	n := 0
	for n < len(s) && of(s[n]) {
		n++
	}
	return n
}

func isSpace(c byte) bool { return strings.IndexByte(" \t\r\n", c) >= 0 }

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' ||
		c >= 0x80
}
