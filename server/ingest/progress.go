package ingest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// progress is what is known, durably, of the batches: the log is stored in ClickHouse up to
// Stored, and the batches of Fixed, which follow it one after the other, may have been tried.
type progress struct {
	Stored uint64    // index of the log
	At     time.Time // when this was noted; zero: unknown
	Fixed  []fixedBatch
}

// fixedBatch is the bounds of a batch, which begins where the one before it ends. The nonce is part
// of its token: should a copy of an old log be put back, sequences are repeated and tokens are not.
type fixedBatch struct {
	To    uint64 // index of its last entry
	Nonce uint64 // 0: from a log that had none
}

// progressVersion is the first byte of a record. Earlier ones are two indexes and nothing else:
// stored, and the end of the one batch that may have been tried.
const progressVersion byte = 2

// encode writes the version, Stored, At in seconds, then To and Nonce of each batch.
func (p progress) encode() []byte {
	b := binary.LittleEndian.AppendUint64([]byte{progressVersion}, p.Stored)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.At.Unix()))
	for _, f := range p.Fixed {
		b = binary.LittleEndian.AppendUint64(b, f.To)
		b = binary.LittleEndian.AppendUint64(b, f.Nonce)
	}
	return b
}

// decodeProgress reads what encode wrote, or an earlier version did; of nothing, the progress of a
// new log.
func decodeProgress(b []byte) (progress, error) {
	read := binary.LittleEndian.Uint64
	var p progress
	switch {
	case len(b) == 0:
		return p, nil
	case len(b) == 16:
		p.Stored = read(b)
		if to := read(b[8:]); to > p.Stored {
			p.Fixed = []fixedBatch{{To: to}}
		}
		return p, nil
	case len(b)%16 != 1 || len(b) < 17 || b[0] != progressVersion:
		return p, errProgress
	}
	p.Stored, p.At = read(b[1:]), time.Unix(int64(read(b[9:])), 0)
	before := p.Stored
	for rest := b[17:]; len(rest) > 0; rest = rest[16:] {
		f := fixedBatch{To: read(rest), Nonce: read(rest[8:])}
		if f.To <= before {
			return progress{}, errProgress
		}
		before = f.To
		p.Fixed = append(p.Fixed, f)
	}
	return p, nil
}

var (
	progressKey = []byte("progress")

	errProgress = errors.New("malformed")
)

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
	l.stored(p.Stored)
	l.mu.RLock()
	defer l.mu.RUnlock()
	if err := l.wal.Set(progressKey, p.encode()); err != nil {
		return fmt.Errorf("log: progress: %w", err)
	}
	return nil
}
