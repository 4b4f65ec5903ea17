package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

// machine names what a figure was measured on.
func machine() string {
	model := "unknown CPU"
	// Only Linux has the file; elsewhere the model stays unknown.
	if file, err := os.Open("/proc/cpuinfo"); err == nil {
		defer file.Close()
		model = cpuModel(file)
	}
	return fmt.Sprintf("%d cores, %s, %s/%s, %s",
		runtime.NumCPU(), model, runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// loadBefore tells how busy the machine is, for a benchmark beside other work is none; empty where
// that is not known.
func loadBefore() string {
	text, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) == 0 {
		return ""
	}
	return ", load average before the run " + fields[0]
}

func cpuModel(r io.Reader) string {
	scanner := bufio.NewScanner(r)
	for scanner.Scan() {
		name, value, ok := strings.Cut(scanner.Text(), ":")
		if ok && strings.TrimSpace(name) == "model name" {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return "unknown CPU"
}
