package dialecttest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/meterhouse/meterhouse/schema"
)

const bom = "\xef\xbb\xbf"

// bodies sends what is no request of the API's at all.
func (r *runner) bodies(t *testing.T) {
	for _, route := range r.writing() {
		good := r.own(route).Body
		hostile := []string{
			"", " ", "\x00", "{", "}", "[", "[]", "{}", "null", "nul", "true", "7", `""`, `"x"`, "[null]",
			"[[[]]]", "[{}", "{}{}", good + "x", good + "}", good[:len(good)-1], good[1:],
			"\x00" + good, good + "\x00", strings.Replace(good, ":", ":\x00", 1),
			strings.Replace(good, `"`, "'", -1), strings.Replace(good, ":", "=", -1),
			"\xff\xfe" + good, strings.Replace(good, "{", "{\"\xff\":1,", 1),
			strings.Replace(good, "{", "{\"x\":\"\xc3\x28\",", 1), bom + bom + good,
			utf16(good), strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 100_000),
			`{"x":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "," + good[1:],
			"<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>",
			"a=b&c=d", strings.Repeat("\n", 10_000), strings.Repeat(`{"a":1,`, 10_000),
		}
		r.unchanged(t, func() {
			for i, body := range hostile {
				request := r.own(route)
				request.Body = body
				want := r.Rejected
				if body == "{}" && r.Empty != 0 {
					want = []int{r.Empty}
				}
				r.expect(t, fmt.Sprintf("%s, body %d (%.40q)", route.Name, i, body),
					r.h.Do(t, request), want...)
			}
			request := r.own(route).With("Content-Type", "multipart/form-data; boundary=x")
			request.Body = "--x\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\n" +
				strings.Repeat("c", 100_000) + "\r\n--x--\r\n"
			got := r.h.Do(t, request)
			r.expect(t, route.Name+", multipart", got, append(r.Rejected, r.Unsupported)...)
		})
		request := r.own(route)
		request.Body = bom + good
		want := r.Rejected
		if r.BOM {
			want = []int{route.Want}
		}
		r.expect(t, route.Name+" with a byte order mark", r.h.Do(t, request), want...)
	}
}

func utf16(s string) string {
	var b strings.Builder
	b.WriteString("\xff\xfe")
	for i := range len(s) {
		b.WriteByte(s[i])
		b.WriteByte(0)
	}
	return b.String()
}

// quantities sends numbers that are none, or that nobody can have used.
func (r *runner) quantities(t *testing.T) {
	hostile := []string{
		"-1", "-0.000001", "-1e10", "NaN", "nan", "Infinity", "-Infinity", "inf", "1e400", "-1e400",
		"1e-400", "1e2147483648", "1e99999999999999999999", "0x10", "01", "+1", "1.", ".5", "1_000",
		"1,5", "--1", "1e", "1e+", "1.5.5", "12345678901234567890", strings.Repeat("9", 40),
		strings.Repeat("9", 100_000), "0." + strings.Repeat("0", 100_000) + "1", "0.0000001",
		"1e" + strings.Repeat("0", 100_000) + "30", "true", "false", "null", "[]", "[1]", "{}",
		`{"a":1}`, `""`, `" "`, `"NaN"`, `"Infinity"`, `"1e400"`, `"0x10"`, `"-1"`, `"one"`, `"1\u0000"`,
		`"\u0661"`, `"` + strings.Repeat("9", 40) + `"`, "\uff11", "1 2",
	}
	for _, route := range r.writing() {
		r.unchanged(t, func() {
			for _, quantity := range hostile {
				request := r.own(route)
				request.Body = route.Body(quantity, bodyMark)
				r.expect(t, fmt.Sprintf("%s, quantity %.40s", route.Name, quantity),
					r.h.Do(t, request), r.Rejected...)
			}
		})
	}
}

func gzipped(members ...string) string {
	var b bytes.Buffer
	for _, text := range members {
		w := gzip.NewWriter(&b)
		_, _ = io.WriteString(w, text) // a bytes.Buffer takes everything
		_ = w.Close()
	}
	return b.String()
}

func zstds(t *testing.T, text string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(text), nil))
}

// bomb is about a megabyte that inflates to a gigabyte.
var bomb = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	_, _ = io.CopyN(w, endless(strings.Repeat(" ", 1<<16)), 1<<30)
	_ = w.Close()
	return b.Bytes()
})

// encodings sends compressed bodies, and what only says so.
func (r *runner) encodings(t *testing.T) {
	for _, route := range r.writing() {
		own := r.own(route)
		send := func(what, encoding, body string, want ...int) {
			t.Helper()
			request := own.With("Content-Encoding", encoding)
			request.Body = body
			r.expect(t, route.Name+", "+what, r.h.Do(t, request), want...)
		}
		zip, frame := gzipped(own.Body), zstds(t, own.Body)
		for _, encoding := range []string{"gzip", "GZIP", "x-gzip"} {
			send("gzip", encoding, zip, route.Want)
		}
		send("identity", "identity", own.Body, route.Want)
		send("zstd", "zstd", frame, route.Want)
		r.unchanged(t, func() {
			for _, n := range []int{0, 1, 9, 10, 11, len(zip) / 2, len(zip) - 8, len(zip) - 1} {
				send(fmt.Sprintf("%d bytes of gzip", n), "gzip", zip[:n], r.Rejected...)
			}
			send("gzip and more", "gzip", zip+"garbage", r.Rejected...)
			send("gzip and zeros", "gzip", zip+strings.Repeat("\x00", 512), r.Rejected...)
			send("a flipped bit", "gzip", zip[:len(zip)-6]+"!"+zip[len(zip)-5:], r.Rejected...)
			send("two objects", "gzip", gzipped(own.Body, "x"), r.Rejected...)
			send("no gzip", "gzip", own.Body, r.Rejected...)
			for _, n := range []int{0, 1, 4, len(frame) / 2, len(frame) - 1} {
				send(fmt.Sprintf("%d bytes of zstd", n), "zstd", frame[:n], r.Rejected...)
			}
			send("zstd and more", "zstd", frame+"garbage", r.Rejected...)
			send("two objects in zstd", "zstd", frame+zstds(t, "x"), r.Rejected...)
			send("gzip as zstd", "zstd", zip, r.Rejected...)
			send("a bomb of zstd", "zstd", strings.Repeat(
				zstds(t, strings.Repeat(" ", schema.RequestBytesMax)), 100), r.TooLarge)
			send("gzip unsaid", "identity", zip, r.Rejected...)
			send("gzip in gzip", "gzip", gzipped(zip), r.Rejected...)
			for _, encoding := range []string{
				"br", "deflate", "compress", "gzip, gzip", "gzip,identity", "*", "gzip;q=1", "\"",
			} {
				send(encoding, encoding, zip, r.Unsupported)
			}
			r.bombs(t, route)
		})
	}
}

// bombs sends several at once, and watches the memory.
func (r *runner) bombs(t *testing.T, route Route) {
	const atOnce = 4
	heap := watchHeap()
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			request := r.own(route).With("Content-Encoding", "gzip")
			got := r.h.Send(t, request, bytes.NewReader(bomb()), int64(len(bomb())))
			r.expect(t, route.Name+", bomb", got, r.TooLarge)
			got = r.h.Send(t, request, bytes.NewReader(bomb()), -1)
			r.expect(t, route.Name+", chunked bomb", got, r.TooLarge)
		})
	}
	all.Wait()
	heap.check(t)
}

// heapWatch samples the live heap until it is asked.
type heapWatch struct {
	base uint64
	most chan uint64
	end  chan struct{}
}

const heapGrowthMax = 300 << 20

func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func watchHeap() *heapWatch {
	w := &heapWatch{base: heapBytes(), most: make(chan uint64), end: make(chan struct{})}
	go func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		most := w.base
		for {
			select {
			case <-tick.C:
				most = max(most, heapBytes())
			case <-w.end:
				w.most <- max(most, heapBytes())
				return
			}
		}
	}()
	return w
}

func (w *heapWatch) check(t *testing.T) {
	t.Helper()
	close(w.end)
	if most := <-w.most; most > w.base+heapGrowthMax {
		t.Errorf("the heap grew from %d to %d MiB", w.base>>20, most>>20)
	}
}

// sizes sends bodies at and over the limit.
func (r *runner) sizes(t *testing.T) {
	const limit = schema.RequestBytesMax
	for _, route := range r.writing() {
		own := r.own(route)
		padded := func(n int64) io.Reader {
			return io.MultiReader(strings.NewReader(own.Body), limited(n-int64(len(own.Body))))
		}
		for _, length := range []int64{limit, -1} {
			got := r.h.Send(t, own, padded(limit), length)
			r.expect(t, route.Name+" at the limit", got, route.Want)
		}
		r.unchanged(t, func() {
			heap := watchHeap()
			for _, n := range []int64{limit + 1, 100 << 20} {
				for _, length := range []int64{n, -1} {
					got := r.h.Send(t, own, padded(n), length)
					r.expect(t, fmt.Sprintf("%s, %d bytes", route.Name, n), got, r.TooLarge)
				}
			}
			r.endless(t, own)
			heap.check(t)
		})
	}
	for _, route := range r.Routes { // a stranger's body, and one where none belongs
		own, stranger := r.own(route), route.Request(Secret{Kind: route.Kinds[0]}, r.h.Acme)
		r.unchanged(t, func() {
			got := r.h.Send(t, stranger, limited(100<<20), 100<<20)
			r.expect(t, route.Name+" of a stranger", got, r.Missing)
			if route.Body == nil {
				got := r.h.Send(t, own, limited(20<<20), 20<<20)
				r.expect(t, route.Name+" with a body", got, route.Want, r.TooLarge)
			}
		})
	}
}

// endless sends chunks until the server has had enough of them.
func (r *runner) endless(t *testing.T, own Request) {
	own = own.With("Transfer-Encoding", "chunked")
	chunk := []byte("100000\r\n" + strings.Repeat(" ", 1<<20) + "\r\n")
	own.Body = ""
	c := r.h.Dial(t)
	defer c.Close()
	if _, err := c.Write(own.Bytes()); err != nil {
		t.Fatal(err)
	}
	const patienceBytes = 2 << 30
	for sent := 0; sent < patienceBytes; sent += len(chunk) {
		if _, err := c.Write(chunk); err != nil {
			return // cut off; whether the answer outlived the reset is the network's luck
		}
	}
	t.Errorf("the server still reads after %d bytes", patienceBytes)
}
