package engine

import (
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// zstdWindowMax bounds the memory that a request's zstd stream may ask for.
const zstdWindowMax = 128 << 20

// decodeBody undoes a request body's Content-Encoding, then ClickHouse's own block compression.
func decodeBody(r *http.Request, blocks bool) (io.Reader, error) {
	var body io.Reader = r.Body
	switch encoding := strings.ToLower(r.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
	case "gzip":
		body = &lazyReader{open: func() (io.Reader, error) { return gzip.NewReader(r.Body) }}
	case "deflate":
		body = &lazyReader{open: func() (io.Reader, error) { return zlib.NewReader(r.Body) }}
	case "br":
		body = brotli.NewReader(r.Body)
	case "lz4":
		body = lz4.NewReader(r.Body)
	case "zstd":
		decoder, err := zstd.NewReader(r.Body, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindowMax))
		if err != nil {
			return nil, bodyError(err)
		}
		body = decoder
	default:
		return nil, &Exception{
			Code: codeUnknownCompressionType,
			Message: fmt.Sprintf("Unknown Content-Encoding %q: gzip, deflate, br, zstd and lz4 "+
				"are known. (UNKNOWN_COMPRESSION_METHOD)", encoding),
		}
	}
	if blocks {
		body = &blockReader{from: body}
	}
	return body, nil
}

// lazyReader opens a decoder at the first read: gzip's and zlib's read their header when made,
// which must not happen for a body that nobody reads.
type lazyReader struct {
	open   func() (io.Reader, error)
	reader io.Reader
	err    error
}

// Read implements io.Reader.
func (l *lazyReader) Read(p []byte) (int, error) {
	if l.reader == nil && l.err == nil {
		l.reader, l.err = l.open()
	}
	if l.err != nil {
		return 0, l.err
	}
	return l.reader.Read(p)
}

// chooseEncoding picks the first encoding of an Accept-Encoding header that we know, or none.
func chooseEncoding(accept string) string {
	for _, item := range strings.Split(accept, ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(item), ";")
		if strings.ReplaceAll(weight, " ", "") == "q=0" {
			continue
		}
		switch name = strings.ToLower(strings.TrimSpace(name)); name {
		case "gzip", "deflate", "br", "zstd", "lz4":
			return name
		}
	}
	return ""
}

// newEncoder compresses an answer. Loopback is fast and the engine wants the processor, so every
// method runs at its fastest level.
func newEncoder(encoding string, w io.Writer) (io.WriteCloser, error) {
	switch encoding {
	case "gzip":
		return gzip.NewWriterLevel(w, gzip.BestSpeed)
	case "deflate":
		return zlib.NewWriterLevel(w, zlib.BestSpeed)
	case "br":
		return brotli.NewWriterLevel(w, brotli.BestSpeed), nil
	case "lz4":
		return lz4.NewWriter(w), nil
	default:
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1),
			zstd.WithEncoderLevel(zstd.SpeedFastest))
	}
}
