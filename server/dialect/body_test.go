package dialect

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"

	"github.com/meterhouse/meterhouse/schema"
)

// zstds returns a frame that tells its content's size, or one that does not.
func zstds(t testing.TB, sized bool, text string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if sized {
		return string(w.EncodeAll([]byte(text), nil))
	}
	for _, half := range []string{text[:len(text)/2], text[len(text)/2:]} {
		if _, err := io.WriteString(w, half); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gzips(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text) // a bytes.Buffer takes everything
	_ = w.Close()
	return b.String()
}

// read sends a body through ReadBody and returns "length" or "kind message" of what it gave.
func read(t testing.TB, encoding string, body io.Reader) string {
	t.Helper()
	app := fiber.New(fiber.Config{
		DisableStartupMessage: true, StreamRequestBody: true, BodyLimit: schema.RequestBytesMax,
	})
	app.Post("/", func(c *fiber.Ctx) error {
		c.Context().SetConnectionClose() // some of the body may be unread
		got, err := ReadBody(c, uuid.New())
		if err != nil {
			return c.SendString(fmt.Sprintf("%d %v", schema.KindOf(err), err))
		}
		return c.SendString(fmt.Sprint(len(got)))
	})
	r := httptest.NewRequest("POST", "/", body)
	r.Header.Set("Content-Encoding", encoding)
	if r.ContentLength < 0 {
		r.TransferEncoding = []string{"chunked"}
	}
	answer, err := app.Test(r, -1)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var large = bodyReader{nil, bodyMax}

const (
	bodyMax    = schema.RequestBytesMax
	emptyFrame = "\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00"
	skippable  = "\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
)

func TestReadBodyDecodes(t *testing.T) {
	notValid := func(encoding string) string {
		return fmt.Sprintf("%d the body is not valid %s", schema.Unreadable, encoding)
	}
	after := fmt.Sprintf("%d the body must have at most 8388608 bytes after decoding", schema.TooLarge)
	f := func(what, encoding, body, want string) {
		t.Helper()
		if got := read(t, encoding, strings.NewReader(body)); got != want {
			t.Errorf("%s, %s: %s, want %s", encoding, what, got, want)
		}
	}
	spaces := strings.Repeat(" ", bodyMax)
	f("small", "identity", "12345", "5")
	f("small", "gzip", gzips("12345"), "5")
	f("two members", "gzip", gzips("12345")+gzips("6"), "6")
	f("at the limit", "gzip", gzips(spaces), "8388608")
	f("over it", "gzip", gzips(spaces+" "), after)
	for _, sized := range []bool{false, true} {
		one := zstds(t, sized, "12345")
		f("small", "zstd", one, "5")
		f("small", " ZSTD ", one, "5")
		f("two frames", "zstd", one+one, "10")
		f("frames of nothing", "zstd", emptyFrame+skippable+one+skippable+emptyFrame, "5")
		f("at the limit", "zstd", zstds(t, sized, spaces), "8388608")
		f("over it", "zstd", zstds(t, sized, spaces+" "), after)
		f("over it in many frames", "zstd", strings.Repeat(zstds(t, sized, spaces[1:]), 100), after)
		for n := 1; n < len(one); n++ {
			f(fmt.Sprintf("%d bytes of %d", n, len(one)), "zstd", one[:n], notValid("zstd"))
		}
		f("and more", "zstd", one+"garbage", notValid("zstd"))
		f("and zeros", "zstd", one+"\x00\x00\x00\x00\x00", notValid("zstd"))
		f("a flipped bit", "zstd", one[:len(one)-2]+"!"+one[len(one)-1:], notValid("zstd"))
	}
	f("nothing", "zstd", "", "0")
	f("none", "zstd", "12345", notValid("zstd"))
	f("a lie about its size", "zstd", "\x28\xb5\x2f\xfd\xe0"+"\xff\xff\xff\xff\xff\xff\xff\x7f"+
		"\x01\x00\x00", after)
	f("a window of 8 MiB", "zstd", "\x28\xb5\x2f\xfd\x00\x68\x01\x00\x00", "0")
	f("a window of 16 MiB", "zstd", "\x28\xb5\x2f\xfd\x00\x70\x01\x00\x00", notValid("zstd"))
	f("a dictionary", "zstd", "\x28\xb5\x2f\xfd\x21\x07\x00\x01\x00\x00", notValid("zstd"))
	f("unknown", "br", "", fmt.Sprintf("%d Content-Encoding: must be gzip, zstd or absent",
		schema.Unsupported))
}

// TestReadBodyBoundsWhatIsEncoded: chunks of frames of nothing, which decode to nothing, end.
func TestReadBodyBoundsWhatIsEncoded(t *testing.T) {
	for encoding, nothing := range map[string]string{"gzip": gzips(""), "zstd": emptyFrame} {
		n := bodyMax/len(nothing) + 1
		body := io.MultiReader(strings.NewReader(strings.Repeat(nothing, n))) // of no known length
		want := fmt.Sprintf("%d the body must have at most 8388608 bytes before decoding",
			schema.TooLarge)
		if got := read(t, encoding, body); got != want {
			t.Errorf("%s: %s, want %s", encoding, got, want)
		}
	}
}

// TestZstdBombsTakeLittle: what a bomb takes until it is refused is about the limit, not what it
// promises.
func TestZstdBombsTakeLittle(t *testing.T) {
	spaces := strings.Repeat(" ", bodyMax)
	f := func(what, bomb string) {
		t.Helper()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := large.unzstd([]byte(bomb))
		runtime.ReadMemStats(&after)
		if schema.KindOf(err) != schema.TooLarge {
			t.Errorf("%s: %v", what, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 12*bodyMax {
			t.Errorf("%s: %d MiB were allocated", what, took>>20)
		}
	}
	f("one frame", zstds(t, false, strings.Repeat(spaces, 16)))
	f("frames", strings.Repeat(zstds(t, false, spaces), 1000))
	f("sized frames", strings.Repeat(zstds(t, true, spaces), 1000))
}

func FuzzUnzstd(f *testing.F) {
	for _, s := range []string{
		"", emptyFrame, skippable, zstds(f, true, "12345"), zstds(f, false, `{"usage":{"N":1}}`),
		zstds(f, false, strings.Repeat("ab", 1000)) + emptyFrame, "\x28\xb5\x2f\xfd\x00\xa8",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		body, err := large.unzstd([]byte(s))
		if kind := schema.KindOf(err); err != nil && kind != schema.Unreadable &&
			kind != schema.TooLarge || err != nil && body != nil || len(body) > bodyMax {
			t.Fatalf("%q: %d bytes, %v", s, len(body), err)
		}
	})
}
