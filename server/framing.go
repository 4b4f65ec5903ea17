package server

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"github.com/meterhouse/meterhouse/schema"
)

// knownMethods lets requests with a method that fiber has never heard of pass through the app like
// any other that no route has: fiber would answer them itself, in nobody's envelope, and leave
// their bodies on the connection to be read as the next request.
func knownMethods(methods []string, next fasthttp.RequestHandler) fasthttp.RequestHandler {
	known := make(map[string]bool, len(methods))
	for _, m := range methods {
		known[m] = true
	}
	return func(c *fasthttp.RequestCtx) {
		if !known[string(c.Method())] {
			c.Request.Header.SetMethod(fasthttp.MethodTrace) // no route has it
		}
		next(c)
	}
}

// checkFraming refuses a request whose body ends in one place for fasthttp and in another for a
// stricter or laxer proxy in front of it: what is between would be a request that nobody checked.
func checkFraming(rawHeaders []byte) error {
	lengths, encodings, chunked := 0, 0, false
	for len(rawHeaders) > 0 {
		var line []byte
		line, rawHeaders, _ = bytes.Cut(rawHeaders, []byte("\n"))
		// Only names of these lengths and first letters matter.
		switch {
		case len(line) > len(contentLength) && line[0]|0x20 == 'c' &&
			isHeader(line, contentLength):
			lengths++
		case len(line) > len(transferEncoding) && line[0]|0x20 == 't' &&
			isHeader(line, transferEncoding):
			encodings++
			value := bytes.TrimSpace(line[len(transferEncoding)+1:])
			chunked = bytes.EqualFold(value, []byte("chunked"))
		}
	}
	if lengths+encodings > 1 || encodings == 1 && !chunked {
		return schema.Errorf(schema.Unreadable, "",
			"the body must have one Content-Length, or else Transfer-Encoding: chunked")
	}
	return nil
}

const (
	contentLength    = "content-length"
	transferEncoding = "transfer-encoding"
)

func isHeader(line []byte, name string) bool {
	return line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name))
}
