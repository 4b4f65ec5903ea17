package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// libraryFile is the library's name in every package that ships it, on macOS too.
const libraryFile = "libchdb.so"

// howToGetLibrary ends every message about a library that cannot be used.
const howToGetLibrary = "run `make engine` to fetch it, or name one with LIBCHDB_PATH"

// FindLibrary returns the path of libchdb. An explicit path is the only one tried. Without one
// it looks beside the executable, then in the place where `make engine` puts it, relative to the
// executable's parent directory and to the working directory.
func FindLibrary(explicit string) (string, error) {
	if explicit != "" {
		if err := regularFile(explicit); err != nil {
			return "", fmt.Errorf("engine: library %s: %w: %s", explicit, err, howToGetLibrary)
		}
		return explicit, nil
	}
	exe, err := os.Executable()
	if err != nil {
		exe = ""
	}
	tried := libraryCandidates(exe)
	for _, path := range tried {
		if regularFile(path) == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("engine: %s not found (looked in %q): %s",
		libraryFile, tried, howToGetLibrary)
}

// libraryCandidates lists the places to look in for an executable, best first.
func libraryCandidates(exe string) []string {
	installed := filepath.Join("engine", "node_modules", "@chdb", libraryPackage(), libraryFile)
	var paths []string
	if exe != "" {
		dir := filepath.Dir(exe)
		paths = append(paths, filepath.Join(dir, libraryFile), filepath.Join(dir, "..", installed))
		// bin/meterhouse may be a link into the place it was built in.
		if real, err := filepath.EvalSymlinks(exe); err == nil && real != exe {
			dir = filepath.Dir(real)
			paths = append(paths, filepath.Join(dir, libraryFile), filepath.Join(dir, "..", installed))
		}
	}
	return append(paths, installed)
}

// libraryPackage is the npm package that ships the library for this platform.
func libraryPackage() string {
	arch := runtime.GOARCH
	if arch == "amd64" {
		arch = "x64"
	}
	if runtime.GOOS == "linux" {
		return "lib-linux-" + arch + "-gnu"
	}
	return "lib-" + runtime.GOOS + "-" + arch
}

// regularFile tells why path cannot be opened as a library, in words rather than errno.
func regularFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("no such file")
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("not a file")
	}
	return nil
}
