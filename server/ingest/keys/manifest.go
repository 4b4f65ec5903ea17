package keys

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// manifest says what there is on disk. It is replaced as a whole.
type manifest struct {
	Node    uuid.UUID            `json:"node"`    // the log that Durable is an index of
	Durable uint64               `json:"durable"` // see Store.Durable
	Learned map[uuid.UUID]uint64 `json:"learned"`
	Lost    bool                 `json:"lost"` // keys are to be learned again
	Next    uint64               `json:"next"` // number of the next run
	Runs    []runInfo            `json:"runs"` // oldest first
}

const (
	manifestName = "manifest"
	runPrefix    = "run-"
)

// encode puts the checksum of the JSON on a line before it.
func (m *manifest) encode() ([]byte, error) {
	body, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%08x\n%s\n", crc32.Checksum(body, castagnoli), body), nil
}

func decodeManifest(data []byte) (manifest, error) {
	var m manifest
	sum, body, ok := bytes.Cut(data, []byte("\n"))
	body = bytes.TrimSuffix(body, []byte("\n"))
	if !ok || string(sum) != fmt.Sprintf("%08x", crc32.Checksum(body, castagnoli)) {
		return m, errDamaged
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return manifest{}, errDamaged
	}
	return m, nil
}

// load opens what the manifest names, and removes what it does not: what a crash left over.
func (s *Store) load() error {
	files, err := s.list()
	if err != nil {
		return err
	}
	m, err := s.readManifest(files)
	if err != nil {
		return err
	}
	if m.Lost {
		s.loss = 1
	}
	s.keeper.next = m.Next
	// What was written under this bound fits, also when small runs came together beyond it. Under a
	// smaller one the largest goes without its filter.
	room := s.cfg.MemoryMax + s.cfg.MemoryMax/4 - s.tableRoom()
	slices.SortStableFunc(m.Runs, func(a, b runInfo) int { return a.Records - b.Records })
	for _, info := range m.Runs {
		delete(files, info.Name)
		room -= s.loadRun(info, room)
	}
	maps.Copy(s.learned, m.Learned)
	if s.loss > 0 {
		clear(s.learned)
	}
	if m.Node == s.cfg.Node {
		s.durable = min(m.Durable, s.cfg.LogLast)
	}
	maps.Copy(s.saved, s.learned)
	s.index = s.durable
	for name := range files {
		if err := s.cfg.disk.Remove(filepath.Join(s.cfg.Dir, name)); err != nil {
			s.cfg.Logger.Warn("a file of the known keys was not removed", "file", name, "error", err)
		}
	}
	return nil
}

// list returns the names of the runs and of what is not whole.
func (s *Store) list() (map[string]bool, error) {
	all, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	files := make(map[string]bool)
	for _, f := range all {
		name := f.Name()
		if strings.HasPrefix(name, runPrefix) || strings.HasSuffix(name, temporary) {
			files[name] = true
		}
	}
	return files, nil
}

// readManifest reads the manifest. When it is damaged, or gone although there are runs, it makes
// one of the runs there are, which has more keys than were known at worst, and notes the loss.
func (s *Store) readManifest(files map[string]bool) (manifest, error) {
	path := filepath.Join(s.cfg.Dir, manifestName)
	data, err := os.ReadFile(path)
	var m manifest
	switch {
	case err == nil:
		m, err = decodeManifest(data)
		if err == nil {
			return m, nil
		}
		s.setAside(manifestName)
	case !errors.Is(err, fs.ErrNotExist):
		return m, fmt.Errorf("keys: %w", err)
	}
	for name := range files {
		if !strings.HasSuffix(name, temporary) {
			m.Runs = append(m.Runs, runInfo{Name: name})
			m.Next = max(m.Next, runNumber(name)+1)
		}
	}
	if data == nil && len(m.Runs) == 0 {
		// A new folder. From now on a manifest that is not there is one that was lost.
		m.Node, m.Lost = s.cfg.Node, s.cfg.LogFirst > 1
		if m.Lost {
			s.cfg.Logger.Error("the folder of known keys is gone, learning them again from the "+
				"database; until that is done, a retry of theirs may count again", "folder", s.cfg.Dir)
		}
		return m, s.keeper.writeManifest(m)
	}
	slices.SortFunc(m.Runs, func(a, b runInfo) int { return strings.Compare(a.Name, b.Name) })
	s.cfg.Logger.Error("the list of known keys is damaged, taking every file of them there is and "+
		"learning again from the database", "file", manifestName, "error", err)
	s.lose(0)
	return m, nil
}

// loadRun opens a run and returns the memory it takes. One that is damaged is set aside.
func (s *Store) loadRun(info runInfo, room int64) int64 {
	path := filepath.Join(s.cfg.Dir, info.Name)
	r, err := openRun(path)
	if err == nil && info.Records > 0 && r.Records != info.Records {
		err = errors.Join(fmt.Errorf("another run than the list says: %w", errDamaged), r.close())
	}
	if err != nil {
		s.cfg.Logger.Error("known keys are damaged, learning them again from the database; until "+
			"that is done, a retry of theirs may count again", "file", info.Name, "keys", info.Records,
			"accepted_from", clock(info.From), "accepted_to", clock(info.To), "error", err)
		s.lose(info.Records)
		s.setAside(info.Name)
		return 0
	}
	if r.head.shape.bytes() <= room-r.memory() {
		s.keeper.loadFilter(r)
	} else {
		s.keeper.sayUnfiltered(r)
	}
	s.runs = append(s.runs, r)
	return r.memory()
}

// setAside moves a damaged file out of the way; somebody may want to look at it.
func (s *Store) setAside(name string) {
	from := filepath.Join(s.cfg.Dir, name)
	to := filepath.Join(s.cfg.Dir, "damaged-"+name)
	if s.cfg.Aside != "" {
		to = filepath.Join(s.cfg.Aside, "keys-"+name)
		if err := os.MkdirAll(s.cfg.Aside, 0o700); err != nil {
			s.cfg.Logger.Warn("no folder for damaged files", "folder", s.cfg.Aside, "error", err)
			return
		}
	}
	if err := os.Rename(from, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.cfg.Logger.Warn("a damaged file was not set aside", "file", name, "error", err)
	}
}

func runName(n uint64) string { return fmt.Sprintf("%s%016x", runPrefix, n) }

// runNumber is the n of runName, or 0.
func runNumber(name string) (n uint64) {
	_, _ = fmt.Sscanf(name, runPrefix+"%x", &n)
	return n
}
