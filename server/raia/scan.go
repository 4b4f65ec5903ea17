package raia

// scanFlat takes apart a body of the shape every client sends: an object of exactly the members
// "type", a string of capitals and underscores, and "amount", a number, in either order. It
// returns parts of body. False means only that the body is of another shape: it may be right.
func scanFlat(body []byte) (typeName, amount []byte, ok bool) {
	s := scanner{rest: body}
	if !s.token('{') {
		return nil, nil, false
	}
	for member := range 2 {
		if member == 1 && !s.token(',') {
			return nil, nil, false
		}
		name, ok := s.word()
		if !ok || !s.token(':') {
			return nil, nil, false
		}
		switch {
		case string(name) == fieldType && typeName == nil:
			typeName, ok = s.word()
		case string(name) == fieldAmount && amount == nil:
			amount, ok = s.number()
		default:
			return nil, nil, false
		}
		if !ok {
			return nil, nil, false
		}
	}
	if !s.token('}') {
		return nil, nil, false
	}
	s.space()
	return typeName, amount, len(s.rest) == 0
}

// scanner reads the few tokens of scanFlat from the front of rest.
type scanner struct {
	rest []byte
}

func (s *scanner) space() {
	i := 0
	for i < len(s.rest) {
		if c := s.rest[i]; c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			break
		}
		i++
	}
	s.rest = s.rest[i:]
}

// token takes one punctuation character, with the space before it.
func (s *scanner) token(want byte) bool {
	s.space()
	if len(s.rest) == 0 || s.rest[0] != want {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// word takes a string of ASCII letters and underscores, not empty, with the space before it.
func (s *scanner) word() ([]byte, bool) {
	if !s.token('"') {
		return nil, false
	}
	i := 0
	for i < len(s.rest) {
		c := s.rest[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && c != '_' {
			break
		}
		i++
	}
	if i == 0 || i == len(s.rest) || s.rest[i] != '"' {
		return nil, false
	}
	word := s.rest[:i]
	s.rest = s.rest[i+1:]
	return word, true
}

// number takes digits with at most one point among them. Signs, exponents and a leading zero
// that JSON refuses are left to the general parser.
func (s *scanner) number() ([]byte, bool) {
	s.space()
	i, point := 0, -1
	for i < len(s.rest) {
		c := s.rest[i]
		if c == '.' && point < 0 {
			point = i
		} else if c < '0' || c > '9' {
			break
		}
		i++
	}
	integer := i
	if point >= 0 {
		integer = point
	}
	if integer == 0 || point == i-1 || integer > 1 && s.rest[0] == '0' {
		return nil, false
	}
	number := s.rest[:i]
	s.rest = s.rest[i:]
	return number, true
}
