package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockData keeps a second serve off a data folder, and tells it so at once. The kernel lets go of
// the lock when the process dies, however it dies.
func lockData(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		return nil, fmt.Errorf("data folder %s is in use by another process", dir)
	}
	return file, nil
}
