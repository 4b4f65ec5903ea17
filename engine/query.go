package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// runQuery runs a statement that has no data of its own and writes its result. It reports
// whether the connection is fit for another request.
func (db *DB) runQuery(
	ctx context.Context, c *conn, req *request, out *response,
) (clean bool, err error) {
	stop := db.cancelOn(ctx, c)
	defer stop()
	format := req.outputFormat()
	out.format(format, req.encoding)
	native := strings.EqualFold(format, "Native")
	switch {
	case req.statement.kind != statementSelect:
		err = db.runWhole(c, req, out, native)
	case native:
		err = db.runStream(c, req, out)
	default:
		err = db.runPipe(c, req, out, format)
	}
	return err == nil && ctx.Err() == nil && req.statement.pure, err
}

// runWhole runs a statement in one call. Its result, if it has one, is small.
func (db *DB) runWhole(c *conn, req *request, out *response, native bool) error {
	result := call(db.lib.query, c.raw(), req.statement.sql, req.outputFormat(), req.params)
	defer db.lib.resultDestroy(result)
	if err := db.lib.failure(result); err != nil {
		return err
	}
	data := db.lib.bytes(result)
	if len(data) == 0 && native && req.statement.repeatable {
		return db.writeHeader(c, req, out, req.statement.sql, "RowBinaryWithNamesAndTypes")
	}
	_, err := out.Write(data)
	return err
}

// errNotStreamed is how the library refuses to stream what is no SELECT, before it runs it.
const errNotStreamed = "Streaming query is not supported"

// runStream passes a Native result on chunk by chunk; each is a block of its own.
func (db *DB) runStream(c *conn, req *request, out *response) error {
	stream := call(db.lib.stream, c.raw(), req.statement.sql, "Native", req.params)
	defer db.lib.resultDestroy(stream)
	if err := db.lib.failure(stream); err != nil {
		if strings.Contains(err.Error(), errNotStreamed) {
			return db.runWhole(c, req, out, true)
		}
		return err
	}
	for first := true; ; first = false {
		more, err := db.passChunk(c, stream, out)
		if err != nil {
			// The connection is closed after an error; this ends the query sooner.
			db.lib.cancel(c.raw(), stream)
			return err
		}
		if !more && first {
			sql := "DESCRIBE (\n" + req.statement.sql[:req.statement.bare] + "\n)"
			return db.writeHeader(c, req, out, sql, "RowBinary")
		}
		if !more {
			return nil
		}
	}
}

// passChunk writes the next chunk straight from the engine's memory; none is left if more is
// false.
func (db *DB) passChunk(c *conn, stream uintptr, out *response) (more bool, err error) {
	chunk := db.lib.fetch(c.raw(), stream)
	defer db.lib.resultDestroy(chunk)
	if err := db.lib.failure(chunk); err != nil {
		return false, err
	}
	data := db.lib.bytes(chunk)
	_, err = out.Write(data)
	return len(data) > 0, err
}

// writeHeader writes a Native block without rows. The library gives an empty result no bytes at
// all, while clients expect the columns. They are learnt from a second question, in a binary
// format: names may hold any bytes.
func (db *DB) writeHeader(c *conn, req *request, out *response, sql, format string) error {
	result := call(db.lib.query, c.raw(), sql, format, req.params)
	defer db.lib.resultDestroy(result)
	if err := db.lib.failure(result); err != nil {
		return err
	}
	read := readColumns
	if format == "RowBinary" {
		read = readDescription
	}
	columns, err := read(db.lib.bytes(result))
	if err != nil {
		return err
	}
	block := binary.AppendUvarint(nil, uint64(len(columns)))
	block = binary.AppendUvarint(block, 0)
	for _, column := range columns {
		for _, s := range column {
			block = append(binary.AppendUvarint(block, uint64(len(s))), s...)
		}
	}
	_, err = out.Write(block)
	return err
}

// columnDef is a column's name and type.
type columnDef [2]string

// errColumns means that the engine described a result in a way it never did.
var errColumns = errors.New("the engine's description of an empty result cannot be read")

// readDescription reads DESCRIBE's rows of seven strings each.
func readDescription(data []byte) (columns []columnDef, err error) {
	const fields = 7
	for len(data) > 0 {
		var row [fields]string
		for i := range row {
			if row[i], data, err = readString(data); err != nil {
				return nil, err
			}
		}
		columns = append(columns, columnDef{row[0], row[1]})
	}
	return columns, nil
}

// readColumns reads the header of RowBinaryWithNamesAndTypes: all names, then all types.
func readColumns(data []byte) ([]columnDef, error) {
	count, n := binary.Uvarint(data)
	if n <= 0 || count > uint64(len(data)) {
		return nil, errColumns
	}
	data = data[n:]
	columns := make([]columnDef, count)
	for part := range 2 {
		for i := range columns {
			s, rest, err := readString(data)
			if err != nil {
				return nil, err
			}
			columns[i][part], data = s, rest
		}
	}
	return columns, nil
}

func readString(data []byte) (s string, rest []byte, err error) {
	size, n := binary.Uvarint(data)
	if n <= 0 || size > uint64(len(data)-n) {
		return "", nil, errColumns
	}
	end := n + int(size)
	return string(data[n:end]), data[end:], nil
}

// runPipe streams a result in any format. The library's own streaming makes a document of every
// chunk (a CSV header, a JSON object, a Parquet file each), so the engine writes the one document
// into a named pipe instead, as a client that was told INTO OUTFILE.
func (db *DB) runPipe(c *conn, req *request, out *response, format string) error {
	path := filepath.Join(db.dir, pipesDir, strconv.FormatUint(db.serial.Add(1), 10))
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return err
	}
	defer os.Remove(path)
	// Open for both, so that neither side waits for the other to open, or sees it close.
	pipe, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer pipe.Close()
	s := req.statement
	clause := "\nINTO OUTFILE " + quote(path) + " APPEND "
	if s.bare == len(s.sql) {
		clause += "FORMAT " + quoteName(format)
	}
	sql := s.sql[:s.bare] + clause + s.sql[s.bare:]
	ended := make(chan error, 1)
	go func() {
		result := call(db.lib.query, c.raw(), sql, format, req.params)
		defer db.lib.resultDestroy(result)
		err := db.lib.failure(result)
		if e, ok := errors.AsType[*Exception](err); ok {
			// The client reads its own SQL in a syntax error, not ours.
			e.Message = strings.ReplaceAll(e.Message, clause, "")
		}
		ended <- err
		// Nothing more comes: what is in the pipe is the rest.
		_ = pipe.SetReadDeadline(time.Now())
	}()
	var written error
	copyPipe(pipe, func(p []byte) {
		// A client that left is no reason to stop reading: the engine would be stuck.
		if written == nil {
			_, written = out.Write(p)
		}
	})
	if err := <-ended; err != nil {
		return err
	}
	return written
}

// pipeBuffer is how much is read at once; a pipe holds 64 kB.
const pipeBuffer = 64 << 10

// copyPipe reads until the pipe's deadline passes, then what is still in it.
func copyPipe(pipe *os.File, take func([]byte)) {
	buffer := make([]byte, pipeBuffer)
	for {
		n, err := pipe.Read(buffer)
		take(buffer[:n])
		if err != nil {
			break
		}
	}
	raw, err := pipe.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		for {
			n, err := syscall.Read(int(fd), buffer)
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			if n <= 0 {
				return
			}
			take(buffer[:n])
		}
	})
}
