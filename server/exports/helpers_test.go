package exports_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/schema/schematest"
	"github.com/meterhouse/meterhouse/server/exports"
)

func named(name string) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceURL, []byte(name)) }

var (
	acme  = named("acme")
	ada   = named("ada")
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	days  = &schema.EventsRange{From: start, To: start.AddDate(0, 0, 3)}
)

// house is a database that several nodes make exports of, under one clock.
type house struct {
	t       *testing.T
	queries *queries.Queries
	log     *lockedBuffer

	mu  sync.Mutex
	now time.Time
}

// lockedBuffer is a log that may be read meanwhile.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newHouse has three days of usage of two users, of which one event was taken back.
func newHouse(t *testing.T) *house {
	t.Helper()
	q, err := queries.Open(t.Context(), queries.Config{Options: schematest.New(t).Options})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	var b queries.EventBatch
	for i := range 300 {
		e := schema.Event{
			Organization: acme, ID: uuid.NewSHA1(ada, []byte{byte(i), byte(i >> 8)}),
			Entry: schema.Record, User: []uuid.UUID{ada, named("bob")}[i%2],
			Agent: named("agent"), Time: start.Add(time.Duration(i) * 14 * time.Minute),
			IngestTime: start, Model: "m", Chargeable: true,
			Measurements: []schema.Measurement{
				{UsageType: "INPUT", Quantity: schema.WholeQuantity(int64(i + 1))},
			},
		}
		b.Append(&e, named("log"), uint64(i))
		if i == 7 {
			e.Entry, e.Measurements[0].Quantity = schema.Reversal, schema.WholeQuantity(-8)
			b.Append(&e, named("log"), uint64(1000))
		}
	}
	if err := q.InsertEvents(t.Context(), "usage", &b); err != nil {
		t.Fatal(err)
	}
	return &house{
		t: t, queries: q, log: &lockedBuffer{}, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
}

// total is what newHouse's INPUT sums up to.
const total = 300*301/2 - 8

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// node returns a node of a name; change, when not nil, changes how.
func (h *house) node(name, dir string, change func(*exports.Config)) *exports.Exporter {
	h.t.Helper()
	c := exports.Config{
		Dir: dir, Queries: h.queries, Node: named(name), Now: h.clock,
		Logger:  slog.New(slog.NewTextHandler(h.log, nil)),
		Metrics: prometheus.NewRegistry(), PartMeasurements: 110,
	}
	if change != nil {
		change(&c)
	}
	e := exports.New(c)
	h.t.Cleanup(e.Stop)
	return e
}

// folder is where a node's files go.
func folder(t *testing.T) string { return filepath.Join(t.TempDir(), "exports") }

func (h *house) ask(e *exports.Exporter, r schema.ExportRequest) schema.Export {
	h.t.Helper()
	r.Organization, r.By = acme, ada
	x, err := e.Create(h.t.Context(), r)
	if err != nil {
		h.t.Fatal(err)
	}
	return x
}

// events asks for the usage as events in parts of a day.
func (h *house) events(e *exports.Exporter) schema.Export {
	h.t.Helper()
	return h.ask(e, schema.ExportRequest{Events: days, Format: schema.FormatNDJSON})
}

func (h *house) turn(e *exports.Exporter) {
	h.t.Helper()
	e.Turn(h.t.Context())()
}

func (h *house) get(e *exports.Exporter, id uuid.UUID) schema.Export {
	h.t.Helper()
	x, err := e.Get(h.t.Context(), acme, id)
	if err != nil {
		h.t.Fatal(err)
	}
	return x
}

func (h *house) expect(e *exports.Exporter, id uuid.UUID, want schema.ExportState) schema.Export {
	h.t.Helper()
	x := h.get(e, id)
	if x.State != want {
		h.t.Fatalf("%s, %d of %d parts, %q: want %s\n%s", x.State, x.PartsDone, x.Parts, x.Detail,
			want, h.log)
	}
	return x
}

// read returns a file, whose hash and size are those that are told.
func (h *house) read(e *exports.Exporter, x schema.Export, file schema.ExportFile) []byte {
	h.t.Helper()
	f, err := e.Open(h.t.Context(), acme, x.ID, file.Name)
	if err != nil {
		h.t.Fatal(err)
	}
	content, err := io.ReadAll(f)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		h.t.Error(err)
	}
	if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != file.SHA256 ||
		int64(len(content)) != file.Bytes {
		h.t.Errorf("%s: %d bytes, told %+v", file.Name, len(content), file)
	}
	return content
}

// sum adds up the quantities of an NDJSON export.
func (h *house) sum(e *exports.Exporter, x schema.Export) (sum schema.Quantity, rows int64) {
	h.t.Helper()
	for _, file := range x.Files {
		d := json.NewDecoder(bytes.NewReader(h.read(e, x, file)))
		for {
			var row struct{ Quantity string }
			err := d.Decode(&row)
			if err == io.EOF {
				break
			}
			if err != nil {
				h.t.Fatal(err)
			}
			q, err := schema.ParseQuantity(row.Quantity)
			if err != nil {
				h.t.Fatal(err)
			}
			sum, rows = sum.Add(q), rows+1
		}
	}
	return sum, rows
}

// whole fails the test unless an export's files are all of the usage.
func (h *house) whole(e *exports.Exporter, x schema.Export) {
	h.t.Helper()
	sum, rows := h.sum(e, x)
	if sum != schema.WholeQuantity(total) || rows != 301 || x.Rows != 301 {
		h.t.Errorf("the files have %d rows of %v, told %d, want 301 of %d",
			rows, sum, x.Rows, total)
	}
}

// names lists a folder of files and what is in its folders.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, filepath.Base(path))
		}
		return nil
	})
	return all
}

// gate is a node's disk that stops at a file of a name until it is told to go on.
type gate struct {
	name    string
	reached chan struct{}
	open    chan struct{}
}

func newGate(name string) *gate {
	return &gate{name, make(chan struct{}), make(chan struct{})}
}

func (g *gate) create(name string) (exports.File, error) {
	if filepath.Base(name) == g.name+".part" {
		close(g.reached)
		<-g.open
	}
	return exports.CreateFile(name)
}

// failing is a file that takes some bytes and no more.
type failing struct {
	exports.File
	left int
	err  error
}

func (f *failing) Write(p []byte) (int, error) {
	n := min(len(p), f.left)
	f.left -= n
	if n, err := f.File.Write(p[:n]); err != nil || f.left > 0 {
		return n, err
	}
	return n, f.err
}
