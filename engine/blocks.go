package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/go-faster/city"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// ClickHouse's own compression (compress=1, decompress=1) is a run of frames: a 16-byte
// checksum, a method, the size of the frame from the method on, the size of its data, the data.
const (
	frameChecksum  = 16
	frameHeader    = frameChecksum + 9
	frameBytesMax  = 1 << 30 // the server's bound; a client sends a whole batch as one frame
	frameBytesOurs = 1 << 20

	methodNone = 0x02
	methodLZ4  = 0x82
	methodZSTD = 0x90
)

// blockReader decodes frames. It tells a stream that ends between frames from one that is cut:
// a cut insert must not pass for a whole one.
type blockReader struct {
	from   io.Reader
	header [frameHeader]byte
	raw    []byte
	data   []byte
	rest   []byte // of data, not yet read
	zstd   *zstd.Decoder
}

// Read implements io.Reader.
func (b *blockReader) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		if err := b.frame(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// frame reads and checks the next frame.
func (b *blockReader) frame() error {
	if _, err := io.ReadFull(b.from, b.header[:]); err != nil {
		return err // io.EOF only when nothing at all was left
	}
	size := int64(binary.LittleEndian.Uint32(b.header[frameChecksum+1:])) - 9
	dataSize := int64(binary.LittleEndian.Uint32(b.header[frameChecksum+5:]))
	if size < 0 || size > frameBytesMax || dataSize > frameBytesMax {
		return errors.New("a compressed frame has no possible size")
	}
	b.raw = grow(b.raw, 9+int(size))
	copy(b.raw, b.header[frameChecksum:])
	if _, err := io.ReadFull(b.from, b.raw[9:]); err != nil {
		return io.ErrUnexpectedEOF
	}
	sum := city.CH128(b.raw)
	if sum.Low != binary.LittleEndian.Uint64(b.header[:]) ||
		sum.High != binary.LittleEndian.Uint64(b.header[8:]) {
		return errors.New("a compressed frame's checksum does not match")
	}
	b.data = grow(b.data, int(dataSize))
	n, err := b.decode(b.raw[9:])
	if err != nil {
		return err
	}
	if n != len(b.data) {
		return fmt.Errorf("a compressed frame holds %d bytes, not %d", n, len(b.data))
	}
	b.rest = b.data
	return nil
}

// decode fills b.data and returns how much it got.
func (b *blockReader) decode(raw []byte) (int, error) {
	switch method := b.header[frameChecksum]; method {
	case methodNone:
		return copy(b.data, raw), nil
	case methodLZ4:
		return lz4.UncompressBlock(raw, b.data)
	case methodZSTD:
		if b.zstd == nil {
			decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1),
				zstd.WithDecoderMaxMemory(frameBytesMax))
			if err != nil {
				return 0, err
			}
			b.zstd = decoder
		}
		data, err := b.zstd.DecodeAll(raw, b.data[:0])
		if err != nil {
			return 0, err
		}
		b.data = data[:min(len(data), cap(data))]
		return len(data), nil
	default:
		return 0, fmt.Errorf("a frame is compressed by method %#x, which is not known", method)
	}
}

// grow returns a slice of n bytes, in the memory of b if it is enough.
func grow(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// blockWriter encodes frames of at most frameBytesOurs.
type blockWriter struct {
	to     io.Writer
	writer *compress.Writer
}

// newBlockWriter knows the methods of network_compression_method; clients ask for no other.
func newBlockWriter(method string, to io.Writer) (*blockWriter, error) {
	methods := map[string]compress.Method{
		"NONE": compress.None, "LZ4": compress.LZ4, "LZ4HC": compress.LZ4, "ZSTD": compress.ZSTD,
	}
	m, ok := methods[method]
	if !ok {
		return nil, &Exception{
			Code: codeUnknownCompressionType,
			Message: fmt.Sprintf("Unknown network_compression_method %q. "+
				"(UNKNOWN_COMPRESSION_METHOD)", method),
		}
	}
	return &blockWriter{to: to, writer: compress.NewWriter(compress.LevelZero, m)}, nil
}

// Write implements io.Writer.
func (b *blockWriter) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		n := min(len(p), frameBytesOurs)
		if err := b.writer.Compress(p[:n]); err != nil {
			return written, err
		}
		if _, err := b.to.Write(b.writer.Data); err != nil {
			return written, err
		}
		p, written = p[n:], written+n
	}
	return written, nil
}
