package exports

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/tabular"
)

const (
	unfinished  = ".part" // ends the name of a file that is being written
	folderMode  = 0o700
	fileMode    = 0o600
	bufferBytes = 256 << 10
)

// file is what a part is written to: an *os.File, or a test's that fails.
type file interface {
	io.WriteCloser
	Sync() error
}

func createFile(name string) (file, error) {
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
}

func (e *Exporter) path(below ...string) string {
	return filepath.Join(append([]string{e.cfg.Dir}, below...)...)
}

// prepare makes the folder of an export, and takes out of it what is not noted, and out of what is
// noted what is not in it.
func (e *Exporter) prepare(
	id uuid.UUID, destination string, whole map[uint32]queries.ExportPart,
) error {
	dir := e.path(id.String())
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	sizes := make(map[string]int64)
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil {
			sizes[entry.Name()] = info.Size()
		}
	}
	if destination == "" {
		for i, p := range whole {
			if size, ok := sizes[p.Name]; ok && size == int64(p.Bytes) {
				delete(sizes, p.Name)
			} else {
				delete(whole, i)
			}
		}
	}
	for name, size := range sizes {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
		e.used.Add(-size)
	}
	return nil
}

// writeFile writes a part to its file: it has its name once it is whole and on disk.
func (j *job) writeFile(ctx context.Context, p *queries.ExportPart, from, to time.Time) error {
	e, dir := j.exporter, j.exporter.path(p.Export.String())
	name := filepath.Join(dir, p.Name)
	f, err := e.create(name + unfinished)
	if err != nil {
		return err
	}
	w := &meter{w: f, sum: sha256.New(), exporter: e}
	if err = j.write(ctx, w, p, from, to); err != nil {
		err = errors.Join(w.err, err) // not every format hands on what stopped it
	} else {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(name+unfinished, name)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		if os.Remove(name+unfinished) == nil {
			e.used.Add(-w.bytes)
		}
		return err
	}
	p.Bytes, p.SHA256 = uint64(w.bytes), hex.EncodeToString(w.sum.Sum(nil))
	return nil
}

// write writes the rows of a part.
func (j *job) write(
	ctx context.Context, to io.Writer, p *queries.ExportPart, first, last time.Time,
) error {
	buffered := bufio.NewWriterSize(to, bufferBytes)
	columns := eventColumns
	if j.request.Query != nil {
		columns = tabular.UsageColumns(*j.request.Query)
	}
	table, err := tabular.New(buffered, j.request.Format, columns)
	if err != nil {
		return err
	}
	row := func(values []any) error {
		p.Rows++
		return table.Row(values)
	}
	if err := j.rows(ctx, first, last, len(columns), row); err != nil {
		return err
	}
	if err := table.Close(); err != nil {
		return err
	}
	return buffered.Flush()
}

// rows hands each row of a part to each, which keeps nothing of it.
func (j *job) rows(
	ctx context.Context, from, to time.Time, columns int, each func([]any) error,
) error {
	q := j.exporter.cfg.Queries
	values := make([]any, 0, columns)
	if j.request.Query == nil {
		return q.ExportEvents(ctx, queries.ExportEventsParams{
			Organization: j.request.Organization, User: j.request.User, From: from, To: to,
		}, func(e queries.ExportEvent) error { return each(eventValues(values, &e)) })
	}
	asked := *j.request.Query
	asked.From, asked.To = from, to
	return queries.Narrow(q.Usage(ctx, asked, func(r schema.UsageRow) error {
		return each(tabular.AppendUsage(values, asked, r))
	}))
}

// uploadMax bounds a part that is held on its way to a bucket.
const (
	uploadMax  = 64 << 20
	chunkBytes = 1 << 20
)

// upload writes a part of a query's answer to a file and hands that to the engine: unlike the
// ledger's rows it is not the answer of one question that the engine could write itself.
func (j *job) upload(
	ctx context.Context, row queries.Export, p *queries.ExportPart, from, to time.Time,
) error {
	if err := j.writeFile(ctx, p, from, to); err != nil {
		return err
	}
	name := j.exporter.path(p.Export.String(), p.Name)
	defer func() {
		if os.Remove(name) == nil {
			j.exporter.used.Add(-int64(p.Bytes))
		}
	}()
	if p.Bytes > uploadMax {
		return schema.Errorf(schema.TooLarge, "query",
			"a part of its answer is too large for a bucket: ask for a coarser granularity, "+
				"group by fewer dimensions, or leave destination out")
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var chunks []string
	for len(content) > 0 {
		n := min(chunkBytes, len(content))
		chunks, content = append(chunks, string(content[:n])), content[n:]
	}
	return j.exporter.cfg.Queries.UploadExport(ctx, j.object(row, *p), chunks)
}

// meter counts and hashes what is written, and keeps within the room that there is.
type meter struct {
	w        io.Writer
	sum      hash.Hash
	exporter *Exporter
	bytes    int64
	err      error // the first
}

func (m *meter) Write(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	n := int64(len(p))
	if m.exporter.used.Add(n) > m.exporter.cfg.BytesMax {
		m.exporter.used.Add(-n)
		m.err = errRoom
		return 0, m.err
	}
	m.bytes += n
	m.sum.Write(p)
	written, err := m.w.Write(p)
	m.err = err
	return written, err
}

// remove removes the files of an export.
func (e *Exporter) remove(name string) {
	dir := e.path(name)
	bytes := usedBytes(dir)
	if err := os.RemoveAll(dir); err != nil {
		e.cfg.Logger.Warn("files of an export could not be removed", "export", name, "error", err)
		return
	}
	e.used.Add(-bytes)
}

// usedBytes returns what the files below a folder take.
func usedBytes(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil // it is being removed
		}
		if info, err := entry.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}

// syncDir makes a rename in a folder last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// hide takes the secrets of buckets out of a text.
func (e *Exporter) hide(text string) string {
	for _, b := range e.cfg.Buckets {
		for _, s := range []string{b.SecretKey, b.KeyID} {
			if s != "" {
				text = strings.ReplaceAll(text, s, "(redacted)")
			}
		}
	}
	return text
}
