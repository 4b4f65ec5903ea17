package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

const eventTime = "2006-01-02T15:04:05.000Z"

// How a request of several events is written.
const (
	formatNDJSON = "ndjson"
	formatArray  = "array"
)

// appendBatch appends the body of a request and returns it with its content type. A single
// event is sent as one object.
func appendBatch(
	dst []byte, format string, count int, appendEvent func(dst []byte, i int) []byte,
) ([]byte, string) {
	if count == 1 {
		return appendEvent(dst, 0), "application/json"
	}
	if format == formatArray {
		dst = append(dst, '[')
		for i := range count {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendEvent(dst, i)
		}
		return append(dst, ']'), "application/json"
	}
	for i := range count {
		dst = append(appendEvent(dst, i), '\n')
	}
	return dst, "application/x-ndjson"
}

// An eventWriter writes native events. Provider and model are the same in all of them.
type eventWriter struct{ labels []byte }

func newEventWriter(provider, model string) eventWriter {
	var labels []byte
	for _, label := range []struct{ name, value string }{
		{"provider", provider}, {"model", model},
	} {
		if label.value == "" {
			continue
		}
		text, err := json.Marshal(label.value)
		if err != nil {
			panic("event: a string does not marshal: " + err.Error())
		}
		labels = append(labels, `,"`+label.name+`":`...)
		labels = append(labels, text...)
	}
	return eventWriter{labels: labels}
}

// appendTraced appends the event of a trace's line.
func (w eventWriter) appendTraced(dst []byte, p *plan, e planned) []byte {
	dst = append(dst, `{"id":"`...)
	dst = p.appendID(dst, e)
	dst = append(dst, `","time":"`...)
	dst = e.at.AppendFormat(dst, eventTime)
	dst = append(dst, '"')
	dst = append(dst, w.labels...)
	dst = append(dst, `,"usage":{"INPUT":`...)
	dst = strconv.AppendInt(dst, e.line.input, 10)
	dst = append(dst, `,"OUTPUT":`...)
	dst = strconv.AppendInt(dst, e.line.output, 10)
	return append(dst, "}}"...)
}

// An eventsAnswer is the answer to POST /v1/events.
type eventsAnswer struct {
	Accepted   int64 `json:"accepted"`
	Duplicates int64 `json:"duplicates"`
	Rejected   []struct {
		Index   int    `json:"index"`
		Field   string `json:"field"`
		Message string `json:"message"`
	} `json:"rejected"`
}

// decodeEventsAnswer reads the answer to a request of so many events. It is an error unless
// every one of them was accepted or is a known duplicate.
func decodeEventsAnswer(status int, body []byte, events int) (eventsAnswer, error) {
	if status != fasthttp.StatusCreated {
		return eventsAnswer{}, fmt.Errorf("%d: %s", status, problemText(body))
	}
	var answer eventsAnswer
	if err := json.Unmarshal(body, &answer); err != nil {
		return eventsAnswer{}, fmt.Errorf("answer: %w", err)
	}
	if len(answer.Rejected) > 0 {
		first := answer.Rejected[0]
		return eventsAnswer{}, fmt.Errorf("%d of %d events rejected, the first: event %d, %s: %s",
			len(answer.Rejected), events, first.Index, first.Field, first.Message)
	}
	if answer.Accepted < 0 || answer.Duplicates < 0 ||
		answer.Accepted+answer.Duplicates != int64(events) {
		return eventsAnswer{}, fmt.Errorf("answer: %d accepted and %d duplicates of %d events",
			answer.Accepted, answer.Duplicates, events)
	}
	return answer, nil
}

// problemText says what a problem document or a body of rejections says, else the body's
// beginning.
func problemText(body []byte) string {
	var problem struct {
		Title  string `json:"title"`
		Detail string `json:"detail"`
		Errors []struct {
			Index   *int   `json:"index"`
			Field   string `json:"field"`
			Message string `json:"message"`
		} `json:"errors"`
		Rejected []struct {
			Index   int    `json:"index"`
			Field   string `json:"field"`
			Message string `json:"message"`
		} `json:"rejected"`
	}
	if err := json.Unmarshal(body, &problem); err == nil {
		text := problem.Title
		if problem.Detail != "" {
			text += ": " + problem.Detail
		}
		if len(problem.Errors) > 0 {
			e := problem.Errors[0]
			text += "; " + e.Field + ": " + e.Message
		}
		if len(problem.Rejected) > 0 {
			e := problem.Rejected[0]
			text += fmt.Sprintf("event %d, %s: %s", e.Index, e.Field, e.Message)
		}
		if text != "" {
			return text
		}
	}
	return fmt.Sprintf("%.300q", body)
}

// runID makes the prefix of a run's ids: the start's second and a random part, so that two runs
// never share an id.
func runID(start time.Time, random uint64) string {
	return "lt-" + start.UTC().Format("20060102T150405") + "-" +
		strconv.FormatUint(random&(1<<40-1), 36)
}
