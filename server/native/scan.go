package native

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// depthMax bounds how deep a value that nobody reads may nest: skip recurses.
const depthMax = 100

// scanner walks a JSON text (RFC 8259) from left to right. It is strict and total: any text is
// either walked to its end or stops with a fault, and it never reads past text. It does not check
// UTF-8: the caller does once for a whole body, which is much faster than string by string.
// What it returns are substrings of text; only a string with escapes is ever copied.
type scanner struct {
	text  string
	pos   int    // of the next byte to look at; at a fault, of the byte at fault
	fault string // what is wrong at pos; empty: nothing so far
}

// fail notes the first fault. It returns false, so that a caller can return it.
func (s *scanner) fail(pos int, fault string) bool {
	if s.fault == "" {
		s.pos, s.fault = pos, fault
	}
	return false
}

// peek skips white space and returns the byte behind it without taking it; 0, which no JSON token
// starts with, at the end of the text.
func (s *scanner) peek() byte {
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		if c > ' ' || c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return c
		}
		s.pos++
	}
	return 0
}

// end reports whether nothing but white space is left, and otherwise notes a fault.
func (s *scanner) end() bool {
	if s.peek(); s.pos == len(s.text) {
		return true
	}
	return s.fail(s.pos, "nothing may follow the JSON value")
}

// text is a scanned string: what stands between its quotes.
type text struct {
	raw     string
	escaped bool
}

// plain are the bytes that stand for themselves in a string.
var plain = func() (t [256]bool) {
	for c := ' '; c < 256; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// str takes the string that starts at pos, which must be at its opening quote.
func (s *scanner) str() (text, bool) {
	start, escaped := s.pos+1, false
	for i := start; i < len(s.text); {
		switch c := s.text[i]; {
		case plain[c]:
			i++
		case c == '"':
			s.pos = i + 1
			return text{s.text[start:i], escaped}, true
		case c == '\\':
			n := escapeLen(s.text[i:])
			if n == 0 {
				return text{}, s.fail(i, "an escape that JSON does not have")
			}
			i, escaped = i+n, true
		default:
			return text{}, s.fail(i, "a control character in a string")
		}
	}
	return text{}, s.fail(len(s.text), "a string without its end")
}

// escapeLen returns the length of the escape at the start of s; 0 when it is none.
func escapeLen(s string) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(s[2:]); ok {
			return 6
		}
	}
	return 0
}

// hex4 reads the four hexadecimal digits of a \u escape.
func hex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	var r rune
	for i := range 4 {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// value returns what the string means. False when a \u escape is half of a surrogate pair: such
// a string is no text, and U+FFFD, which stands for that half, would make different ids equal.
func (t text) value() (string, bool) {
	if !t.escaped {
		return t.raw, true
	}
	out, whole := make([]byte, 0, len(t.raw)), true
	for s := t.raw; s != ""; {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			out = append(out, s...)
			break
		}
		out = append(out, s[:i]...)
		s = s[i:]
		if s[1] != 'u' {
			out = append(out, unescape(s[1]))
			s = s[2:]
			continue
		}
		r, _ := hex4(s[2:])
		s = s[6:]
		if utf16.IsSurrogate(r) {
			var low rune
			if strings.HasPrefix(s, `\u`) {
				low, _ = hex4(s[2:])
			}
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				whole = false
			} else {
				s = s[6:]
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out), whole
}

func unescape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// number takes the number that starts at pos, and returns its literal.
func (s *scanner) number() (string, bool) {
	i := s.pos
	if i < len(s.text) && s.text[i] == '-' {
		i++
	}
	whole := s.digits(i)
	if whole == i {
		return "", s.fail(i, "a value is expected")
	}
	if s.text[i] == '0' && whole > i+1 {
		return "", s.fail(i+1, "a number must not start with 0")
	}
	i = whole
	if i < len(s.text) && s.text[i] == '.' {
		n := s.digits(i + 1)
		if n == i+1 {
			return "", s.fail(n, "a digit is expected")
		}
		i = n
	}
	if i < len(s.text) && (s.text[i] == 'e' || s.text[i] == 'E') {
		i++
		if i < len(s.text) && (s.text[i] == '+' || s.text[i] == '-') {
			i++
		}
		n := s.digits(i)
		if n == i {
			return "", s.fail(n, "a digit is expected")
		}
		i = n
	}
	literal := s.text[s.pos:i]
	s.pos = i
	return literal, true
}

// digits returns the position behind the digits that start at i.
func (s *scanner) digits(i int) int {
	for i < len(s.text) && s.text[i] >= '0' && s.text[i] <= '9' {
		i++
	}
	return i
}

// word takes true, false or null.
func (s *scanner) word(w string) bool {
	if !strings.HasPrefix(s.text[s.pos:], w) {
		return s.fail(s.pos, "a value is expected")
	}
	s.pos += len(w)
	return true
}

// member takes the next member's name and colon of an object; first says that pos is at the
// object's brace. False at the closing brace, which it takes, and at a fault.
func (s *scanner) member(first bool) (text, bool) {
	if first {
		s.pos++
	}
	switch c := s.peek(); {
	case c == '}':
		s.pos++
		return text{}, false
	case first:
	case c == ',':
		s.pos++
	default:
		return text{}, s.fail(s.pos, "a comma or a closing brace is expected")
	}
	if s.peek() != '"' {
		return text{}, s.fail(s.pos, "a member name is expected")
	}
	name, ok := s.str()
	if !ok {
		return text{}, false
	}
	if s.peek() != ':' {
		return text{}, s.fail(s.pos, "a colon is expected")
	}
	s.pos++
	return name, true
}

// element moves to the next element of an array; first says that pos is at the array's bracket.
// False at the closing bracket, which it takes, and at a fault.
func (s *scanner) element(first bool) bool {
	if first {
		s.pos++
	}
	switch c := s.peek(); {
	case c == ']':
		s.pos++
		return false
	case first:
		return true
	case c == ',':
		s.pos++
		return true
	}
	return s.fail(s.pos, "a comma or a closing bracket is expected")
}

// skip takes a value of any kind without looking at what it means. It may nest depth levels.
func (s *scanner) skip(depth int) bool {
	switch s.peek() {
	case '"':
		_, ok := s.str()
		return ok
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	case '{', '[':
		if depth == 0 {
			return s.fail(s.pos, "values nest too deep")
		}
		if s.text[s.pos] == '[' {
			return s.skipArray(depth - 1)
		}
		return s.skipObject(depth - 1)
	}
	_, ok := s.number()
	return ok
}

func (s *scanner) skipObject(depth int) bool {
	for first := true; ; first = false {
		if _, more := s.member(first); !more {
			return s.fault == ""
		}
		if !s.skip(depth) {
			return false
		}
	}
}

func (s *scanner) skipArray(depth int) bool {
	for first := true; ; first = false {
		if !s.element(first) {
			return s.fault == ""
		}
		if !s.skip(depth) {
			return false
		}
	}
}
