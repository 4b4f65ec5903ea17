package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	traceLinesMax    = 20_000_000
	traceProblemsMax = 10
	tokensMax        = 999_999_999_999 // the API's limit: 12 integer digits
)

var traceHeader = []string{"TIMESTAMP", "ContextTokens", "GeneratedTokens"}

// A traceLine is one request of a trace.
type traceLine struct {
	atNanos       int64 // since 1970, UTC
	input, output int64 // tokens
	file, line    int32 // where it stands, both from 1
}

// readTraces reads trace files and merges them in the order of time. Lines of one instant keep
// the order of the files.
func readTraces(names []string) ([]traceLine, error) {
	var lines []traceLine
	for i, name := range names {
		file, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("trace: %w", err)
		}
		more, err := decodeTrace(name, i+1, file)
		file.Close()
		if err != nil {
			return nil, err
		}
		lines = append(lines, more...)
	}
	slices.SortStableFunc(lines, func(a, b traceLine) int {
		switch {
		case a.atNanos < b.atNanos:
			return -1
		case a.atNanos > b.atNanos:
			return 1
		default:
			return 0
		}
	})
	return lines, nil
}

// decodeTrace reads one CSV of TIMESTAMP,ContextTokens,GeneratedTokens. It is total: any bytes
// give at least one line, or an error that names the file and the first bad lines; never both.
func decodeTrace(name string, file int, r io.Reader) ([]traceLine, error) {
	reader := csv.NewReader(r)
	reader.FieldsPerRecord = len(traceHeader)
	reader.ReuseRecord = true
	header, err := reader.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: empty file", name)
	}
	if err != nil {
		return nil, traceProblem(name, 1, err)
	}
	header[0] = strings.TrimPrefix(header[0], "\ufeff")
	if !slices.Equal(header, traceHeader) {
		return nil, fmt.Errorf("%s:1: want the header %s", name, strings.Join(traceHeader, ","))
	}
	lines, problems := decodeTraceLines(name, file, reader)
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("%s: no lines after the header", name)
	}
	return lines, nil
}

func decodeTraceLines(name string, file int, reader *csv.Reader) ([]traceLine, []error) {
	var lines []traceLine
	var problems []error
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return lines, problems
		}
		var malformed *csv.ParseError
		if err != nil && !errors.As(err, &malformed) {
			return nil, append(problems, fmt.Errorf("%s: %w", name, err))
		}
		number := 0
		var line traceLine
		if err == nil {
			number, _ = reader.FieldPos(0)
			line, err = decodeTraceLine(record)
		}
		if err != nil {
			problems = append(problems, traceProblem(name, number, err))
			if len(problems) == traceProblemsMax {
				return nil, append(problems, fmt.Errorf("%s: too many bad lines", name))
			}
			continue
		}
		if len(lines) == traceLinesMax {
			err := fmt.Errorf("%s:%d: more than %d lines", name, number, traceLinesMax)
			return nil, append(problems, err)
		}
		line.file, line.line = int32(file), int32(number)
		lines = append(lines, line)
	}
}

func traceProblem(name string, line int, err error) error {
	var malformed *csv.ParseError
	if errors.As(err, &malformed) {
		return fmt.Errorf("%s:%d: %w", name, malformed.Line, malformed.Err)
	}
	return fmt.Errorf("%s:%d: %w", name, line, err)
}

func decodeTraceLine(record []string) (traceLine, error) {
	at, err := decodeTraceTime(record[0])
	if err != nil {
		return traceLine{}, err
	}
	input, err := decodeTokens("ContextTokens", record[1])
	if err != nil {
		return traceLine{}, err
	}
	output, err := decodeTokens("GeneratedTokens", record[2])
	if err != nil {
		return traceLine{}, err
	}
	return traceLine{atNanos: at.UnixNano(), input: input, output: output}, nil
}

// decodeTraceTime reads "2023-11-16 18:17:03.9799600" as UTC. An offset behind it, as later
// releases of the public traces have, is honoured.
func decodeTraceTime(text string) (time.Time, error) {
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00"} {
		at, err := time.Parse(layout, text)
		// Outside these years a time does not fit into int64 nanoseconds.
		if err == nil && at.Year() >= 1970 && at.Year() <= 2200 {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("TIMESTAMP %.40q: want 2023-11-16 18:17:03.9799600", text)
}

func decodeTokens(column, text string) (int64, error) {
	tokens, err := strconv.ParseInt(text, 10, 64)
	if err != nil || tokens < 0 || tokens > tokensMax {
		return 0, fmt.Errorf("%s %.40q: want an integer from 0 to %d", column, text, tokensMax)
	}
	return tokens, nil
}
