//go:build !linux

package keys

// hugePages is for Linux.
func hugePages([]byte) {}
