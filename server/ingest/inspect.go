package ingest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
)

// State is what a node's files say of its log, as they are at a moment, beside a node that runs.
type State struct {
	Node     uuid.UUID
	Entries  uint64 // that are not noted as stored
	Bytes    int64  // of the log's files
	StoredAt time.Time
	Whole    int // copies of the checkpoint that can be read, of two
}

// Inspect reads the state of the log in a data folder and changes nothing. Without a log the error is
// fs.ErrNotExist; without a checkpoint that can be read it says so.
func Inspect(data string) (State, error) {
	var s State
	dir := filepath.Join(data, "wal")
	files, err := os.ReadDir(dir)
	if err != nil {
		return s, fmt.Errorf("log: %w", err)
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil {
			s.Bytes += info.Size()
		}
	}
	var newest checkpointContent
	version := uint64(0)
	for _, folder := range []string{dir, data} {
		buf, err := os.ReadFile(filepath.Join(folder, checkpointName))
		if errors.Is(err, fs.ErrNotExist) || len(buf) != 2*slotBytes {
			continue
		}
		if err != nil {
			return s, fmt.Errorf("log: %w", err)
		}
		whole := false
		for slot := range 2 {
			v, content, ok := readSlot(buf[slot*slotBytes : (slot+1)*slotBytes])
			whole = whole || ok
			if ok && v > version {
				version, newest = v, content
			}
		}
		if whole {
			s.Whole++
		}
	}
	if s.Whole == 0 {
		return s, errors.New("log: neither copy of the checkpoint can be read")
	}
	p, err := decodeProgress(newest.Stable[string(progressKey)])
	if err != nil {
		return s, fmt.Errorf("log: progress: %w", err)
	}
	s.StoredAt = p.At
	if newest.Last > p.Stored {
		s.Entries = newest.Last - p.Stored
	}
	if id, err := uuid.FromBytes(newest.Stable[string(nodeKey)]); err == nil {
		s.Node = id
	}
	return s, nil
}
