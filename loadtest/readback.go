package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	readsAtOnce = 8
	readPoll    = 50 * time.Millisecond
	memoriDay   = "20060102"
)

// A check compares what one read of the API says before and after a run with what was sent.
type check struct {
	source  string // the API and the period, for people
	subject string // the agent or the tenant
	read    func(context.Context) (usage, error)
	sent    usage

	before, now usage
	err         error // of the last read
}

// equal tells whether exactly what was sent has been added.
func (c *check) equal() bool { return c.err == nil && c.now.since(c.before).equal(c.sent) }

// over tells whether more than what was sent has been added: waiting does not mend it.
func (c *check) over() bool { return c.err == nil && c.now.since(c.before).exceeds(c.sent) }

// waiting tells whether another read may find what this one did not.
func (c *check) waiting() bool { return !c.equal() && !c.over() && !lasting(c.err) }

// reader asks the published read APIs.
type reader struct {
	client *client
	token  string // Bearer, for DigitalOcean's route
	memori string // login token, for Memori's
}

// digitalOcean returns an agent's tokens of events with from <= time <= to, whole microseconds.
func (r *reader) digitalOcean(
	ctx context.Context, agentID string, from, to time.Time,
) (usage, error) {
	const instant = "2006-01-02T15:04:05.999999Z"
	query := url.Values{"start": {from.Format(instant)}, "stop": {to.Format(instant)}}
	path := "/v2/gen-ai/agents/" + url.PathEscape(agentID) + "/usage?" + query.Encode()
	body, err := r.get(ctx, path, "Bearer "+r.token)
	if err != nil {
		return nil, err
	}
	return decodeDigitalOcean(body)
}

// decodeDigitalOcean reads the agent's own usage, not what the log-insights feature spent.
func decodeDigitalOcean(body []byte) (usage, error) {
	var answer struct {
		Usage *struct {
			Measurements []struct {
				Tokens    int64  `json:"tokens"`
				UsageType string `json:"usage_type"`
			} `json:"measurements"`
		} `json:"usage"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	if answer.Usage == nil {
		return nil, errors.New("answer: no usage")
	}
	sum := usage{}
	for _, m := range answer.Usage.Measurements {
		if err := sum.add(m.UsageType, m.Tokens); err != nil {
			return nil, err
		}
	}
	return sum, nil
}

// A memoriError is an answer of Memori's routes whose resultCode says no: they always answer
// 200.
type memoriError struct {
	code    int
	message string
}

func (e *memoriError) Error() string {
	return fmt.Sprintf("resultCode %d: %s", e.code, e.message)
}

// consumption returns the tokens of a Memori consumption log, days from and to inclusive, UTC.
// route is Memori or Tenant, subject an agent's id or a tenant's name, kind Daily or Monthly.
func (r *reader) consumption(
	ctx context.Context, route, subject, kind string, from, to time.Time,
) (usage, error) {
	path := "/api/v2/" + route + "ConsumptionLogs/" + url.PathEscape(r.memori) + "/" +
		url.PathEscape(subject) + "/" + kind + "/" +
		from.Format(memoriDay) + "/" + to.Format(memoriDay)
	body, err := r.get(ctx, path, "")
	if err != nil {
		return nil, err
	}
	return decodeConsumption(body)
}

// decodeConsumption adds up the token maps of all rows, as INPUT and OUTPUT.
func decodeConsumption(body []byte) (usage, error) {
	var answer struct {
		ConsumptionLogs []struct {
			PromptTokens     map[string]string `json:"promptTokens"`
			CompletionTokens map[string]string `json:"completionTokens"`
		} `json:"consumptionLogs"`
		ResultCode    *int   `json:"resultCode"`
		ResultMessage string `json:"resultMessage"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	if answer.ResultCode == nil {
		return nil, errors.New("answer: no resultCode")
	}
	if *answer.ResultCode != 0 {
		return nil, &memoriError{code: *answer.ResultCode, message: answer.ResultMessage}
	}
	sum := usage{}
	for _, log := range answer.ConsumptionLogs {
		if err := addTexts(sum, "INPUT", log.PromptTokens); err != nil {
			return nil, err
		}
		if err := addTexts(sum, "OUTPUT", log.CompletionTokens); err != nil {
			return nil, err
		}
	}
	return sum, nil
}

func addTexts(sum usage, kind string, tokens map[string]string) error {
	for key, text := range tokens {
		quantity, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("answer: %s of %q: %q is not an integer", kind, key, text)
		}
		if err := sum.add(kind, quantity); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) get(ctx context.Context, path, authorization string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI(r.client.base + path)
	req.Header.Set("Accept", "application/json")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	if err := r.client.do(req, resp); err != nil {
		return nil, err
	}
	if resp.StatusCode() != http.StatusOK {
		return nil, statusError(resp)
	}
	return append([]byte(nil), resp.Body()...), nil
}

// readBefore takes every check's reading before a run. Reads that fail in passing are repeated
// until the time is up.
func readBefore(ctx context.Context, checks []*check, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	pending := checks
	for {
		readAll(ctx, pending)
		var failed []*check
		for _, c := range pending {
			if c.err != nil {
				failed = append(failed, c)
				continue
			}
			c.before = c.now
		}
		if len(failed) == 0 {
			return nil
		}
		first := failed[0]
		if lasting(first.err) || time.Now().After(deadline) {
			return fmt.Errorf("read before the run: %s of %s: %w",
				first.source, first.subject, first.err)
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
		pending = failed
	}
}

// awaitEqual reads until every check is equal, or one cannot become so any more, or the time is
// up. It returns when the last of them was seen equal; whether all are is for the caller to ask.
func awaitEqual(
	ctx context.Context, con console, checks []*check, limit time.Duration,
) (time.Time, error) {
	began := time.Now()
	deadline := began.Add(limit)
	pending := checks
	var left atomic.Int64
	left.Store(int64(len(pending)))
	shown := startProgress(con.errs, con.terminal, progressEvery(con.terminal), func() string {
		return fmt.Sprintf("waiting until sums are visible: %d of %d left, %v of %v",
			left.Load(), len(checks), time.Since(began).Round(time.Second), limit)
	})
	defer shown.stop()
	// Until the last one is there the others need not be asked: every read takes from what is measured.
	last := checks[max(0, len(checks)-1):]
	for {
		readAll(ctx, last)
		if len(last) == 0 || !last[0].waiting() || time.Now().After(deadline) {
			break
		}
		if err := pause(ctx, readPoll); err != nil {
			return time.Now(), err
		}
	}
	for {
		readAll(ctx, pending)
		seen := time.Now()
		var waiting []*check
		for _, c := range pending {
			if !c.waiting() {
				continue
			}
			waiting = append(waiting, c)
		}
		if len(waiting) == 0 || seen.After(deadline) {
			return seen, nil
		}
		if err := pause(ctx, readPoll); err != nil {
			return seen, err
		}
		pending = waiting
		left.Store(int64(len(pending)))
	}
}

// readAll does every check's read, a few at a time.
func readAll(ctx context.Context, checks []*check) {
	var group sync.WaitGroup
	slots := make(chan struct{}, readsAtOnce)
	for _, c := range checks {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			c.now, c.err = c.read(ctx)
		})
	}
	group.Wait()
}

// unequal returns how many checks are not equal.
func unequal(checks []*check) int {
	count := 0
	for _, c := range checks {
		if !c.equal() {
			count++
		}
	}
	return count
}

// printDifferences prints a line for each sum that is not what was sent.
func printDifferences(w io.Writer, checks []*check) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "read\tof\ttype\tbefore\tsent\tnow\tdifference\t")
	for _, c := range checks {
		if c.equal() {
			continue
		}
		if c.err != nil {
			text := strings.ReplaceAll(c.err.Error(), "\n", " ")
			fmt.Fprintf(table, "%s\t%s\tno answer: %s\n", c.source, c.subject, text)
			continue
		}
		added := c.now.since(c.before)
		for _, kind := range kinds(added, c.sent) {
			if added[kind] == c.sent[kind] {
				continue
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%d\t%+d\t\n", c.source, c.subject, kind,
				c.before[kind], c.sent[kind], c.now[kind], added[kind]-c.sent[kind])
		}
	}
	table.Flush()
}
