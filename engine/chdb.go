package engine

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// libraryVersion is the release line whose C API and behaviour this package was written for.
const libraryVersion = "26.7."

// library is libchdb's C API. A handle is a uintptr that C owns; sizes are size_t. The library
// is loaded once per process and stays: its threads cannot be unloaded from under it.
type library struct {
	version           func() string
	setSignalHandlers func(enabled int32)

	connect   func(argc int32, argv **byte) *uintptr // the query calls take what it points to
	closeConn func(conn *uintptr)

	query  queryFunc
	stream queryFunc
	fetch  func(conn, result uintptr) uintptr
	cancel func(conn, result uintptr)

	insert        queryFunc
	insertAppend  func(stream uintptr, data *byte, size uint64) int32
	insertDone    func(stream uintptr) uintptr
	insertCancel  func(stream uintptr)
	insertDestroy func(stream uintptr)
	insertError   func(stream uintptr) string

	resultBuffer  func(result uintptr) *byte
	resultLength  func(result uintptr) uint64
	resultError   func(result uintptr) string
	resultDestroy func(result uintptr)
}

// queryFunc is the shape of every call that takes SQL, a format and named parameters.
type queryFunc func(
	conn uintptr,
	sql *byte, sqlSize uint64,
	format *byte, formatSize uint64,
	names **byte, nameSizes *uint64,
	values **byte, valueSizes *uint64,
	count uint64,
) uintptr

// symbols ties each field to the exported name behind it.
func (l *library) symbols() map[string]any {
	return map[string]any{
		"chdb_version":                     &l.version,
		"chdb_set_signal_handlers_enabled": &l.setSignalHandlers,
		"chdb_connect":                     &l.connect,
		"chdb_close_conn":                  &l.closeConn,
		"chdb_query_with_params_n":         &l.query,
		"chdb_stream_query_with_params_n":  &l.stream,
		"chdb_stream_fetch_result":         &l.fetch,
		"chdb_stream_cancel_query":         &l.cancel,
		"chdb_stream_insert_with_params_n": &l.insert,
		"chdb_stream_append":               &l.insertAppend,
		"chdb_stream_done":                 &l.insertDone,
		"chdb_stream_cancel_insert":        &l.insertCancel,
		"chdb_destroy_insert_stream":       &l.insertDestroy,
		"chdb_stream_insert_error":         &l.insertError,
		"chdb_result_buffer":               &l.resultBuffer,
		"chdb_result_length":               &l.resultLength,
		"chdb_result_error":                &l.resultError,
		"chdb_destroy_query_result":        &l.resultDestroy,
	}
}

// loaded remembers the one library of the process: dlopen of a second copy would run two engines
// over one set of signal masks and thread pools.
var loaded struct {
	sync.Mutex
	path string
	lib  *library
}

// loadLibrary opens libchdb once and checks that it is the one this package knows.
func loadLibrary(path string) (*library, error) {
	loaded.Lock()
	defer loaded.Unlock()
	if loaded.lib != nil {
		if loaded.path != path {
			return nil, fmt.Errorf("engine: library %s is already loaded, cannot also load %s",
				loaded.path, path)
		}
		return loaded.lib, nil
	}
	lib, err := openLibrary(path)
	if err != nil {
		return nil, err
	}
	// The engine would take SIGSEGV, SIGTERM and the rest away from the Go runtime.
	lib.setSignalHandlers(0)
	loaded.path, loaded.lib = path, lib
	return lib, nil
}

// openLibrary binds the C API of the library at path.
func openLibrary(path string) (*library, error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("engine: library %s cannot be loaded (%s): %s",
			path, oneLine(err.Error()), howToGetLibrary)
	}
	lib := &library{}
	for name, field := range lib.symbols() {
		symbol, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("engine: %s is not the libchdb this program needs (no %s): %s",
				path, name, howToGetLibrary)
		}
		purego.RegisterFunc(field, symbol)
	}
	return lib, checkVersion(path, lib.version())
}

// checkVersion refuses a libchdb of another release: its behaviour was never tried.
func checkVersion(path, version string) error {
	if strings.HasPrefix(version, libraryVersion) {
		return nil
	}
	return fmt.Errorf("engine: library %s is libchdb %q, this program needs %sx: %s",
		path, version, libraryVersion, howToGetLibrary)
}

// param is one query parameter; the engine reads the value by the type its placeholder names.
type param struct{ name, value string }

// call runs one of the SQL calls. Strings are passed in place, with their lengths, so that any
// byte may occur in them.
func call(f queryFunc, conn uintptr, sql, format string, params []param) uintptr {
	n := len(params)
	names, values := make([]*byte, n+1), make([]*byte, n+1)
	nameSizes, valueSizes := make([]uint64, n+1), make([]uint64, n+1)
	for i, p := range params {
		names[i], nameSizes[i] = bytesOf(p.name), uint64(len(p.name))
		values[i], valueSizes[i] = bytesOf(p.value), uint64(len(p.value))
	}
	handle := f(conn,
		bytesOf(sql), uint64(len(sql)),
		bytesOf(format), uint64(len(format)),
		&names[0], &nameSizes[0],
		&values[0], &valueSizes[0],
		uint64(n))
	runtime.KeepAlive(params)
	return handle
}

// zeroByte stands for the empty string, which has no address of its own.
var zeroByte = new(byte)

// bytesOf is the address of a string's bytes, never nil: the C side refuses a null pointer.
func bytesOf(s string) *byte {
	if s == "" {
		return zeroByte
	}
	return unsafe.StringData(s)
}

// open makes a connection with an argument vector, or returns nil. The library's reason goes to
// stderr only, so callers check beforehand whatever can be checked.
func (l *library) open(args []string) *uintptr {
	argv := make([]*byte, len(args)+1)
	for i, arg := range args {
		argv[i] = unsafe.StringData(arg + "\x00")
	}
	handle := l.connect(int32(len(args)), &argv[0])
	runtime.KeepAlive(argv)
	return handle
}

// bytes is a result's data, valid until the result is destroyed.
func (l *library) bytes(result uintptr) []byte {
	size := l.resultLength(result)
	if size == 0 {
		return nil
	}
	return unsafe.Slice(l.resultBuffer(result), size)
}

// failure is the error a result carries, or nil.
func (l *library) failure(result uintptr) error {
	if result == 0 {
		return &Exception{Code: codeUnknownException, Message: "the engine returned no result"}
	}
	if text := l.resultError(result); text != "" {
		return parseException(text)
	}
	return nil
}

// oneLine keeps an error message on one line of a terminal or a log.
func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}
