package ingest

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// progress is what is known, durably, of the batches: the log is stored in ClickHouse up to
// Stored, and the batches of Fixed, which follow it one after the other, may have been tried.
type progress struct {
	Stored uint64 // index of the log
	Fixed  []fixedBatch
}

// fixedBatch is the bounds of a batch, which begins where the one before it ends. The nonce is part
// of its token: should a copy of an old log be put back, sequences are repeated and tokens are not.
type fixedBatch struct {
	To    uint64 // index of its last entry
	Nonce uint64 // 0: from a log that had none
}

// encode writes Stored, then To and Nonce of each batch.
func (p progress) encode() []byte {
	b := binary.LittleEndian.AppendUint64(nil, p.Stored)
	for _, f := range p.Fixed {
		b = binary.LittleEndian.AppendUint64(b, f.To)
		b = binary.LittleEndian.AppendUint64(b, f.Nonce)
	}
	return b
}

// decodeProgress reads what encode wrote, and the two indexes of earlier versions: stored, and the
// end of the one batch that may have been tried.
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
	case len(b)%16 != 8:
		return p, errProgress
	}
	p.Stored = read(b)
	before := p.Stored
	for rest := b[8:]; len(rest) > 0; rest = rest[16:] {
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
	l.mu.RLock()
	defer l.mu.RUnlock()
	if err := l.wal.Set(progressKey, p.encode()); err != nil {
		return fmt.Errorf("log: progress: %w", err)
	}
	return nil
}
