package schema

import (
	"time"

	"github.com/google/uuid"
)

// ExportFormat is how rows are written to a file.
type ExportFormat string

// The formats.
const (
	FormatJSON    ExportFormat = "json" // answers only; exports have NDJSON
	FormatNDJSON  ExportFormat = "ndjson"
	FormatCSV     ExportFormat = "csv"
	FormatParquet ExportFormat = "parquet"
	FormatArrow   ExportFormat = "arrow" // the IPC stream
)

// ExportState says how far an export is.
type ExportState string

// The states.
const (
	ExportQueued   ExportState = "queued"
	ExportRunning  ExportState = "running"
	ExportDone     ExportState = "done"
	ExportFailed   ExportState = "failed"
	ExportCanceled ExportState = "canceled"
	ExportExpired  ExportState = "expired" // its files are gone
)

// ExportRequest asks for a saved export. Exactly one of Query and Events is what.
type ExportRequest struct {
	Organization uuid.UUID
	By           uuid.UUID    // the user who asks
	User         uuid.UUID    // zero: every user's usage; else this one's only
	Query        *UsageQuery  // the rows of a usage query
	Events       *EventsRange // the ledger's measurements themselves
	Format       ExportFormat // not JSON
	Destination  string       // empty: files to download; else the name of a configured S3 bucket
	Key          string       // By's idempotency key: the same one, the same export; empty: none
}

// EventsRange asks for the measurements of events whose time is in [From, To).
type EventsRange struct{ From, To time.Time }

// Export is a background job that writes files.
type Export struct {
	ID        uuid.UUID
	Request   ExportRequest
	State     ExportState
	Parts     int   // it is made in so many parts
	PartsDone int   // of which these are written
	Rows      int64 // written so far
	Bytes     int64
	Files     []ExportFile
	Detail    string // of a failed one: why, and what to do
	CreatedAt time.Time
	EndedAt   time.Time // zero: not yet
	ExpiresAt time.Time // when its files go; zero: not done
}

// ExportFile is a file of an export.
type ExportFile struct {
	Name   string
	Rows   int64
	Bytes  int64
	SHA256 string // lower-case hexadecimal; empty where the file is not here
}
