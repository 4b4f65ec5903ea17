package ingest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
)

// What cannot be stored, and would keep the rest from being stored, is set aside: a file in the
// folder aside of the data folder, which says what it is, holds the bytes themselves, and is never
// removed but by a replay that stored it. All numbers are little-endian:
//
//	"MHASIDE1"                     8 bytes
//	length of the description      uint32
//	its CRC-32C                    uint32
//	the description                a SetAside as JSON
//	for each part:
//	  its length                   uint32
//	  its CRC-32C                  uint32
//	  the part
//
// The parts of a batch are entries of the log, whole, in order. Of something damaged they are the
// bytes as they were found.

// SetAside describes a file of the folder aside.
type SetAside struct {
	Kind   string    `json:"kind"`            // one of the kinds below
	Node   uuid.UUID `json:"node"`            // of the log it comes from
	First  uint64    `json:"first"`           // sequence of its first event
	Last   uint64    `json:"last"`            // and of its last
	Events uint64    `json:"events"`          // how many there are
	Token  string    `json:"token,omitempty"` // a batch is stored under it, however often it is tried
	Error  string    `json:"error"`           // why it is here
	At     time.Time `json:"at"`
	Parts  int       `json:"parts"`

	Path string `json:"-"` // of the file
	// Unreadable says why the file cannot be read any more; then only Path is set beside it.
	Unreadable string `json:"-"`
}

// Kinds of what is set aside.
const (
	KindBatch  = "batch"  // ClickHouse refused it: `meterhouse replay` tries again
	KindDamage = "damage" // the disk gave other bytes back than were written
	KindGap    = "gap"    // sequences that were left out: no event ever had them, as far as is known
)

const (
	asideMagic  = "MHASIDE1"
	asideSuffix = ".aside"
	asideMax    = 1 << 31 // of a part; a length beyond it is damage
)

// AsideDir returns the folder of what a data folder has set aside.
func AsideDir(data string) string { return filepath.Join(data, "aside") }

// Aside lists what is set aside in a data folder, by name; nothing when there never was anything.
func Aside(data string) ([]SetAside, error) {
	files, err := os.ReadDir(AsideDir(data))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("aside: %w", err)
	}
	var all []SetAside
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), asideSuffix) {
			continue
		}
		path := filepath.Join(AsideDir(data), f.Name())
		s, file, err := openAside(path)
		if err != nil {
			if errors.Is(err, os.ErrNotExist) { // replayed just now
				continue
			}
			all = append(all, SetAside{Path: path, Unreadable: err.Error()})
			continue
		}
		file.Close()
		all = append(all, s)
	}
	return all, nil
}

// countAside returns how many batches are set aside.
func countAside(data string) int {
	files, _ := filepath.Glob(filepath.Join(AsideDir(data), KindBatch+"-*"+asideSuffix))
	return len(files)
}

// openAside reads a file's description and leaves the file before its first part.
func openAside(path string) (s SetAside, file *os.File, err error) {
	if file, err = os.Open(path); err != nil {
		return s, nil, fmt.Errorf("aside: %w", err)
	}
	fail := func(why string) (SetAside, *os.File, error) {
		file.Close()
		return SetAside{}, nil, fmt.Errorf("aside: %s: %s", filepath.Base(path), why)
	}
	magic := make([]byte, len(asideMagic))
	if _, err := io.ReadFull(file, magic); err != nil || string(magic) != asideMagic {
		return fail("is not what Meterhouse sets aside")
	}
	description, err := readPart(file)
	if err != nil {
		return fail(err.Error())
	}
	if err := json.Unmarshal(description, &s); err != nil {
		return fail("its description is malformed")
	}
	s.Path = path
	return s, file, nil
}

// readAside returns a file's description and its parts.
func readAside(path string) (SetAside, [][]byte, error) {
	s, file, err := openAside(path)
	if err != nil {
		return SetAside{}, nil, err
	}
	defer file.Close()
	var parts [][]byte
	for range s.Parts {
		part, err := readPart(file)
		if err != nil {
			return SetAside{}, nil, fmt.Errorf("aside: %s: %w", filepath.Base(path), err)
		}
		parts = append(parts, part)
	}
	return s, parts, nil
}

var errAside = errors.New("its bytes are not those that were written")

func readPart(r io.Reader) ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, errAside
	}
	length := binary.LittleEndian.Uint32(head[:])
	if length > asideMax {
		return nil, errAside
	}
	var part bytes.Buffer // grows with what is there, not with what a damaged length claims
	n, err := io.CopyN(&part, r, int64(length))
	if err != nil || n != int64(length) ||
		crc32.Checksum(part.Bytes(), castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
		return nil, errAside
	}
	return part.Bytes(), nil
}

// setAside makes a file of a description and its parts, durable when it returns, and returns its
// path. The same thing set aside again, after a crash, is the same file.
func setAside(data string, s SetAside, parts [][]byte) (string, error) {
	dir := AsideDir(data)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("aside: %w", err)
	}
	s.Parts = len(parts)
	name := fmt.Sprintf("%s-%s-%d-%d%s", s.Kind, s.Node, s.First, s.Last, asideSuffix)
	path := filepath.Join(dir, name)
	if err := writeAside(path, s, parts); err != nil {
		return "", fmt.Errorf("aside: %w", err)
	}
	for _, d := range []string{dir, data} {
		if err := syncDir(d); err != nil {
			return "", fmt.Errorf("aside: %w", err)
		}
	}
	return path, nil
}

func writeAside(path string, s SetAside, parts [][]byte) (err error) {
	description, err := json.Marshal(s)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = file.WriteString(asideMagic)
	for _, part := range append([][]byte{description}, parts...) {
		var head [8]byte
		binary.LittleEndian.PutUint32(head[:], uint32(len(part)))
		binary.LittleEndian.PutUint32(head[4:], crc32.Checksum(part, castagnoli))
		if err == nil {
			_, err = file.Write(head[:])
		}
		if err == nil {
			_, err = file.Write(part)
		}
	}
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
