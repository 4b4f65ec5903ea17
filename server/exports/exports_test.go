package exports_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/exports"
)

// TestExport makes exports of the ledger in every format, and looks after them until they are gone.
func TestExport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	dir := folder(t)
	e := h.node("a", dir, nil)
	x := h.events(e)
	if x.State != schema.ExportQueued || x.Parts != 3 || len(x.Files) != 0 {
		t.Errorf("a new one: %+v", x)
	}
	h.turn(e)
	x = h.expect(e, x.ID, schema.ExportDone)
	h.whole(e, x)
	if x.PartsDone != 3 || !x.ExpiresAt.Equal(h.clock().Add(24*time.Hour)) {
		t.Errorf("a done one: %+v", x)
	}
	for _, name := range names(t, dir) {
		info, err := os.Stat(filepath.Join(dir, x.ID.String(), name))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	for _, name := range []string{"", "..", "part-00004.ndjson", "../../etc/passwd",
		"part-00001.ndjson.part", "../" + x.ID.String() + "/part-00001.ndjson"} {
		if _, err := e.Open(t.Context(), acme, x.ID, name); schema.KindOf(err) != schema.NotFound {
			t.Errorf("a file %q: %v", name, err)
		}
	}
	for _, of := range [][2]uuid.UUID{{named("globex"), x.ID}, {acme, named("nothing")}} {
		_, err := e.Get(t.Context(), of[0], of[1])
		_, opened := e.Open(t.Context(), of[0], of[1], x.Files[0].Name)
		canceled := e.Cancel(t.Context(), of[0], of[1])
		for _, err := range []error{err, opened, canceled} {
			if schema.KindOf(err) != schema.NotFound {
				t.Errorf("export %s of %s: %v", of[1], of[0], err)
			}
		}
	}
	own := h.ask(e, schema.ExportRequest{Events: days, User: ada, Format: schema.FormatParquet})
	h.turn(e)
	own = h.expect(e, own.ID, schema.ExportDone)
	sum := schema.Quantity{}
	for _, file := range own.Files {
		sum = sum.Add(parquetSum(t, h.read(e, own, file)))
	}
	if sum != schema.WholeQuantity(150*150) { // 1 + 3 + … + 299
		t.Errorf("the parquet sums up to %v", sum)
	}
	for _, format := range []schema.ExportFormat{schema.FormatCSV, schema.FormatArrow} {
		x := h.ask(e, schema.ExportRequest{Events: days, Format: format})
		h.turn(e)
		x = h.expect(e, x.ID, schema.ExportDone)
		h.read(e, x, x.Files[0])
	}
	h.pass(24 * time.Hour)
	if x := h.get(e, x.ID); x.State != schema.ExportExpired || len(x.Files) > 0 {
		t.Errorf("a day later: %+v", x)
	}
	_, err := e.Open(t.Context(), acme, x.ID, x.Files[0].Name)
	if schema.KindOf(err) != schema.NotFound || !strings.Contains(err.Error(), "expired") {
		t.Errorf("a file a day later: %v", err)
	}
	h.turn(e)
	if left := names(t, dir); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
	all, err := e.List(t.Context(), acme)
	if err != nil || len(all) != 4 || all[0].State != schema.ExportExpired {
		t.Errorf("%d are listed: %v", len(all), err)
	}
}

// parquetSum adds up the column quantity.
func parquetSum(t *testing.T, content []byte) (sum schema.Quantity) {
	t.Helper()
	r, err := file.NewParquetReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	a, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	table, err := a.ReadTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	column := table.Column(table.Schema().FieldIndices("quantity")[0])
	for _, chunk := range column.Data().Chunks() {
		values := chunk.(*array.Decimal128)
		for i := range values.Len() {
			q, err := schema.ParseQuantity(values.ValueStr(i))
			if err != nil {
				t.Fatal(err)
			}
			sum = sum.Add(q)
		}
	}
	return sum
}

// TestGoesOnWhereItWas leaves what a node leaves that is killed in its second part: that part half
// written, and a third one written and not noted.
func TestGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	dir := folder(t)
	e := h.node("a", dir, nil)
	disk := newGate("part-00002.ndjson")
	e.SetCreate(disk.create)
	x := h.events(e)
	wait := e.Turn(t.Context())
	<-disk.reached
	stopped := make(chan struct{})
	go func() { defer close(stopped); e.Stop() }()
	for {
		// The job must find that it is to end when it goes on.
		if _, err := e.Get(t.Context(), acme, x.ID); err == nil && e.Stopping() {
			break
		}
	}
	close(disk.open)
	wait()
	<-stopped
	x = h.expect(e, x.ID, schema.ExportRunning)
	if x.PartsDone != 1 {
		t.Fatalf("%d parts are noted", x.PartsDone)
	}
	for _, name := range []string{"part-00002.ndjson.part", "part-00003.ndjson", "stray"} {
		half := filepath.Join(dir, x.ID.String(), name)
		if err := os.WriteFile(half, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "orphan", "deep"), 0o700); err != nil {
		t.Fatal(err)
	}
	again := h.node("a", dir, nil)
	var made []string
	again.SetCreate(func(name string) (exports.File, error) {
		made = append(made, filepath.Base(name))
		return exports.CreateFile(name)
	})
	h.turn(again)
	x = h.expect(again, x.ID, schema.ExportDone)
	h.whole(again, x)
	// Without the look at export_parts in run the first part is made again.
	want := []string{"part-00002.ndjson.part", "part-00003.ndjson.part"}
	if !slices.Equal(made, want) {
		t.Errorf("made %v, want %v", made, want)
	}
	want = []string{"part-00001.ndjson", "part-00002.ndjson", "part-00003.ndjson"}
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("the folder has %v", got)
	}
}

// TestLostFileIsMadeAgain: what is noted and not there, or not as it was, is not taken for made.
func TestLostFileIsMadeAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	dir := folder(t)
	e := h.node("a", dir, nil)
	e.SetCreate(func(name string) (exports.File, error) {
		if filepath.Base(name) == "part-00003.ndjson.part" {
			return nil, errors.New("not now")
		}
		return exports.CreateFile(name)
	})
	x := h.events(e)
	h.turn(e)
	if x := h.expect(e, x.ID, schema.ExportRunning); x.PartsDone != 2 {
		t.Fatalf("%d parts are noted", x.PartsDone)
	}
	of := filepath.Join(dir, x.ID.String())
	err := errors.Join(os.Remove(filepath.Join(of, "part-00001.ndjson")),
		os.Truncate(filepath.Join(of, "part-00002.ndjson"), 10))
	if err != nil {
		t.Fatal(err)
	}
	e.SetCreate(exports.CreateFile)
	h.turn(e)
	h.expect(e, x.ID, schema.ExportRunning) // it waits a little
	h.pass(10 * time.Second)
	h.turn(e)
	h.whole(e, h.expect(e, x.ID, schema.ExportDone))
}

// TestAnotherNodeTakesOver once a node was not heard of for its lease, and not before. The first
// one then ends its job, and what it has goes.
func TestAnotherNodeTakesOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	dirs := []string{folder(t), folder(t)}
	a, b := h.node("a", dirs[0], nil), h.node("b", dirs[1], nil)
	disk := newGate("part-00002.ndjson")
	a.SetCreate(disk.create)
	x := h.events(a)
	wait := a.Turn(t.Context())
	<-disk.reached
	h.pass(30 * time.Second)
	a.Turn(t.Context()) // renews the lease
	h.pass(45 * time.Second)
	b.Turn(t.Context())
	if r := b.Running(); len(r) > 0 { // with LeaseUntil left out of mayTake it is
		close(disk.open)
		t.Fatal("taken over while its node was heard of")
	}
	h.pass(16 * time.Second)
	h.turn(b)
	x = h.expect(b, x.ID, schema.ExportDone)
	h.whole(b, x)
	_, err := a.Open(t.Context(), acme, x.ID, x.Files[0].Name)
	if schema.KindOf(err) != schema.Unavailable {
		t.Errorf("the other node's file: %v", err)
	}
	close(disk.open)
	a.Turn(t.Context())
	wait()
	if h.get(a, x.ID).State != schema.ExportDone || x.Rows != 301 {
		t.Errorf("the first node's end changed it: %+v", h.get(a, x.ID))
	}
	h.turn(a)
	if left := names(t, dirs[0]); len(left) > 0 {
		t.Errorf("the first node still has %v", left)
	}
	h.whole(b, h.get(b, x.ID))
}

// TestCancel ends an export while it is made, on its node and on another, and one that is done.
func TestCancel(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	dir := folder(t)
	a, b := h.node("a", dir, nil), h.node("b", folder(t), nil)
	for i, by := range []*exports.Exporter{a, b} {
		disk := newGate("part-00002.ndjson")
		a.SetCreate(disk.create)
		x := h.events(a)
		a.Turn(t.Context())
		<-disk.reached
		canceled := make(chan error, 1)
		go func() { canceled <- by.Cancel(t.Context(), acme, x.ID) }()
		for h.get(b, x.ID).State != schema.ExportCanceled {
			time.Sleep(time.Millisecond)
		}
		if i == 1 {
			a.Turn(t.Context()) // looks, and learns it
		}
		close(disk.open)
		if err := <-canceled; err != nil {
			t.Fatal(err)
		}
		for len(a.Running()) > 0 {
			time.Sleep(time.Millisecond)
		}
		h.turn(a)
		if x := h.expect(b, x.ID, schema.ExportCanceled); x.PartsDone != 1 || x.EndedAt.IsZero() {
			t.Errorf("%+v", x)
		}
		if left := names(t, dir); len(left) > 0 {
			t.Errorf("files are left: %v", left)
		}
	}
	a.SetCreate(exports.CreateFile)
	x := h.events(a)
	h.turn(a)
	h.expect(a, x.ID, schema.ExportDone)
	for range 2 {
		if err := a.Cancel(t.Context(), acme, x.ID); err != nil {
			t.Error(err)
		}
	}
	if left := names(t, dir); len(left) > 0 {
		t.Errorf("files of a done one are left: %v", left)
	}
}

// TestNoRoom: a full disk and a full share of it each end an export with what to do, and leave
// nothing on the disk.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	f := func(format schema.ExportFormat, bytesMax int64, err error, want string) {
		t.Helper()
		dir := folder(t)
		e := h.node(fmt.Sprint(format, want), dir, func(c *exports.Config) {
			c.BytesMax = bytesMax
		})
		e.SetCreate(func(name string) (exports.File, error) {
			f, cannot := exports.CreateFile(name)
			if err != nil {
				return &failing{f, 1000, err}, cannot
			}
			return f, cannot
		})
		x := h.ask(e, schema.ExportRequest{Events: days, Format: format})
		h.turn(e)
		x = h.expect(e, x.ID, schema.ExportFailed)
		if !strings.Contains(x.Detail, want) || x.EndedAt.IsZero() {
			t.Errorf("%s: %q, want %q", format, x.Detail, want)
		}
		if left := names(t, dir); len(left) > 0 {
			t.Errorf("files are left: %v", left)
		}
	}
	for _, format := range []schema.ExportFormat{
		schema.FormatNDJSON, schema.FormatCSV, schema.FormatParquet, schema.FormatArrow,
	} {
		f(format, 0, &os.PathError{Op: "write", Err: syscall.ENOSPC}, "the disk is full")
		f(format, 1500, nil, "all the room")
	}
}

// TestTriesAgainAndGivesUp: a failure that nobody knows is tried again, later each time, and told
// in the end.
func TestTriesAgainAndGivesUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := h.node("a", folder(t), nil)
	tries := 0
	e.SetCreate(func(string) (exports.File, error) {
		tries++
		return nil, errors.New("cause-of-the-test")
	})
	x := h.events(e)
	for range 20 {
		h.turn(e)
		h.turn(e) // too early
		h.pass(time.Minute)
	}
	x = h.expect(e, x.ID, schema.ExportFailed)
	if tries != 8 || strings.Contains(x.Detail, "cause") ||
		!strings.Contains(h.log.String(), "cause") {
		t.Errorf("%d tries, told %q", tries, x.Detail)
	}
}

// TestOneAtATime: an organization's exports are made one after the other, others' beside them.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := h.node("a", folder(t), nil)
	disk := newGate("part-00001.ndjson")
	e.SetCreate(disk.create)
	first := h.events(e)
	h.pass(time.Second)
	second := h.ask(e, schema.ExportRequest{Events: days, Format: schema.FormatCSV})
	other, err := e.Create(t.Context(), schema.ExportRequest{
		Organization: named("globex"), By: ada, Events: days, Format: schema.FormatCSV,
	})
	if err != nil {
		t.Fatal(err)
	}
	wait := e.Turn(t.Context())
	<-disk.reached
	running := e.Running()
	close(disk.open)
	wait()
	if len(running) != 2 || !slices.Contains(running, first.ID) ||
		!slices.Contains(running, other.ID) {
		t.Errorf("%v are made, of %v, %v and %v", running, first.ID, second.ID, other.ID)
	}
	h.turn(e)
	h.expect(e, second.ID, schema.ExportDone)
}

// TestKeysAndLimits: the same key is the same export, and another one's if it asks another thing;
// and so many are kept.
func TestKeysAndLimits(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := h.node("a", folder(t), nil)
	r := schema.ExportRequest{
		Organization: acme, By: ada, Events: days, Format: schema.FormatCSV, Key: "k",
	}
	first := h.ask(e, r)
	h.pass(time.Hour)
	if again := h.ask(e, r); again.ID != first.ID || !again.CreatedAt.Equal(first.CreatedAt) {
		t.Errorf("the same key made %+v", again)
	}
	r.Format = schema.FormatArrow
	if _, err := e.Create(t.Context(), r); schema.KindOf(err) != schema.Conflict {
		t.Errorf("the same key for another export: %v", err)
	}
	r.By = named("bob")
	if x, err := e.Create(t.Context(), r); err != nil || x.ID == first.ID {
		t.Errorf("another's key: %v, %v", x.ID, err)
	}
	r.Key = ""
	for range 18 {
		h.ask(e, r)
	}
	_, err := e.Create(t.Context(), r)
	if schema.KindOf(err) != schema.Overloaded {
		t.Errorf("one too many: %v", err)
	}
	if err := e.Cancel(t.Context(), acme, first.ID); err != nil {
		t.Fatal(err)
	}
	h.ask(e, r)
	r.Organization, r.Destination = named("globex"), "warehouse"
	if _, err := e.Create(t.Context(), r); schema.KindOf(err) != schema.Unreadable {
		t.Errorf("a bucket nobody configured: %v", err)
	}
}

// TestStartStop: it makes what is asked for without being told, and ends.
func TestStartStop(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := h.node("a", folder(t), func(c *exports.Config) { c.Look = time.Hour })
	e.Start()
	x := h.events(e)
	second := h.events(e) // begins when the first has ended
	for h.get(e, second.ID).State != schema.ExportDone {
		time.Sleep(5 * time.Millisecond)
	}
	h.whole(e, h.get(e, x.ID))
	e.Stop()
}
