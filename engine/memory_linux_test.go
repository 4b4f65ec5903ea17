package engine

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
)

// residentBytes is what the process has in memory now.
func residentBytes(t testing.TB) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// A result of 5 million rows is 500 MB; what passes through may not stay.
func TestLargeResultsStreamInBoundedMemory(t *testing.T) {
	const rows, bound = 5_000_000, 200 << 20
	sql := fmt.Sprintf("SELECT number, repeat('x', 100) AS s FROM numbers(%d)", rows)
	for _, format := range []string{"Native", "RowBinary", "CSVWithNames", "JSON"} {
		t.Run(format, func(t *testing.T) {
			before := residentBytes(t)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
				"http://"+shared.Addr()+"/?default_format="+format, text(sql))
			if err != nil {
				t.Fatal(err)
			}
			r.SetBasicAuth("default", shared.Password())
			resp, err := plainClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var read, most int64
			buffer := make([]byte, 1<<20)
			for next := int64(0); ; {
				n, err := resp.Body.Read(buffer)
				if read += int64(n); read >= next {
					most, next = max(most, residentBytes(t)-before), read+10<<20
				}
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if most > bound {
				t.Errorf("memory grew by %d MB while %d MB were read", most>>20, read>>20)
			}
			if read < 500<<20 {
				t.Errorf("%d bytes only", read)
			}
		})
	}
}
