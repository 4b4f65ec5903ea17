package exports_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/exports"
)

// store is a bucket in memory.
type store struct {
	*s3mem.Backend
	address string
}

func newStore(t *testing.T) *store {
	t.Helper()
	s := &store{Backend: s3mem.New()}
	if err := s.CreateBucket("usage"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(s.Backend).Server())
	t.Cleanup(server.Close)
	s.address = server.URL + "/usage/daily/"
	return s
}

// objects returns what is in the bucket below a prefix, by key.
func (s *store) objects(t *testing.T) (keys []string, contents [][]byte) {
	t.Helper()
	list, err := s.ListBucket("usage", nil, gofakes3.ListBucketPage{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list.Contents {
		o, err := s.GetObject("usage", c.Key, nil)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(o.Contents)
		if err != nil {
			t.Fatal(err)
		}
		keys, contents = append(keys, c.Key), append(contents, content)
	}
	return keys, contents
}

const secretKey = "the-secret-of-the-bucket"

// to makes a node know buckets: one that is there, one of another organization, and one that is not
// there.
func (s *store) to(c *exports.Config) {
	b := exports.Bucket{URL: s.address, KeyID: "AKIATEST", SecretKey: secretKey}
	gone, theirs := b, b
	gone.URL = strings.Replace(s.address, "/usage/", "/gone/", 1)
	theirs.Organization = named("globex")
	c.Buckets = map[string]exports.Bucket{"warehouse": b, "gone": gone, "theirs": theirs}
}

// TestToABucket writes the ledger and the answer of a query to a bucket.
func TestToABucket(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := newStore(t)
	dir := folder(t)
	e := h.node("a", dir, s.to)
	here := h.ask(e, schema.ExportRequest{Events: days, Format: schema.FormatCSV})
	h.turn(e)
	x := h.ask(e, schema.ExportRequest{
		Events: days, Format: schema.FormatCSV, Destination: "warehouse",
	})
	h.turn(e)
	here, x = h.expect(e, here.ID, schema.ExportDone), h.expect(e, x.ID, schema.ExportDone)
	keys, contents := s.objects(t)
	for i, key := range keys {
		want := fmt.Sprintf("daily/%s/%s/part-%05d.csv", acme, x.ID, i+1)
		if key != want || x.Files[i].Bytes != int64(len(contents[i])) {
			t.Errorf("object %s of %d bytes, want %s: %+v", key, len(contents[i]), want, x.Files[i])
		}
		sameTable(t, h.read(e, here, here.Files[i]), contents[i])
	}
	if len(keys) != 3 || x.Rows != 301 || !x.ExpiresAt.IsZero() {
		t.Errorf("%v: %+v", keys, x)
	}
	_, err := e.Open(t.Context(), acme, x.ID, x.Files[0].Name)
	if schema.KindOf(err) != schema.NotFound {
		t.Errorf("a file of what is in a bucket: %v", err)
	}
	q := h.ask(e, schema.ExportRequest{
		Query: &schema.UsageQuery{
			Organization: acme, From: days.From, To: days.To, Granularity: schema.Day,
			Zone: time.UTC, GroupBy: []schema.Dimension{schema.DimensionUsageType},
		},
		Format: schema.FormatNDJSON, Destination: "warehouse",
	})
	h.turn(e)
	q = h.expect(e, q.ID, schema.ExportDone)
	keys, contents = s.objects(t)
	i := slices.Index(keys, fmt.Sprintf("daily/%s/%s/part-00001.ndjson", acme, q.ID))
	if i < 0 || int64(len(contents[i])) != q.Bytes || q.Rows != 3 ||
		bytes.Count(contents[i], []byte(`"usage_type":"INPUT"`)) != 3 {
		t.Errorf("%v: %+v", keys, q)
	}
	h.turn(e)
	left := names(t, dir)
	if strings.Contains(strings.Join(left, " "), "ndjson") {
		t.Errorf("on the node is still %v", left)
	}
}

// sameTable compares the rows that we write with those that the engine writes. Their times differ
// in how many zeros they end with.
func sameTable(t *testing.T, ours, theirs []byte) {
	t.Helper()
	a, err := csv.NewReader(bytes.NewReader(ours)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	b, err := csv.NewReader(bytes.NewReader(theirs)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(a) != len(b) {
		t.Fatalf("%d rows, and %d of the engine's", len(a), len(b))
	}
	for i := range a {
		for k := range a[i] {
			x, y := a[i][k], b[i][k]
			if at, err := time.Parse(time.RFC3339, x); err == nil {
				if other, err := time.Parse(time.RFC3339, y); err == nil && at.Equal(other) {
					continue
				}
			}
			if x == "" && y == `\N` {
				continue // null, as each writes it
			}
			if x != y {
				t.Fatalf("row %d, %s: %q, and the engine's %q", i, a[0][k], x, y)
			}
		}
	}
}

// TestBucketIsTakenOver: what is in a bucket is everybody's, so that another node goes on where the
// first one was.
func TestBucketIsTakenOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := newStore(t)
	a, b := h.node("a", folder(t), s.to), h.node("b", folder(t), s.to)
	x := h.ask(a, schema.ExportRequest{
		Events: days, Format: schema.FormatParquet, Destination: "warehouse",
	})
	a.Turn(t.Context())
	for h.get(a, x.ID).PartsDone == 0 {
		time.Sleep(time.Millisecond)
	}
	a.Stop()
	done := h.get(b, x.ID).PartsDone
	stranger := h.node("c", folder(t), nil)
	h.pass(2 * time.Minute)
	h.turn(stranger) // it does not know the bucket
	if h.get(b, x.ID).PartsDone != done {
		t.Error("a node without the bucket has taken it")
	}
	h.turn(b)
	x = h.expect(b, x.ID, schema.ExportDone)
	if keys, _ := s.objects(t); len(keys) != 3 || x.Rows != 301 {
		t.Errorf("%v: %+v", keys, x)
	}
}

// TestBucketRefuses: a bucket that is not there, and one that is another's. Neither tells its
// secret.
func TestBucketRefuses(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := newStore(t)
	e := h.node("a", folder(t), s.to)
	r := schema.ExportRequest{
		Organization: acme, By: ada, Events: days, Format: schema.FormatCSV, Destination: "theirs",
	}
	if _, err := e.Create(t.Context(), r); schema.KindOf(err) != schema.Unreadable {
		t.Errorf("another's bucket: %v", err)
	}
	r.Destination = "gone"
	x := h.ask(e, r)
	for range 8 {
		h.turn(e)
		h.pass(time.Minute)
	}
	x = h.expect(e, x.ID, schema.ExportFailed)
	log := h.log.String()
	if strings.Contains(x.Detail+log, secretKey) || strings.Contains(x.Detail+log, "AKIATEST") ||
		strings.Contains(x.Detail, "gone") || !strings.Contains(log, "bucket") {
		t.Errorf("told %q, logged %s", x.Detail, log)
	}
}
