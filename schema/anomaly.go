package schema

import (
	"time"

	"github.com/google/uuid"
)

// AnomaliesParams asks for the UTC hours that start in [From, To) in which an agent used far more or
// far less of a usage type than it does at that hour of the week.
type AnomaliesParams struct {
	Organization uuid.UUID
	Agent        uuid.UUID // zero: every one
	From, To     time.Time
	Limit        int
}

// Anomaly is an hour of an agent outside its own rhythm.
type Anomaly struct {
	Agent     uuid.UUID
	Hour      time.Time
	UsageType string
	Quantity  Quantity // used
	Expected  Quantity // the median of the hours it is compared with
	Low, High Quantity // the bounds of what would have been no anomaly
	Hours     int64    // it was compared with
	// Score is how many of its usual deviations the hour is away, times 100; negative: less than
	// usual.
	Score int64
}
