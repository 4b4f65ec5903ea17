package ingest

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/types"
)

// TestZerosNeverHideData writes a segment from its start to its end at random speeds, while zeros
// are written before the writer, and reads it all back. With WriteAt not waiting for the zeros
// that are on their way (reserve without its loop) pages of the data read as zeros.
func TestZerosNeverHideData(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const size = 24 << 20
	dir := t.TempDir()
	f, err := newSegmentDisk().Create(dir, "segment", size)
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	for len(want) < size {
		n := 1 + random.IntN(1<<random.IntN(22))
		chunk := bytes.Repeat([]byte{byte(1 + random.IntN(255))}, min(n, size-len(want)))
		if _, err := f.WriteAt(chunk, int64(len(want))); err != nil {
			t.Fatal(err)
		}
		want = append(want, chunk...)
		if random.IntN(4) == 0 {
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "segment"))
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d of %d bytes are as they were written, %v", matching(got, want), size, err)
	}
}

// TestZerosHaveADescriptorOfTheirOwn: zeros are written where the segment's own descriptor takes
// nothing. By the same one, of a write that failed only the zeros would hear: the append's fsync after
// theirs would succeed, and its events be acknowledged.
func TestZerosHaveADescriptorOfTheirOwn(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "segment")
	if err := os.WriteFile(path, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	s := &segmentFile{File: f, dir: dir, size: 2 << 20}
	s.free.L = &s.mu
	s.reserve(1)
	s.zeroer.Wait()
	if s.zeroed != s.size {
		t.Errorf("zeros up to %d of %d", s.zeroed, s.size)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func matching(a, b []byte) (n int) {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			n++
		}
	}
	return n
}

// TestZerosEndWithTheFile: a segment has the size it was made with, and one that is opened again
// in its middle keeps what was written before and has zeros, not an old tail, behind.
func TestZerosEndWithTheFile(t *testing.T) {
	const size = 3<<20 + 77
	dir := t.TempDir()
	f, err := newSegmentDisk().Create(dir, "segment", size)
	if err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte{7}, 1000)
	for _, at := range []int64{0, 1000, 2000} {
		if _, err := f.WriteAt(data, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	w, err := newSegmentDisk().OpenWriter(dir, "segment")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteAt(data[:500], 1000); err != nil {
		t.Fatal(err)
	}
	w.(*segmentFile).zeroer.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "segment"))
	if err != nil || len(got) != size {
		t.Fatalf("%d bytes, want %d, %v", len(got), size, err)
	}
	if !bytes.Equal(got[:1500], bytes.Repeat([]byte{7}, 1500)) ||
		!bytes.Equal(got[1500:], make([]byte, size-1500)) {
		t.Error("the segment is not its data and zeros")
	}
}

// BenchmarkAppend is what a writer waits for: a write and its sync, on the log's disk and on
// raft-wal's own.
func BenchmarkAppend(b *testing.B) {
	for name, disk := range map[string]types.VFS{"ours": newSegmentDisk(), "raft-wal's": fs.New()} {
		b.Run(name, func(b *testing.B) {
			const size = 64 << 20
			f, err := disk.Create(b.TempDir(), "segment", size)
			if err != nil {
				b.Fatal(err)
			}
			data := bytes.Repeat([]byte{7}, 6000) // of 50 single events
			at := int64(0)
			for b.Loop() {
				if _, err := f.WriteAt(data, at); err != nil {
					b.Fatal(err)
				}
				if err := f.Sync(); err != nil {
					b.Fatal(err)
				}
				at = (at + int64(len(data))) % (size - int64(len(data)))
			}
			if err := f.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
