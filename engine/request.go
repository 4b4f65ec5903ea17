package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// sqlBytesMax bounds the SQL of one request, inline VALUES included; more data than that is for
// the request's body.
const sqlBytesMax = 4 << 20

// request is what one HTTP request asks of the engine.
type request struct {
	session session
	params  []param
	// format is the default_format parameter; the statement's own FORMAT clause wins.
	format  string
	queryID string
	// revision is the client's protocol revision; 0 if it names none.
	revision string
	// wait holds the answer back until the query has ended (wait_end_of_query).
	wait bool
	// encoding is how the client wants its answer, and blocks the inner compression.
	encoding string
	blocks   string

	statement statement
	// body is what follows the statement: an insert's rows.
	body io.Reader
}

// notSettings are the URL parameters with a meaning of their own. Every other one is a setting.
var notSettings = map[string]bool{
	"query": true, "database": true, "default_format": true, "user": true, "password": true,
	"query_id": true, "quota_key": true, "role": true, "stacktrace": true, "compress": true,
	"decompress": true, "client_protocol_version": true, "wait_end_of_query": true,
	"buffer_size": true, "session_timeout": true, "session_check": true,
	"close_session": true,
	// Ours is the only place where these two would act, and it looks at them here.
	"enable_http_compression": true, "send_progress_in_http_headers": true,
}

// parseRequest reads a request up to where an insert's data begins.
func parseRequest(r *http.Request) (*request, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badArguments("the URL's parameters cannot be read")
	}
	if kind := r.Header.Get("Content-Type"); strings.HasPrefix(kind, "multipart/") {
		return nil, notImplemented("external tables (a multipart body)")
	}
	if query.Get("session_id") != "" {
		return nil, notImplemented("sessions over requests (session_id)")
	}
	req := &request{
		session:  session{database: query.Get("database"), settings: map[string]string{}},
		format:   query.Get("default_format"),
		queryID:  query.Get("query_id"),
		revision: query.Get("client_protocol_version"),
		wait:     enabled(query.Get("wait_end_of_query")),
	}
	if req.session.database == "" {
		req.session.database = r.Header.Get("X-ClickHouse-Database")
	}
	if req.format == "" {
		req.format = r.Header.Get("X-ClickHouse-Format")
	}
	if query.Get("enable_http_compression") != "0" {
		req.encoding = chooseEncoding(r.Header.Get("Accept-Encoding"))
	}
	for name, values := range query {
		if rest, ok := strings.CutPrefix(name, "param_"); ok {
			req.params = append(req.params, param{rest, values[0]})
		} else if !notSettings[name] {
			req.session.settings[name] = values[0]
		}
	}
	// As on the server, what is asked for by GET changes nothing.
	if _, set := req.session.settings["readonly"]; !set && r.Method != http.MethodPost {
		req.session.settings["readonly"] = "2"
	}
	if enabled(query.Get("compress")) {
		req.blocks = strings.ToUpper(req.session.settings["network_compression_method"])
		if req.blocks == "" {
			req.blocks = "LZ4"
		}
	}
	body, err := decodeBody(r, enabled(query.Get("decompress")))
	if err != nil {
		return nil, err
	}
	return req, req.readStatement(query.Get("query"), body)
}

// readStatement takes the statement from the query parameter, the body, or both in a row. Of the
// body it reads no more than it must: an insert's rows stay in it.
func (req *request) readStatement(text string, body io.Reader) (err error) {
	req.body = body
	if strings.TrimSpace(text) != "" {
		req.statement, err = parseStatement(text)
		if err != nil || req.statement.kind == statementInsert {
			return err
		}
		text += "\n"
	}
	head, err := io.ReadAll(io.LimitReader(body, sqlBytesMax-int64(len(text))))
	if err != nil {
		return bodyError(err)
	}
	if len(text)+len(head) >= sqlBytesMax {
		// An insert may go on for as long as it likes; its statement is at the beginning.
		s, err := parseStatement(text + string(head))
		if err != nil || s.kind != statementInsert {
			return &Exception{
				Code: codeQueryIsTooLarge,
				Message: fmt.Sprintf("Query is too large: the limit is %d bytes. "+
					"(QUERY_IS_TOO_LARGE)", sqlBytesMax),
			}
		}
		req.statement = s
		return nil
	}
	req.body = bytes.NewReader(nil)
	if len(head) == 0 && req.statement.sql != "" {
		return nil
	}
	req.statement, err = parseStatement(text + string(head))
	return err
}

// outputFormat is the format of the answer.
func (req *request) outputFormat() string {
	switch {
	case req.statement.format != "" && req.statement.kind != statementInsert:
		return req.statement.format
	case req.format != "":
		return req.format
	}
	return "TabSeparated"
}

func enabled(value string) bool { return value == "1" || strings.EqualFold(value, "true") }

func badArguments(what string) error {
	return &Exception{Code: codeBadArguments, Message: "Bad request: " + what + ". (BAD_ARGUMENTS)"}
}

func notImplemented(what string) error {
	return &Exception{
		Code:    codeNotImplemented,
		Message: "The embedded engine does not support " + what + ". (NOT_IMPLEMENTED)",
	}
}

// bodyError is what went wrong while reading a request's body: it was cut off, or its encoding
// is broken.
func bodyError(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return &Exception{
			Code:    codeCannotReadAllData,
			Message: "The request's body ends early. (CANNOT_READ_ALL_DATA)",
		}
	}
	return &Exception{
		Code:    codeCannotDecompress,
		Message: "The request's body cannot be read: " + oneLine(err.Error()) + ". (CANNOT_DECOMPRESS)",
	}
}
