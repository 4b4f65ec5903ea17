package engine

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// responseHold is how much of an answer is kept back before its status is sent: a query that
// fails within it fails with a status of its own, as on the server.
const responseHold = 128 << 10

// response writes one answer: held back at first, then streamed. It goes through the inner block
// compression, then the HTTP encoding, then the buffer.
type response struct {
	w      http.ResponseWriter
	hold   int // bytes kept back; everything, if negative
	buffer bytes.Buffer
	sent   bool
	out    io.Writer
	coder  io.WriteCloser // the HTTP encoding, if any
	blocks bool
	tag    string // announces the exception that may end a stream
	gone   error  // why nothing more can be written
}

// newResponse sets the headers that every answer has.
func newResponse(w http.ResponseWriter, req *request, db *DB) (*response, error) {
	out := &response{w: w, hold: responseHold, tag: randomLetters(16)}
	if req.wait {
		out.hold = -1
	}
	header := w.Header()
	header.Set("X-ClickHouse-Server-Display-Name", displayName)
	header.Set("X-ClickHouse-Timezone", db.timezone)
	header.Set("X-ClickHouse-Query-Id", req.queryID)
	header.Set("X-ClickHouse-Exception-Tag", out.tag)
	out.out = (*held)(out)
	if req.encoding != "" {
		coder, err := newEncoder(req.encoding, out.out)
		if err != nil {
			return nil, err
		}
		out.coder, out.out = coder, coder
	}
	if req.blocks != "" {
		blocks, err := newBlockWriter(req.blocks, out.out)
		if err != nil {
			return nil, err
		}
		out.blocks, out.out = true, blocks
	}
	return out, nil
}

// format announces the format of what will be written.
func (out *response) format(name, encoding string) {
	header := out.w.Header()
	header.Set("X-ClickHouse-Format", name)
	header.Set("Content-Type", contentType(name))
	if encoding != "" {
		header.Set("Content-Encoding", encoding)
	}
}

// Write implements io.Writer for the answer before compression.
func (out *response) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return out.out.Write(p)
}

// held is the bottom of a response: the buffer, and the connection behind it.
type held response

// Write implements io.Writer.
func (h *held) Write(p []byte) (int, error) {
	if h.gone != nil {
		return 0, h.gone
	}
	if !h.sent {
		if h.hold < 0 || h.buffer.Len()+len(p) <= h.hold {
			return h.buffer.Write(p)
		}
		h.sent = true
		if h.buffer.Len() > 0 {
			_, h.gone = h.w.Write(h.buffer.Bytes())
			h.buffer = bytes.Buffer{}
		}
		if h.gone != nil {
			return 0, h.gone
		}
	}
	n, err := h.w.Write(p)
	h.gone = err
	return n, err
}

// finish completes a good answer.
func (out *response) finish() {
	if out.coder != nil && (out.sent || out.buffer.Len() > 0) {
		out.gone = errors.Join(out.gone, out.coder.Close())
	}
	if out.sent || out.gone != nil {
		return
	}
	if out.buffer.Len() == 0 {
		out.w.Header().Del("Content-Encoding")
	}
	out.w.Header().Set("Content-Length", strconv.Itoa(out.buffer.Len()))
	_, _ = out.w.Write(out.buffer.Bytes())
}

// fail ends the answer with an error: by its status if nothing was sent yet, else by the marker
// that clients look for, and by breaking the connection so that nobody takes the answer for
// complete. It does not return in the latter case.
func (out *response) fail(err error) {
	e := asException(err)
	if !out.sent {
		writeException(out.w, e)
		return
	}
	if out.gone == nil {
		text := strings.TrimRight(e.Error(), "\n")
		marker := fmt.Sprintf("\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n",
			out.tag, text, len(text)+1, out.tag)
		// Through the HTTP encoding, which clients undo first, but around the blocks: there
		// the marker is found by being no block.
		if out.coder != nil {
			_, _ = out.coder.Write([]byte(marker))
			_ = out.coder.Close()
		} else {
			_, _ = (*held)(out).Write([]byte(marker))
		}
		_ = http.NewResponseController(out.w).Flush()
	}
	panic(http.ErrAbortHandler)
}

// writeException answers with an error and nothing else.
func writeException(w http.ResponseWriter, e *Exception) {
	writeStatus(w, e.status(), e)
}

// writeStatus is writeException with a status of the caller's.
func writeStatus(w http.ResponseWriter, status int, e *Exception) {
	header := w.Header()
	header.Del("Content-Encoding")
	header.Set("Content-Type", "text/plain; charset=UTF-8")
	header.Set("X-ClickHouse-Exception-Code", strconv.Itoa(e.Code))
	text := e.Error() + "\n"
	header.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// asException gives every error a code.
func asException(err error) *Exception {
	if e, ok := errors.AsType[*Exception](err); ok {
		return e
	}
	return &Exception{Code: codeUnknownException, Message: oneLine(err.Error())}
}

// contentType is what the server calls a format.
func contentType(format string) string {
	switch {
	case strings.HasPrefix(format, "JSON") && !strings.Contains(format, "EachRow"):
		return "application/json; charset=UTF-8"
	case strings.HasPrefix(format, "JSON"), format == "NDJSON":
		return "application/x-ndjson; charset=UTF-8"
	case strings.HasPrefix(format, "CSV"):
		return "text/csv; charset=UTF-8; header=present"
	case strings.HasPrefix(format, "TabSeparated"), strings.HasPrefix(format, "TSV"):
		return "text/tab-separated-values; charset=UTF-8"
	case format == "Native", format == "Parquet", strings.HasPrefix(format, "Arrow"),
		strings.HasPrefix(format, "RowBinary"), format == "ORC", format == "Avro":
		return "application/octet-stream"
	}
	return "text/plain; charset=UTF-8"
}

// randomLetters returns n random lower-case letters.
func randomLetters(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	for i := range b {
		b[i] = 'a' + b[i]%26
	}
	return string(b)
}

// randomHex returns n random bytes in hex.
func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
