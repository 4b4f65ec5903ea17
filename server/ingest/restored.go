package ingest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/server/ingest/keys"
)

var (
	// ledgerKey holds the id of the ledger that the progress is about.
	ledgerKey = []byte("ledger")
	// restoredKey holds the index up to which entries may be in a restored ledger.
	restoredKey = []byte("restored")
)

// restored deals with a ledger that is not the one which the log's progress is about: the database
// was restored from a backup. What the log still has is sent as if it had never been, and of each
// batch the ledger is asked first what it has, since no token of before is remembered. Known keys
// are learned again: those of events that are lost must not keep a client from sending them again.
//
// It comes before the keys are opened; true: relearn is to follow. A crash before that leaves all of
// it to be done again.
func (c Config) restored(l *logFile) (again bool, err error) {
	known, err := l.ledger()
	if err != nil || c.LedgerID == uuid.Nil || known == c.LedgerID {
		return false, err
	}
	if known == uuid.Nil { // a new log, or one of a version that did not note it
		return false, l.setLedger(c.LedgerID)
	}
	c.Logger.Warn("the database was restored: what the log still has is stored again where the "+
		"ledger lacks it, and known keys are learned again", "ledger", c.LedgerID)
	first, err := l.firstIndex()
	if err != nil {
		return false, err
	}
	next := l.next
	if first > 0 {
		e, _, err := l.read(first)
		if err != nil {
			return false, err
		}
		next = e.first
	}
	if c.Restored != nil {
		if err := c.Restored(l.node, next); err != nil {
			return false, fmt.Errorf("log: %w", err)
		}
	}
	if err := os.RemoveAll(filepath.Join(c.Dir, "keys")); err != nil {
		return false, fmt.Errorf("keys: %w", err)
	}
	return true, l.rewind(first)
}

// relearn has all keys that the database knows learned again, this node's own as well.
func (c Config) relearn(l *logFile, known *keys.Store) error {
	known.Lose()
	if err := known.Flush(context.Background()); err != nil { // nothing is started: it waits for nobody
		return err
	}
	return l.setLedger(c.LedgerID)
}

func (l *logFile) ledger() (id uuid.UUID, err error) {
	b, err := l.meta.GetStable(ledgerKey)
	if err == nil && len(b) > 0 {
		id, err = uuid.FromBytes(b)
	}
	if err != nil {
		err = fmt.Errorf("log: ledger: %w", err)
	}
	return id, err
}

func (l *logFile) setLedger(id uuid.UUID) error {
	if err := l.meta.SetStable(ledgerKey, id[:]); err != nil {
		return fmt.Errorf("log: ledger: %w", err)
	}
	return nil
}

// rewind makes every entry from first on one that is not stored, and that the ledger is asked about.
func (l *logFile) rewind(first uint64) error {
	upTo := binary.LittleEndian.AppendUint64(nil, l.last)
	p := progress{Stored: l.last}
	if first > 0 {
		p.Stored = first - 1
	}
	if err := errors.Join(
		l.meta.SetStable(restoredKey, upTo), l.meta.SetStable(progressKey, p.encode()),
	); err != nil {
		return fmt.Errorf("log: rewind: %w", err)
	}
	return nil
}

// asked reports whether the ledger is to be asked what it has of an entry before it is sent.
func (l *logFile) asked(index uint64) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	b, _ := l.meta.GetStable(restoredKey)
	return len(b) == 8 && index <= binary.LittleEndian.Uint64(b)
}
