package engine

import "strings"

// tokenKind tells the few kinds of token apart that decide where a statement's parts begin.
type tokenKind byte

const (
	tokenEnd    tokenKind = iota
	tokenWord             // a bare identifier, keyword or number
	tokenQuoted           // a string, a quoted identifier or a heredoc
	tokenMark             // any other single byte
)

// token is a piece of SQL, with its place and the depth of brackets it stands in.
type token struct {
	kind       tokenKind
	text       string
	start, end int
	depth      int
}

// is tells whether the token is a keyword, in any case.
func (t token) is(keyword string) bool {
	return t.kind == tokenWord && strings.EqualFold(t.text, keyword)
}

// lexer splits SQL into tokens. It knows ClickHouse's comments, quotes and heredocs and nothing
// of its grammar, so it never refuses a text: what is wrong with it is the engine's to say.
type lexer struct {
	sql   string
	at    int
	depth int
}

// next returns the next token; at the end of the text a tokenEnd that stands there.
func (l *lexer) next() token {
	l.skipBlank()
	start := l.at
	if start >= len(l.sql) {
		return token{kind: tokenEnd, start: start, end: start, depth: l.depth}
	}
	kind, depth := tokenMark, l.depth
	switch c := l.sql[start]; {
	case c == '\'' || c == '"' || c == '`':
		kind = tokenQuoted
		l.skipQuoted(c)
	case c == '$' && l.skipHeredoc():
		kind = tokenQuoted
	case isWordByte(c):
		kind = tokenWord
		for l.at < len(l.sql) && isWordByte(l.sql[l.at]) {
			l.at++
		}
	case c == '(' || c == '[' || c == '{':
		l.depth++
		l.at++
	case c == ')' || c == ']' || c == '}':
		l.depth--
		depth = l.depth
		l.at++
	default:
		l.at++
	}
	return token{kind: kind, text: l.sql[start:l.at], start: start, end: l.at, depth: depth}
}

// skipBlank moves over white space and comments.
func (l *lexer) skipBlank() {
	for l.at < len(l.sql) {
		rest := l.sql[l.at:]
		switch {
		case isSpace(rest[0]):
			l.at++
		case strings.HasPrefix(rest, "--"),
			strings.HasPrefix(rest, "#!"),
			strings.HasPrefix(rest, "# "):
			l.skipPast(rest, "\n")
		case strings.HasPrefix(rest, "/*"):
			l.at += 2
			l.skipPast(rest[2:], "*/")
		default:
			return
		}
	}
}

// skipPast moves behind the next mark, or to the end.
func (l *lexer) skipPast(rest, mark string) {
	if i := strings.Index(rest, mark); i >= 0 {
		l.at += i + len(mark)
		return
	}
	l.at = len(l.sql)
}

// skipQuoted moves behind a quoted text. A doubled quote inside reads as two texts in a row,
// which ends in the same place.
func (l *lexer) skipQuoted(quote byte) {
	for l.at++; l.at < len(l.sql); l.at++ {
		switch l.sql[l.at] {
		case '\\':
			l.at++
		case quote:
			l.at++
			return
		}
	}
	l.at = len(l.sql)
}

// skipHeredoc moves behind $tag$…$tag$, or reports that there is none here.
func (l *lexer) skipHeredoc() bool {
	rest := l.sql[l.at:]
	end := 1
	for end < len(rest) && rest[end] != '$' && isWordByte(rest[end]) {
		end++
	}
	if end >= len(rest) || rest[end] != '$' {
		return false
	}
	tag := rest[:end+1]
	i := strings.Index(rest[len(tag):], tag)
	if i < 0 {
		return false
	}
	l.at += 2*len(tag) + i
	return true
}

func isSpace(c byte) bool {
	return strings.IndexByte(" \t\n\v\f\r", c) >= 0
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '_' || c == '$' || c >= 0x80
}
