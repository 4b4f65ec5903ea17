package keys

import (
	"slices"
	"time"
)

// warmBytes is how much is read in one go.
const warmBytes = 1 << 20

// warm reads every run once, so that the system has it in memory if there is room: of the keys that
// a filter lets pass by mistake each reads a page, and one that comes from the disk takes a hundred
// times as long. It leaves two thirds of its time to others.
func (k *keeper) warm() error {
	k.work.Lock()
	defer k.work.Unlock()
	k.s.mu.Lock()
	runs := slices.Clone(k.s.runs)
	k.s.mu.Unlock()
	buf := make([]byte, warmBytes)
	for _, r := range runs {
		for at := int64(0); at < r.bytes; at += warmBytes {
			began := time.Now()
			if n, _ := r.file.ReadAt(buf, at); n == 0 {
				break // whoever needs it will say what is wrong
			}
			if err := k.pause(time.Since(began)); err != nil {
				return err
			}
		}
	}
	return nil
}
