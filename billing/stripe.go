package billing

import (
	"cmp"
	"context"
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/meterhouse/meterhouse/schema"
)

const (
	// apiVersion is that of every call and of the shapes in wire.go, whatever the account has.
	apiVersion = stripe.APIVersion
	// eventVersion is the first whose thin events say what was wrong with which identifier.
	eventVersion = "2025-03-31.basil"

	callTimeout     = 20 * time.Second
	answerBytesMax  = 8 << 20
	pageSize        = "100"
	pagesMax        = 1000 // of one list: more would be a list that does not end
	idleConns       = 16   // that workers leave for each other: by default it is two
	keyBytesMax     = 255
	signatureWithin = 5 * time.Minute // of the clock, either way
	metersFor       = 10 * time.Minute
	metersMissedFor = 10 * time.Second
)

// ClientConfig is what a Client needs.
type ClientConfig struct {
	Key           string // sk_… or rk_…
	WebhookSecret string // whsec_…, several with commas between; empty: notices are refused
	Base          string // another address than Stripe's, for tests; empty: Stripe's
	Transport     http.RoundTripper
	Timeout       time.Duration // of a call; 0: 20 seconds
	Now           func() time.Time
	Logger        *slog.Logger // nil: none
}

// Format writes what it is and nothing of what it holds, whatever the verb.
func (ClientConfig) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "stripe settings") }

// Client talks to Stripe. Everything it returns or logs is without its key. It is safe for use by
// many goroutines.
type Client struct {
	cfg     ClientConfig
	secrets []string // of webhooks
	redact  redactor
	backend stripe.Backend

	mu     sync.Mutex
	meters map[string]string // ids of active meters by event name
	seen   time.Time         // when meters was read

	accountKnown bool   // it was asked for
	accountID    string // acct_…; empty: the key may not ask
}

// Format writes what it is and nothing of what it holds, whatever the verb.
func (*Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "stripe client") }

var stripeKey = regexp.MustCompile(`^(sk|rk)_[A-Za-z0-9_]+$`)

// NewClient returns a client. It calls nobody.
func NewClient(c ClientConfig) (*Client, error) {
	if !stripeKey.MatchString(c.Key) {
		return nil, errors.New("stripe: the API key must be a secret or restricted one: " +
			"sk_… or rk_…")
	}
	c.Base = strings.TrimSuffix(cmp.Or(c.Base, stripe.APIURL), "/")
	base, err := url.Parse(c.Base)
	if err != nil || base.Host == "" || base.User != nil ||
		base.Scheme != "https" && base.Scheme != "http" {
		return nil, errors.New("stripe: the address must be https://host")
	}
	var secrets []string
	for secret := range strings.SplitSeq(c.WebhookSecret, ",") {
		// The signature by an empty secret is one that everybody can make.
		if secret = strings.TrimSpace(secret); secret != "" {
			secrets = append(secrets, secret)
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	out := &Client{cfg: c, secrets: secrets, redact: newRedactor(append(secrets, c.Key)...)}
	out.backend = out.newBackend()
	return out, nil
}

// TestMode reports whether the key is one of Stripe's test mode.
func (c *Client) TestMode() bool {
	_, rest, _ := strings.Cut(c.cfg.Key, "_")
	return strings.HasPrefix(rest, "test_")
}

// newBackend makes the backend of a client alone: stripe-go's own are package variables, and share
// what they are configured by.
func (c *Client) newBackend() stripe.Backend {
	next := cmp.Or(c.cfg.Transport, http.DefaultTransport)
	if shared, ok := next.(*http.Transport); ok && c.cfg.Transport == nil {
		own := shared.Clone()
		own.MaxIdleConnsPerHost = idleConns
		next = own
	}
	return stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL:             stripe.String(c.cfg.Base),
		EnableTelemetry: stripe.Bool(false),
		// stripe-go sleeps between its tries, whatever the context says, and asks no limiter: the
		// next pass tries again instead.
		MaxNetworkRetries: stripe.Int64(0),
		LeveledLogger:     quiet{c.cfg.Logger, c.redact},
		HTTPClient: &http.Client{
			Timeout:   cmp.Or(c.cfg.Timeout, callTimeout),
			Transport: pinned{next},
			// Followed, a POST would become a GET, and its answer that of another page.
			CheckRedirect: func(r *http.Request, _ []*http.Request) error {
				return errors.New("a redirect, which Stripe does not send, was not followed")
			},
		},
	})
}

// quiet is what stripe-go logs to. Of all it says, only that requests are made is passed on:
// bodies are nobody's business, and errors are returned.
type quiet struct {
	log    *slog.Logger
	redact redactor
}

func (quiet) Debugf(string, ...any) {}
func (quiet) Warnf(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}

func (q quiet) Infof(format string, v ...any) {
	if q.log.Enabled(context.Background(), slog.LevelDebug) {
		q.log.Debug("stripe", "message", q.redact.line(fmt.Sprintf(format, v...)))
	}
}

// exchange is a call's version on the way out, and what came back: stripe-go keeps neither status
// nor headers of an answer that it cannot read.
type exchange struct {
	version string
	status  int
	header  http.Header
}

type exchangeKey struct{}

// pinned gives every request the version of its call, and takes out what stripe-go tells of the
// machine.
type pinned struct{ next http.RoundTripper }

func (p pinned) RoundTrip(r *http.Request) (*http.Response, error) {
	x, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil, errors.New("a request without a call")
	}
	r = r.Clone(r.Context())
	r.Header.Set("Stripe-Version", x.version)
	r.Header.Del("X-Stripe-Client-User-Agent")
	answer, err := p.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	x.status, x.header = answer.StatusCode, answer.Header
	answer.Body = http.MaxBytesReader(nil, answer.Body, answerBytesMax)
	return answer, nil
}

// contents is an answer's body, whatever it has.
type contents struct{ stripe.APIResource }

// call makes one attempt. The body is nil unless an answer of 2xx came whole.
func (c *Client) call(
	ctx context.Context, method, path, version string, params stripe.ParamsContainer,
) (answer []byte, r reply) {
	ctx, span := beginCall(ctx, method, path)
	defer func() { c.endCall(span, r) }()
	x := &exchange{version: version}
	params.GetParams().Context = context.WithValue(ctx, exchangeKey{}, x)
	var body contents
	err := c.backend.Call(method, path, c.cfg.Key, params, &body)
	r = reply{status: x.status, header: x.header}
	var e *stripe.Error
	switch {
	case errors.As(err, &e):
		r.refusal = &refusal{string(e.Type), string(e.Code), e.Param, e.Msg}
	case err != nil:
		r.err = err
	case x.status/100 != 2 || body.LastResponse == nil:
		r.err = errors.New("an answer that is neither a success nor an error")
	default:
		return body.LastResponse.RawJSON, r
	}
	return nil, r
}

// answer classifies a reply and takes secrets out of it.
func (c *Client) answer(r reply) Answer {
	a := classify(r, c.cfg.Now())
	a.Detail, a.RequestID = c.redact.line(a.Detail), c.redact.line(a.RequestID)
	return a
}

// Send sends a delivery once. What cannot be sent at all is Rejected without a call.
func (c *Client) Send(ctx context.Context, d Delivery) Answer {
	if why := unsendable(d); why != "" {
		return Answer{Verdict: schema.Rejected, Detail: "not sent: " + why}
	}
	path, object := "/v1/billing/meter_events", "billing.meter_event"
	var params stripe.ParamsContainer
	if d.Mode == schema.UsageRecord {
		path = "/v1/subscription_items/" + url.PathEscape(d.SubscriptionItem) + "/usage_records"
		object = "usage_record"
		params = &stripe.UsageRecordParams{
			Params:    stripe.Params{IdempotencyKey: stripe.String(d.Key)},
			Action:    stripe.String(stripe.UsageRecordActionSet),
			Quantity:  stripe.Int64(d.Send),
			Timestamp: stripe.Int64(d.Time.Unix()),
		}
	} else {
		params = &stripe.BillingMeterEventParams{
			Params:     stripe.Params{IdempotencyKey: stripe.String(d.Key)},
			EventName:  stripe.String(d.Slot.Meter),
			Identifier: stripe.String(d.Identifier),
			Payload: map[string]string{
				payloadCustomer: d.Customer,
				payloadValue:    strconv.FormatInt(d.Send, 10),
			},
			Timestamp: stripe.Int64(d.Time.Unix()),
		}
	}
	body, r := c.call(ctx, http.MethodPost, path, apiVersion, params)
	if body != nil {
		var made struct {
			Object string `json:"object"`
		}
		if err := json.Unmarshal(body, &made); err != nil || made.Object != object {
			r.err = fmt.Errorf("an answer that is no %s", object)
		}
	}
	return c.answer(r)
}

// unsendable says why a delivery would be refused, or be worse than refused; empty: it is sent.
func unsendable(d Delivery) string {
	switch {
	case d.Key == "" || len(d.Key) > keyBytesMax || d.Key != strings.TrimSpace(d.Key):
		return "it has no idempotency key, or one that is too long"
	case d.Identifier == "":
		return "it has no identifier"
	case d.Send < -schema.SlotUnitsMax || d.Send > schema.SlotUnitsMax:
		return "Stripe keeps fifteen digits of a value"
	}
	switch d.Mode {
	case schema.Preaggregated, schema.Raw:
		if d.Customer == "" || d.Slot.Meter == "" {
			return "the organization has no Stripe customer, or the slot no meter"
		}
	case schema.UsageRecord:
		if d.SubscriptionItem == "" {
			return "the organization's meter has no subscription item: give it one in the catalog"
		}
		if d.Send < 0 {
			return "a usage record cannot be negative"
		}
	default:
		return "its mode is not known"
	}
	return ""
}

// get reads something. Whatever reads of Stripe has a *Failure for its error, or one of another
// type when the answer came and is not as documented.
func (c *Client) get(
	ctx context.Context, path, version string, query map[string]string,
) ([]byte, error) {
	params := &stripe.Params{}
	for name, value := range query {
		params.AddExtra(name, value)
	}
	body, r := c.call(ctx, http.MethodGet, path, version, params)
	if body == nil {
		return nil, c.failure(ctx, path, r)
	}
	return body, nil
}

// failure is the error of something that could not be read.
func (c *Client) failure(ctx context.Context, path string, r reply) error {
	f := &Failure{Call: "GET " + c.redact.line(path), Answer: c.answer(r)}
	if r.err != nil {
		f.cause = ctx.Err()
	}
	return f
}

// list reads all pages of a list.
func list[T interface{ cursor() string }](
	ctx context.Context, c *Client, path string, query map[string]string,
) ([]T, error) {
	query["limit"] = pageSize
	var all []T
	for range pagesMax {
		body, err := c.get(ctx, path, apiVersion, query)
		if err != nil {
			return nil, err
		}
		var page struct {
			Data []T  `json:"data"`
			More bool `json:"has_more"`
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, c.unreadable(path, err)
		}
		all = append(all, page.Data...)
		if !page.More {
			return all, nil
		}
		if len(page.Data) == 0 || page.Data[len(page.Data)-1].cursor() == query["starting_after"] {
			break
		}
		query["starting_after"] = page.Data[len(page.Data)-1].cursor()
	}
	return nil, c.unreadable(path, errors.New("the list does not end"))
}

// unreadable is the error of an answer that came and is not as documented. It is no Failure.
func (c *Client) unreadable(path string, err error) error {
	return fmt.Errorf("stripe: GET %s: %s", c.redact.line(path), c.redact.line(err.Error()))
}

// MeterID returns Stripe's id of the active meter with an event name, which may be some minutes old.
// NotFound when there is none.
func (c *Client) MeterID(ctx context.Context, name string) (string, error) {
	c.mu.Lock()
	id, age := c.meters[name], c.cfg.Now().Sub(c.seen)
	c.mu.Unlock()
	known := age >= 0 && (id != "" && age < metersFor || id == "" && age < metersMissedFor)
	if !known {
		meters, err := list[meter](ctx, c, "/v1/billing/meters",
			map[string]string{"status": "active"})
		if err != nil {
			return "", err
		}
		byName := make(map[string]string, len(meters))
		for _, m := range meters {
			byName[m.EventName] = m.ID
		}
		c.mu.Lock()
		c.meters, c.seen = byName, c.cfg.Now()
		c.mu.Unlock()
		id = byName[name]
	}
	if id == "" {
		return "", schema.Errorf(schema.NotFound, "meter",
			"Stripe has no active meter with the event name %q: make one", name)
	}
	return id, nil
}

// Summaries returns what Stripe says it has, in buckets that have something, ordered by time. The
// error is Invalid when the range's ends are not whole.
func (c *Client) Summaries(ctx context.Context, p SummaryParams) ([]Bucket, error) {
	whole := map[Grouping]time.Duration{Whole: time.Minute, ByDay: day, ByHour: time.Hour}[p.By]
	if whole == 0 || !p.From.Before(p.To) || !p.From.Truncate(whole).Equal(p.From) ||
		!p.To.Truncate(whole).Equal(p.To) {
		return nil, schema.Errorf(schema.Invalid, "from", "must be before to, both whole: %s",
			whole)
	}
	buckets, err := c.summaries(ctx, p)
	var f *Failure
	if p.By == ByDay && errors.As(err, &f) && f.Answer.HTTPStatus == http.StatusBadRequest {
		// Days came to the API after the version that we ask by: hours were always there.
		p.By = ByHour
		buckets, err = c.summaries(ctx, p)
		buckets = daysOf(buckets)
	}
	return buckets, err
}

const day = 24 * time.Hour

// daysOf adds hours up. They are in order.
func daysOf(hours []Bucket) []Bucket {
	var out []Bucket
	for _, b := range hours {
		from := b.From.Truncate(day)
		if len(out) == 0 || !out[len(out)-1].From.Equal(from) {
			out = append(out, Bucket{From: from, To: from.Add(day)})
		}
		out[len(out)-1].Units += b.Units
	}
	return out
}

// summaries asks for the buckets as they are.
func (c *Client) summaries(ctx context.Context, p SummaryParams) ([]Bucket, error) {
	query := map[string]string{
		"customer":   p.Customer,
		"start_time": strconv.FormatInt(p.From.Unix(), 10),
		"end_time":   strconv.FormatInt(p.To.Unix(), 10),
	}
	switch p.By {
	case ByDay:
		query["value_grouping_window"] = "day"
	case ByHour:
		query["value_grouping_window"] = "hour"
	}
	path := "/v1/billing/meters/" + url.PathEscape(p.Meter) + "/event_summaries"
	summaries, err := list[summary](ctx, c, path, query)
	if err != nil {
		return nil, err
	}
	var out []Bucket
	for _, s := range summaries {
		units, err := wholeUnits(s.Value)
		if err != nil {
			return nil, c.unreadable(path, fmt.Errorf("aggregated_value %q %w", s.Value, err))
		}
		if units != 0 {
			out = append(out, Bucket{instant(s.Start), instant(s.End), units})
		}
	}
	slices.SortFunc(out, func(a, b Bucket) int { return a.From.Compare(b.From) })
	return out, nil
}

// Records returns what Stripe has of a subscription item's usage records by billing period, the
// newest first. The end of the one that goes on may be zero, and its start when there is no other.
func (c *Client) Records(ctx context.Context, item string) ([]Bucket, error) {
	path := "/v1/subscription_items/" + url.PathEscape(item) + "/usage_record_summaries"
	summaries, err := list[usageSummary](ctx, c, path, map[string]string{})
	if err != nil {
		return nil, err
	}
	out := make([]Bucket, len(summaries))
	for i, s := range summaries {
		units, err := wholeUnits(s.Total)
		if err != nil {
			return nil, c.unreadable(path, fmt.Errorf("total_usage %q %w", s.Total, err))
		}
		out[i] = Bucket{instant(s.Period.Start), instant(s.Period.End), units}
		if i > 0 && out[i-1].From.IsZero() {
			out[i-1].From = out[i].To
		}
	}
	return out, nil
}

// Invoices returns a customer's invoices that were made since a time, in any status, the newest
// first.
func (c *Client) Invoices(
	ctx context.Context, customer string, since time.Time,
) ([]Invoice, error) {
	const path = "/v1/invoices"
	all, err := list[invoice](ctx, c, path, map[string]string{
		"customer": customer, "created[gte]": strconv.FormatInt(since.Unix(), 10),
	})
	if err != nil {
		return nil, err
	}
	out := make([]Invoice, len(all))
	for i, in := range all {
		if in.ID == "" {
			return nil, c.unreadable(path, errors.New("an invoice without an id"))
		}
		out[i] = invoiceOf(in, true)
	}
	return out, nil
}

// Lines returns all metered lines of an invoice.
func (c *Client) Lines(ctx context.Context, invoice string) ([]InvoiceLine, error) {
	path := "/v1/invoices/" + url.PathEscape(invoice) + "/lines"
	lines, err := list[line](ctx, c, path, map[string]string{})
	if err != nil {
		return nil, err
	}
	out, err := invoiceLines(lines)
	if err != nil {
		return nil, c.unreadable(path, err)
	}
	return out, nil
}

// Problems fetches what a thin event says is wrong with meter events.
func (c *Client) Problems(ctx context.Context, event string) ([]MeterProblem, error) {
	path := "/v2/core/events/" + url.PathEscape(event)
	body, err := c.get(ctx, path, eventVersion, nil)
	if err != nil {
		return nil, err
	}
	problems, err := decodeProblems(body)
	if err != nil {
		return nil, c.unreadable(path, err)
	}
	for i := range problems {
		problems[i].Message = c.redact.line(problems[i].Message)
	}
	return problems, nil
}

// Notice checks the signature of what was posted to the webhook and reads it. The error is a
// *schema.Error of kind Unauthenticated when the signature is not right, or Invalid when the
// contents cannot be read.
func (c *Client) Notice(body []byte, signature string) (Notice, error) {
	if !c.signed(body, signature) {
		return Notice{}, schema.Errorf(schema.Unauthenticated, "Stripe-Signature",
			"must be of this body, by the endpoint's secret, and not five minutes old")
	}
	return decodeNotice(body)
}

// signed reports whether one of the secrets made one of the header's signatures, lately. Stripe
// sends two of them while a secret is rolled; ours may be of several endpoints. stripe-go's own
// check takes any time that is to come, and knows no clock but the machine's.
func (c *Client) signed(body []byte, header string) bool {
	var at time.Time
	var signatures [][]byte
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			seconds, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return false
			}
			at = time.Unix(seconds, 0)
		case "v1":
			if sum, err := hex.DecodeString(value); err == nil {
				signatures = append(signatures, sum)
			}
		}
	}
	if age := c.cfg.Now().Sub(at); age > signatureWithin || age < -signatureWithin {
		return false
	}
	for _, secret := range c.secrets {
		want := webhook.ComputeSignature(at, body, secret)
		for _, sum := range signatures {
			if hmac.Equal(want, sum) {
				return true
			}
		}
	}
	return false
}
