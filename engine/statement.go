package engine

import (
	"regexp"
	"strings"
)

// statementKind decides which of the library's calls runs a statement.
type statementKind byte

const (
	// statementOther runs to its end in one call: DDL, SHOW, INSERT … SELECT and the like.
	statementOther statementKind = iota
	// statementSelect has a result that is streamed.
	statementSelect
	// statementInsert is an INSERT whose rows follow the statement as data.
	statementInsert
)

// statement is what must be known of a text to run it. Everything else about it is left to the
// engine's own parser.
type statement struct {
	kind statementKind
	// sql is the statement without a closing semicolon; of an insert, all before FORMAT or VALUES.
	sql string
	// format is the name in a FORMAT clause; of an insert, also Values. Empty when there is none.
	format string
	// bare is how much of sql stands before its FORMAT clause (statementSelect).
	bare int
	// data is what followed an insert's FORMAT or VALUES in the same text.
	data string
	// pure statements leave nothing behind in the session they ran in.
	pure bool
	// repeatable statements do nothing but answer, so they can be asked twice.
	repeatable bool
}

// pureKeywords begin statements after which a connection may serve another request.
var pureKeywords = map[string]bool{
	"SELECT": true, "WITH": true, "FROM": true, "INSERT": true, "SHOW": true,
	"DESCRIBE": true, "DESC": true, "EXPLAIN": true, "EXISTS": true,
}

// repeatableKeywords begin statements that answer from the engine's own state.
var repeatableKeywords = map[string]bool{
	"SHOW": true, "DESCRIBE": true, "DESC": true, "EXISTS": true,
}

// parseStatement finds a statement's kind and parts. It fails only on what the HTTP interface
// itself refuses: more than one statement, and files of the server's.
func parseStatement(text string) (statement, error) {
	lex := &lexer{sql: text}
	first := lex.next()
	for first.kind == tokenMark && first.text == "(" {
		first = lex.next()
	}
	if first.kind == tokenEnd {
		return statement{}, syntaxError("Empty query")
	}
	keyword := strings.ToUpper(first.text)
	s := statement{pure: pureKeywords[keyword], repeatable: repeatableKeywords[keyword]}
	if first.is("INSERT") {
		if insert, ok := parseInsert(lex); ok {
			insert.pure = s.pure
			return insert, nil
		}
		lex = &lexer{sql: text}
		lex.next()
	}
	s.kind = kindOf(first, text)
	end, err := s.scan(lex)
	if err != nil {
		return statement{}, err
	}
	s.sql = text[:max(end, first.end)]
	if s.format == "" {
		s.bare = len(s.sql)
	}
	return s, nil
}

// kindOf tells a SELECT from other statements; WITH may begin either.
func kindOf(first token, text string) statementKind {
	switch {
	case first.is("SELECT"), first.is("FROM"):
		return statementSelect
	case first.is("WITH"):
		lex := &lexer{sql: text}
		for t := lex.next(); t.kind != tokenEnd; t = lex.next() {
			if t.depth != first.depth {
				continue
			}
			if t.is("INSERT") {
				return statementOther
			}
			if t.is("SELECT") || t.is("FROM") {
				return statementSelect
			}
		}
	}
	return statementOther
}

// scan reads the rest of a statement: its FORMAT clause, its end, and what must not be there.
func (s *statement) scan(lex *lexer) (end int, err error) {
	var before, last token
	for t := lex.next(); ; t = lex.next() {
		atEnd := t.kind == tokenEnd || t.kind == tokenMark && t.text == ";" && t.depth <= 0
		if before.is("FORMAT") && before.depth == 0 && last.kind == tokenWord &&
			(atEnd || t.is("SETTINGS")) {
			s.format, s.bare = last.text, before.start
		}
		if last.is("INTO") && t.is("OUTFILE") || last.is("FROM") && t.is("INFILE") {
			return 0, &Exception{
				Code:    codeUnknownTypeOfQuery,
				Message: "Files of the server's are not for queries. (UNKNOWN_TYPE_OF_QUERY)",
			}
		}
		if atEnd {
			// The end is the last token's: a comment behind it would swallow what is appended.
			return last.end, onlyBlank(lex)
		}
		before, last = last, t
	}
}

// onlyBlank refuses a second statement: the engine would run it.
func onlyBlank(lex *lexer) error {
	for t := lex.next(); t.kind != tokenEnd; t = lex.next() {
		if t.kind != tokenMark || t.text != ";" {
			return syntaxError("Syntax error (Multi-statements are not allowed)")
		}
	}
	return nil
}

func syntaxError(what string) error {
	return &Exception{Code: codeSyntaxError, Message: what + ". (SYNTAX_ERROR)"}
}

// parseInsert reads INSERT INTO [TABLE] name|FUNCTION f(…) [(columns)] [SETTINGS …] up to FORMAT
// or VALUES. It reports false for an insert whose rows come from a query.
func parseInsert(lex *lexer) (statement, bool) {
	t := lex.next()
	if t.is("INTO") {
		t = lex.next()
	}
	if t.is("TABLE") {
		t = lex.next()
	}
	if t.is("FUNCTION") {
		t = lex.next()
	}
	// The name may be spelled like a keyword, so it is taken for what stands in its place.
	previous := t
	for t = lex.next(); t.kind != tokenEnd; previous, t = t, lex.next() {
		named := previous.kind == tokenMark && previous.text == "."
		if t.depth != 0 || named {
			continue
		}
		switch {
		case t.is("VALUES"):
			return statement{
				kind:   statementInsert,
				sql:    lex.sql[:previous.end],
				format: "Values",
				data:   lex.sql[t.end:],
			}, true
		case t.is("FORMAT"):
			name := lex.next()
			if name.kind != tokenWord {
				return statement{}, false
			}
			return statement{
				kind:   statementInsert,
				sql:    lex.sql[:previous.end],
				format: name.text,
				data:   dataAfterFormat(lex.sql[name.end:]),
			}, true
		case t.is("SELECT"), t.is("WITH"), t.is("FROM"), t.is("WATCH"):
			return statement{}, false
		case t.kind == tokenMark && t.text == ";":
			return statement{}, false
		}
	}
	return statement{}, false
}

// dataAfterFormat drops the blanks and the one line break that end a FORMAT clause; what follows
// is data byte for byte.
func dataAfterFormat(rest string) string {
	rest = strings.TrimLeft(rest, " \t\f")
	rest = strings.TrimPrefix(rest, ";")
	rest = strings.TrimLeft(rest, " \t\f")
	rest = strings.TrimPrefix(rest, "\r")
	return strings.TrimPrefix(rest, "\n")
}

// checkValues refuses a second statement behind inline VALUES.
func checkValues(data string) error {
	lex := &lexer{sql: data}
	for t := lex.next(); t.kind != tokenEnd; t = lex.next() {
		if t.kind == tokenMark && t.text == ";" {
			return onlyBlank(lex)
		}
	}
	return nil
}

// killByID matches the one form of KILL QUERY that names a query by its id.
var killByID = regexp.MustCompile(
	`(?is)^\s*KILL\s+QUERY\s+WHERE\s+query_id\s*=\s*'([^'\\]*)'\s*(?:(?:A?SYNC|TEST)\s*)?$`)

// quote renders a string literal of ClickHouse's SQL, any bytes within.
func quote(s string) string {
	return "'" + literalEscaper.Replace(s) + "'"
}

var literalEscaper = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\x00", `\0`, "\n", `\n`)

// quoteName renders an identifier.
func quoteName(s string) string {
	return "`" + nameEscaper.Replace(s) + "`"
}

var nameEscaper = strings.NewReplacer(`\`, `\\`, "`", "\\`", "\x00", `\0`)
