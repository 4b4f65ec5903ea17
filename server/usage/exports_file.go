package usage

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/tabular"
)

// exportFile answers a file of an export, or the range of it that is asked for, so that a download
// that broke off goes on where it was.
func (d *api) exportFile(c *fiber.Ctx) error {
	_, exports, x, err := d.export(c)
	if err != nil {
		return err
	}
	name := strings.Clone(c.Params("name"))
	i := slices.IndexFunc(x.Files, func(f schema.ExportFile) bool { return f.Name == name })
	if i < 0 {
		name = "none" // what there is not is the door's to tell
	}
	f, err := exports.Open(c.UserContext(), x.Request.Organization, x.ID, name)
	if err != nil {
		return err
	}
	file := x.Files[i]
	tag := `"` + file.SHA256 + `"`
	c.Set(fiber.HeaderETag, tag)
	c.Set(fiber.HeaderCacheControl, "private, no-cache")
	c.Set(fiber.HeaderAcceptRanges, "bytes")
	if tags := header(c, fiber.HeaderIfNoneMatch); tags != "" && hasTag(tags, tag) {
		_ = f.Close() // it was only read
		return c.SendStatus(fiber.StatusNotModified)
	}
	first, last, partial, ok := rangeOf(c, tag, file.Bytes)
	if !ok {
		_ = f.Close() // it was only read
		c.Set(fiber.HeaderContentRange, fmt.Sprintf("bytes */%d", file.Bytes))
		return fiber.NewError(fiber.StatusRequestedRangeNotSatisfiable)
	}
	if _, err := f.Seek(first, io.SeekStart); err != nil {
		_ = f.Close() // it was only read
		return err
	}
	if partial {
		c.Status(fiber.StatusPartialContent)
		c.Set(fiber.HeaderContentRange, fmt.Sprintf("bytes %d-%d/%d", first, last, file.Bytes))
	}
	c.Set(fiber.HeaderContentType, tabular.ContentType(x.Request.Format))
	c.Set(fiber.HeaderContentDisposition,
		fmt.Sprintf(`attachment; filename="%s-%s"`, x.ID, file.Name))
	n := last - first + 1
	c.Context().SetBodyStream(&download{
		Reader: io.LimitReader(f, n), Closer: f, conn: c.Context().Conn(),
	}, int(n))
	return nil
}

// rangeOf returns the first and the last byte of what is asked for. What is not one range of bytes,
// or is a range of what the file was under another tag, is all of it; a range that is not in it is
// not ok.
func rangeOf(c *fiber.Ctx, tag string, size int64) (first, last int64, partial, ok bool) {
	last = size - 1
	if condition := c.Get(fiber.HeaderIfRange); condition != "" && condition != tag {
		return 0, last, false, true
	}
	return parseRange(c.Get(fiber.HeaderRange), size)
}

// parseRange reads a Range header as RFC 9110 has it.
func parseRange(text string, size int64) (first, last int64, partial, ok bool) {
	last = size - 1
	spec, isBytes := strings.CutPrefix(text, "bytes=")
	from, to, isRange := strings.Cut(strings.TrimSpace(spec), "-")
	if !isBytes || !isRange || strings.Contains(spec, ",") {
		return 0, last, false, true
	}
	if from == "" { // the last so many
		n, err := strconv.ParseUint(to, 10, 62)
		if err != nil {
			return 0, last, false, true
		}
		return max(0, size-int64(n)), last, true, n > 0 && size > 0
	}
	start, err := strconv.ParseUint(from, 10, 62)
	if err != nil {
		return 0, last, false, true
	}
	if to != "" {
		end, err := strconv.ParseUint(to, 10, 62)
		if err != nil || end < start {
			return 0, size - 1, false, true
		}
		last = min(last, int64(end))
	}
	return int64(start), last, true, int64(start) < size
}

// downloadPace is how long a client may take for what is read at once.
const downloadPace = 60 * time.Second

// download is a file on its way. The server gives a whole answer so much time; a large file takes
// longer, and has it for as long as its client goes on reading.
type download struct {
	io.Reader
	io.Closer
	conn net.Conn
}

func (d *download) Read(p []byte) (int, error) {
	_ = d.conn.SetWriteDeadline(time.Now().Add(downloadPace)) // of a connection that is gone
	return d.Reader.Read(p)
}
