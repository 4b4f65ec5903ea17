package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/meterhouse/meterhouse/billing"
	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/schema"
)

// billingConfig is how Stripe is told. The key and the secret have no flag: others on the machine
// may see a command line.
type billingConfig struct {
	key      secret // empty: nothing is sent
	webhooks secret // empty: webhooks are refused
	base     string // empty: Stripe's own
	mode     schema.ReportMode
	interval time.Duration // 0: never
	credit   int           // percent of what was billed that is taken off unasked; 0: any amount
}

const modes = "preaggregated, usage_record or raw"

// billingFlags adds how Stripe is told. An environment variable that is wrong is named, and its
// value, which may be a secret in the wrong place, is not shown.
func (c *config) billingFlags(f *flag.FlagSet) error {
	b := &c.billing
	b.key = secret(strings.TrimSpace(os.Getenv("STRIPE_API_KEY")))
	b.webhooks = secret(strings.TrimSpace(os.Getenv("STRIPE_WEBHOOK_SECRET")))
	b.base = os.Getenv("STRIPE_API_BASE")
	b.mode = schema.Preaggregated
	setMode := func(v string) error {
		mode, ok := schema.ParseReportMode(v)
		if !ok {
			return errors.New("must be " + modes)
		}
		b.mode = mode
		return nil
	}
	var wrong []error
	check := func(name string, err error) {
		if err != nil {
			fmt.Fprintf(f.Output(), "%s: %v\n", name, err)
			wrong = append(wrong, errUsage)
		}
	}
	check("STRIPE_API_KEY", checkKey(string(b.key)))
	check("STRIPE_WEBHOOK_SECRET", checkWebhookSecret(string(b.webhooks)))
	check("STRIPE_API_BASE", checkBase(b.base))
	setCredit := func(v string) error {
		n, err := strconv.ParseUint(v, 10, 8)
		if err != nil || n > 100 {
			return errors.New("must be a whole number of percent from 1 to 100, or 0 for no limit")
		}
		b.credit = int(n)
		return nil
	}
	check("METERHOUSE_CREDIT_LIMIT", setCredit(env("METERHOUSE_CREDIT_LIMIT", "20")))
	f.Func("credit-limit", "`percent` of what was billed that is taken off later bills without "+
		"being asked, 0 for any amount (METERHOUSE_CREDIT_LIMIT; default 20)", setCredit)
	check("METERHOUSE_STRIPE_MODE", setMode(env("METERHOUSE_STRIPE_MODE", b.mode.String())))
	f.Func("stripe-mode", "`how` Stripe is told: "+modes+
		" (METERHOUSE_STRIPE_MODE; default preaggregated)", setMode)
	return errors.Join(wrong...)
}

// intervalFlag adds how often serve reports.
func (c *config) intervalFlag(f *flag.FlagSet) error {
	set := func(v string) (err error) {
		c.billing.interval, err = reportInterval(v)
		return err
	}
	if err := set(env("METERHOUSE_REPORT_INTERVAL", "5m")); err != nil {
		fmt.Fprintf(f.Output(), "METERHOUSE_REPORT_INTERVAL: %v\n", err)
		return errUsage
	}
	f.Func("report-interval", "how `often` Stripe is told, as 5m or 1h; 0 for never "+
		"(METERHOUSE_REPORT_INTERVAL; default 5m)", set)
	return nil
}

func reportInterval(v string) (time.Duration, error) {
	const least, most = 10 * time.Second, 24 * time.Hour
	d, err := time.ParseDuration(v)
	if err != nil || d != 0 && (d < least || d > most) {
		return 0, errors.New("must be 0, or a time from 10s to 24h as 5m or 1h")
	}
	return d, nil
}

// checkKey says what is wrong with a key by the part that everybody knows of one.
func checkKey(key string) error {
	if key == "" {
		return nil
	}
	_, err := billing.NewClient(billing.ClientConfig{Key: key})
	if err != nil {
		return errors.New("must be a secret or restricted key of Stripe's: sk_… or rk_…")
	}
	return nil
}

func checkWebhookSecret(all string) error {
	if all == "" {
		return nil
	}
	for each := range strings.SplitSeq(all, ",") {
		if !strings.HasPrefix(strings.TrimSpace(each), "whsec_") {
			return errors.New("must be what Stripe shows of a webhook endpoint, whsec_…, or " +
				"several with commas between")
		}
	}
	return nil
}

// checkBase lets the key go nowhere where others could read it on its way.
func checkBase(base string) error {
	if base == "" {
		return nil
	}
	u, err := url.Parse(base)
	if err == nil && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" {
		ip := net.ParseIP(u.Hostname())
		local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
		if u.Scheme == "https" || u.Scheme == "http" && local {
			return nil
		}
	}
	return errors.New("must be https://host, or http:// on a loopback address; empty: Stripe's own")
}

// reporter returns what tells Stripe, on one database.
func (b billingConfig) reporter(
	q *queries.Queries, logger *slog.Logger, metrics prometheus.Registerer, tracer trace.Tracer,
) (*billing.Reporter, error) {
	var client *billing.Client
	if b.key != "" {
		var err error
		if client, err = billing.NewClient(billing.ClientConfig{
			Key: string(b.key), WebhookSecret: string(b.webhooks), Base: b.base,
			Now: time.Now, Logger: logger,
		}); err != nil {
			return nil, err
		}
	}
	return billing.New(billing.Config{
		Queries: q, Stripe: client, Mode: b.mode, Writer: uuid.New(), Now: time.Now,
		Logger: logger, Metrics: metrics, Tracer: tracer, CreditLimit: b.credit,
	})
}

// log says how billing is set, without its secrets.
func (b billingConfig) log(logger *slog.Logger) {
	set := func(s secret) string {
		if s == "" {
			return "not set"
		}
		return "set"
	}
	every := "never"
	if b.interval > 0 {
		every = b.interval.String()
	}
	logger.Info("billing", "mode", b.mode.String(), "every", every, "stripe_api_key", set(b.key),
		"stripe_webhook_secret", set(b.webhooks), "stripe_api_base", b.base)
}
