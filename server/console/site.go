package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/gofiber/fiber/v2"
	"github.com/klauspost/compress/gzip"
)

//go:embed all:dist
var dist embed.FS

// site is the built page's files, by path.
type site struct {
	index *file // nil: the binary was built without
	files map[string]*file
}

// file is a file as it is sent.
type file struct {
	media string
	plain coded
	// Shorter ones, best first.
	coded []coded
}

type coded struct {
	encoding string // empty: none
	body     []byte
	tag      string // ETag
}

// embedded is compressed once, however many servers a process makes.
var embedded = sync.OnceValues(func() (*site, error) {
	built, err := fs.Sub(dist, "dist")
	if err != nil {
		return nil, err
	}
	return read(built)
})

func load(files fs.FS) (*site, error) {
	if files == nil {
		return embedded()
	}
	return read(files)
}

func read(from fs.FS) (*site, error) {
	s := &site{files: make(map[string]*file)}
	err := fs.WalkDir(from, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		body, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		s.files["/"+name], err = newFile(name, body)
		return err
	})
	const index = "/index.html"
	s.index = s.files[index]
	delete(s.files, index) // it is the page
	return s, err
}

// media are the types of what Vite builds; of anything else browsers make nothing.
var media = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".json": "application/json",
	".png": "image/png", ".woff2": "font/woff2",
}

func newFile(name string, body []byte) (*file, error) {
	f := &file{media: media[path.Ext(name)], plain: newCoded("", body)}
	if f.media == "" {
		f.media = fiber.MIMEOctetStream
	}
	for _, e := range []struct {
		name string
		into func(*bytes.Buffer, []byte) error
	}{{"br", brotliInto}, {"gzip", gzipInto}} {
		var b bytes.Buffer
		if err := e.into(&b, body); err != nil {
			return nil, err
		}
		if b.Len() < len(body) {
			f.coded = append(f.coded, newCoded(e.name, b.Bytes()))
		}
	}
	return f, nil
}

func newCoded(encoding string, body []byte) coded {
	sum := sha256.Sum256(body)
	return coded{encoding, body, `"` + hex.EncodeToString(sum[:12]) + `"`}
}

func brotliInto(b *bytes.Buffer, body []byte) error {
	const quality = 9 // 11 saves some percent more and takes ten times as long, at every start
	w := brotli.NewWriterLevel(b, quality)
	_, err := w.Write(body)
	return errors.Join(err, w.Close())
}

func gzipInto(b *bytes.Buffer, body []byte) error {
	w, err := gzip.NewWriterLevel(b, gzip.BestCompression)
	if err != nil {
		return err
	}
	_, err = w.Write(body)
	return errors.Join(err, w.Close())
}

// page answers the page itself, which is asked for anew each time: its files have other names when
// they change.
func (c *Console) page(ctx *fiber.Ctx) error {
	if c.site.index == nil {
		return unbuilt(ctx)
	}
	return send(ctx, c.site.index, "no-cache")
}

// asset answers a file of the page. Those below /assets/ have a hash of what they hold in their name.
func (c *Console) asset(ctx *fiber.Ctx) error {
	f, ok := c.site.files[ctx.Path()]
	if !ok {
		return fiber.ErrNotFound
	}
	if strings.HasPrefix(ctx.Path(), "/assets/") {
		return send(ctx, f, "public, max-age=31536000, immutable")
	}
	return send(ctx, f, "public, max-age=86400")
}

func send(ctx *fiber.Ctx, f *file, cache string) error {
	best := f.plain
	accepted := ctx.Get(fiber.HeaderAcceptEncoding)
	for i := len(f.coded) - 1; i >= 0; i-- {
		if accepts(accepted, f.coded[i].encoding) {
			best = f.coded[i]
		}
	}
	ctx.Set(fiber.HeaderCacheControl, cache)
	ctx.Set(fiber.HeaderVary, fiber.HeaderAcceptEncoding)
	ctx.Set(fiber.HeaderETag, best.tag)
	if strings.Contains(ctx.Get(fiber.HeaderIfNoneMatch), best.tag) {
		return ctx.SendStatus(fiber.StatusNotModified)
	}
	ctx.Set(fiber.HeaderContentType, f.media)
	if best.encoding != "" {
		ctx.Set(fiber.HeaderContentEncoding, best.encoding)
	}
	return ctx.Send(best.body)
}

// accepts reports whether an Accept-Encoding names an encoding and does not rule it out.
func accepts(header, encoding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), encoding) {
			continue
		}
		_, q, _ := strings.Cut(weight, "=")
		return strings.Trim(q, " 0.") != "" || strings.TrimSpace(q) == ""
	}
	return false
}

// unbuilt says how to get what is missing.
func unbuilt(ctx *fiber.Ctx) error {
	const text = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Meterhouse</title>
<h1>This program was built without the console</h1>
<p>Build it again with <code>make build</code>, or the page alone with <code>make web</code>.
The API is described at <a href="/docs">/docs</a>.</p>
`
	ctx.Set(fiber.HeaderContentSecurityPolicy,
		"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	ctx.Set(fiber.HeaderCacheControl, "no-cache")
	ctx.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	return ctx.SendString(text)
}
