package schematest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// temporaryDir returns a directory that is removed when the process ends, kill -9 included. The
// engine runs until then, so no test can remove it: a shell waits for the end of its input, which
// is this process's end, and removes it. Nobody writes to lifeline, the other end of that input:
// the kernel closes it. It must not be collected before.
func temporaryDir() (dir string, lifeline io.Closer, err error) {
	dir, err = os.MkdirTemp("", "meterhouse-test-")
	if err != nil {
		return "", nil, err
	}
	reaper := exec.Command("sh", "-c", `read -r _; rm -rf -- "$1"`, "reaper", dir)
	reaper.Dir = os.TempDir()
	// A group of its own, so that an interrupt from the terminal does not reach it.
	reaper.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if lifeline, err = reaper.StdinPipe(); err != nil {
		return "", nil, fmt.Errorf("reaper: %w", err)
	}
	if err := reaper.Start(); err != nil {
		return "", nil, fmt.Errorf("reaper: %w", err)
	}
	return dir, lifeline, nil
}
