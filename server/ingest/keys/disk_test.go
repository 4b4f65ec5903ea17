package keys

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
)

var (
	errCrash = errors.New("crashed")
	errFull  = errors.New("no space left on device")
)

// crashDisk is the real disk until a given step. From then on nothing gets through, and what was
// not synced by then may be torn or undone, as after a loss of power.
type crashDisk struct {
	realDisk

	mu       sync.Mutex
	left     int // steps until the crash; negative: none comes
	steps    int
	full     bool // writes fail, and nothing else
	chance   *rand.Rand
	unsynced map[string]bool // by path at creation
	renamed  []rename        // since the folder was synced
}

type rename struct {
	from, to string
	before   []byte // what was at to; nil: nothing
}

func newCrashDisk(left int, seed uint64) *crashDisk {
	return &crashDisk{
		left: left, chance: rand.New(rand.NewPCG(seed, 0)), unsynced: make(map[string]bool),
	}
}

// step counts one; false when the disk is gone.
func (d *crashDisk) step() bool {
	d.steps++
	if d.left == 0 {
		return false
	}
	d.left--
	if d.left == 0 {
		d.crash()
		return false
	}
	return true
}

func (d *crashDisk) crash() {
	for path := range d.unsynced {
		data, err := os.ReadFile(path)
		if err != nil || len(data) == 0 {
			continue
		}
		from := d.chance.IntN(len(data))
		if d.chance.IntN(2) == 0 {
			data = data[:from]
		} else {
			clear(data[from : from+d.chance.IntN(len(data)-from)])
		}
		_ = os.WriteFile(path, data, 0o600)
	}
	for i := len(d.renamed) - 1; i >= 0; i-- {
		if r := d.renamed[i]; d.chance.IntN(2) == 0 {
			_ = os.Rename(r.to, r.from)
			if r.before != nil {
				_ = os.WriteFile(r.to, r.before, 0o600)
			}
		}
	}
}

func (d *crashDisk) Create(path string) (diskFile, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.step() {
		return nil, errCrash
	}
	if d.full {
		return nil, errFull
	}
	f, err := d.realDisk.Create(path)
	d.unsynced[path] = true
	return &crashFile{f, d, path}, err
}

func (d *crashDisk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.step() {
		return errCrash
	}
	before, _ := os.ReadFile(to)
	d.renamed = append(d.renamed, rename{from, to, before})
	if d.unsynced[from] {
		delete(d.unsynced, from)
		d.unsynced[to] = true
	}
	return d.realDisk.Rename(from, to)
}

func (d *crashDisk) Remove(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.step() {
		return errCrash
	}
	delete(d.unsynced, path)
	return d.realDisk.Remove(path)
}

func (d *crashDisk) SyncDir(string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.step() {
		return errCrash
	}
	d.renamed = nil
	return nil
}

type crashFile struct {
	diskFile
	disk *crashDisk
	path string
}

func (f *crashFile) WriteAt(p []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if !f.disk.step() {
		return 0, errCrash
	}
	if f.disk.full {
		return 0, errFull
	}
	return f.diskFile.WriteAt(p, off)
}

func (f *crashFile) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if !f.disk.step() {
		return errCrash
	}
	delete(f.disk.unsynced, f.path)
	return nil // what counts here is what the test forgets, not what the disk does
}

// names returns what is in a folder, sorted.
func names(dir string) (all []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		all = append(all, filepath.Base(e.Name()))
	}
	return all
}
