package main

import (
	"context"
	"fmt"
	"runtime/debug"
)

func version(_ context.Context, args []string, std streams) error {
	var c config
	if _, err := parse(c.flags("version", std), args, 0, ""); err != nil {
		return err
	}
	fmt.Fprintf(std.out, "meterhouse %s\n", versionText())
	return nil
}

// release is set by the linker for a release; otherwise the module's or the commit's version is
// what the build knows.
var release string

func versionText() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	if info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
