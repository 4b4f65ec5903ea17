package memori

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"slices"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// periodBytesMax is how much text of one period's logs is held to be put in order. Of a period with
// more, as much at a time is ordered by itself.
const periodBytesMax = 4 << 20

// logWriter writes an answer as rows come: one log for each period, user and agent that used
// something Memori counts, ordered by period, user's name, memori's name. It holds one period.
type logWriter struct {
	w        *bufio.Writer
	snapshot *access.Snapshot
	params   dialect.ConsumptionLogsParams

	key   logKey // of tally
	tally *tally // nil: no log is under way

	period []encodedLog
	bytes  int // of period
	some   bool
}

// encodedLog is a log's text, and what orders it within its period.
type encodedLog struct {
	userName, memoriName, userID, memoriID string
	text                                   []byte
}

const (
	listBegin = `{"consumptionLogs":[`
	listNull  = `{"consumptionLogs":null`
)

func newLogWriter(
	w io.Writer, s *access.Snapshot, p dialect.ConsumptionLogsParams,
) *logWriter {
	const gathered = 32 << 10
	l := &logWriter{w: bufio.NewWriterSize(w, gathered), snapshot: s, params: p}
	_, _ = l.w.WriteString(listBegin) // an error stays in it until close
	return l
}

// row takes the next row: they are ordered by period, and those of a log come together.
func (l *logWriter) row(row dialect.Consumption) error {
	// What was corrected away counts nothing, whether or not a merge has removed its row yet.
	if !counted(row.UsageType) || row.Quantity.Sign() == 0 {
		return nil
	}
	key := logKey{row.Start.UTC(), row.User, row.Agent}
	if l.tally == nil || key != l.key {
		if err := l.endLog(); err != nil {
			return err
		}
		if key.start != l.key.start {
			if err := l.endPeriod(); err != nil {
				return err
			}
		}
		l.key = key
		l.tally = &tally{
			prompt:     make(map[string]schema.Quantity),
			completion: make(map[string]schema.Quantity),
		}
	}
	l.tally.add(row)
	return nil
}

func (l *logWriter) endLog() error {
	if l.tally == nil {
		return nil
	}
	log := encodeLog(l.snapshot, l.params, l.key, l.tally)
	l.tally = nil
	text, err := json.Marshal(log)
	if err != nil {
		return err
	}
	value := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	l.period = append(l.period, encodedLog{
		value(log.UserName), value(log.MemoriName), value(log.UserID), value(log.MemoriID), text,
	})
	if l.bytes += len(text); l.bytes > periodBytesMax {
		return l.endPeriod()
	}
	return nil
}

func (l *logWriter) endPeriod() error {
	slices.SortFunc(l.period, func(a, b encodedLog) int {
		return cmp.Or(
			cmp.Compare(a.userName, b.userName),
			cmp.Compare(a.memoriName, b.memoriName),
			cmp.Compare(a.userID, b.userID), // two of one name keep an order
			cmp.Compare(a.memoriID, b.memoriID),
		)
	})
	for _, log := range l.period {
		if l.some {
			_ = l.w.WriteByte(',') // as its error
		}
		l.some = true
		if _, err := l.w.Write(log.text); err != nil {
			return err
		}
	}
	clear(l.period)
	l.period, l.bytes = l.period[:0], 0
	return nil
}

// close writes what is left, and an answer's other members, whose logs are null.
func (l *logWriter) close(answer []byte) error {
	if err := l.endLog(); err != nil {
		return err
	}
	if err := l.endPeriod(); err != nil {
		return err
	}
	_ = l.w.WriteByte(']') // as Flush's error
	_, _ = l.w.Write(bytes.TrimPrefix(answer, []byte(listNull)))
	return l.w.Flush()
}
