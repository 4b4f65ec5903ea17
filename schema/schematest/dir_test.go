package schematest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

const childEnv = "SCHEMATEST_CHILD"

// TestDirOutlivesNoProcess kills a process that has a directory and waits for it to go.
func TestDirOutlivesNoProcess(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		child(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestDirOutlivesNoProcess$")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the child said nothing")
	}
	dir := lines.Text()
	if _, err := os.Stat(dir); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed, as told
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still there", dir)
		}
	}
}

// child makes a directory, says which, and waits to be killed.
func child(t *testing.T) {
	dir, lifeline, err := temporaryDir()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(dir)
	time.Sleep(time.Minute)
	_ = lifeline.Close()
}
