package engine

import (
	"context"
	"errors"
	"io"
	"strings"
)

// insertBuffer is how much of an insert's body is handed to the engine at once.
const insertBuffer = 1 << 20

// runInsert feeds an insert's data to the engine and commits it when the data is complete. It
// reports whether the connection is fit for another request.
func (db *DB) runInsert(ctx context.Context, c *conn, req *request) (clean bool, err error) {
	if req.statement.format == "Values" {
		if whole, err := req.readValues(); err != nil {
			return false, err
		} else if whole {
			return db.runValues(ctx, c, req)
		}
	}
	stream := call(db.lib.insert, c.raw(), req.statement.sql, req.statement.format, req.params)
	defer db.lib.insertDestroy(stream)
	if text := db.lib.insertError(stream); text != "" {
		return false, parseException(text)
	}
	if err := db.feed(stream, req); err != nil {
		// The client is gone, or its data is broken: nothing of an unfinished block is kept.
		// As on the server, blocks before it may have been written: a block is up to 1,048,449
		// rows or 256 MB, and a Native block of the client's is never divided.
		db.lib.insertCancel(stream)
		return false, err
	}
	result := db.lib.insertDone(stream)
	defer db.lib.resultDestroy(result)
	err = db.lib.failure(result)
	return err == nil, err
}

// feed passes the data on. That the engine takes no more is no error here: it says why when the
// insert is to be finished.
func (db *DB) feed(stream uintptr, req *request) error {
	if data := req.statement.data; strings.TrimSpace(data) != "" {
		if db.lib.insertAppend(stream, bytesOf(data), uint64(len(data))) != 0 {
			return nil
		}
	}
	buffer := make([]byte, insertBuffer)
	for {
		n, err := fill(req.body, buffer)
		if n > 0 && db.lib.insertAppend(stream, &buffer[0], uint64(n)) != 0 {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return bodyError(err)
		}
	}
}

// fill reads until the buffer is full. Unlike io.ReadFull it keeps a body's regular end, io.EOF,
// apart from one that was cut off, io.ErrUnexpectedEOF.
func fill(r io.Reader, buffer []byte) (n int, err error) {
	for n < len(buffer) && err == nil {
		var m int
		m, err = r.Read(buffer[n:])
		n += m
	}
	return n, err
}

// readValues reads the rows of an INSERT … VALUES, as far as SQL may go, and reports whether
// that was all of them.
func (req *request) readValues() (whole bool, err error) {
	limit := sqlBytesMax - int64(len(req.statement.data))
	rest, err := io.ReadAll(io.LimitReader(req.body, max(limit, 0)))
	if err != nil {
		return false, bodyError(err)
	}
	req.statement.data += string(rest)
	return int64(len(rest)) < limit, nil
}

// runValues runs an INSERT … VALUES as one text: only so may its rows hold expressions and
// parameters.
func (db *DB) runValues(ctx context.Context, c *conn, req *request) (clean bool, err error) {
	if err := checkValues(req.statement.data); err != nil {
		return false, err
	}
	stop := db.cancelOn(ctx, c)
	defer stop()
	sql := req.statement.sql + " VALUES " + req.statement.data
	result := call(db.lib.query, c.raw(), sql, "Null", req.params)
	defer db.lib.resultDestroy(result)
	err = db.lib.failure(result)
	return err == nil && ctx.Err() == nil, err
}
