package ingest

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// progress is what is known, durably, of the batches: the log is stored in ClickHouse up to
// Stored, and a batch of the entries Stored+1 … Fixed may have been tried (Fixed = Stored: none).
// Both are indexes of the log.
type progress struct {
	Stored uint64
	Fixed  uint64
}

var progressKey = []byte("progress")

// encode returns what decodeProgress reads.
func (p progress) encode() []byte {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], p.Stored)
	binary.LittleEndian.PutUint64(b[8:], p.Fixed)
	return b[:]
}

// decodeProgress reads what encode wrote; of nothing, the progress of a new log.
func decodeProgress(b []byte) (progress, error) {
	switch len(b) {
	case 0:
		return progress{}, nil
	case 16:
		return progress{
			Stored: binary.LittleEndian.Uint64(b),
			Fixed:  binary.LittleEndian.Uint64(b[8:]),
		}, nil
	}
	return progress{}, errors.New("malformed")
}

// progress returns what setProgress last made durable.
func (l *logFile) progress() (progress, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	b, err := l.wal.Get(progressKey)
	if err != nil {
		return progress{}, fmt.Errorf("log: progress: %w", err)
	}
	p, err := decodeProgress(b)
	if err != nil {
		return progress{}, fmt.Errorf("log: progress: %w", err)
	}
	return p, nil
}

// setProgress is durable when it returns.
func (l *logFile) setProgress(p progress) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if err := l.wal.Set(progressKey, p.encode()); err != nil {
		return fmt.Errorf("log: progress: %w", err)
	}
	return nil
}
