package main

import (
	"bytes"
	"flag"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/meterhouse/meterhouse/schema"
)

// canary is a secret that must be in nothing that is said.
const canary = "CANARY5d1e9b"

// billingOf returns what the environment and the arguments say, and what is said about them.
func billingOf(t *testing.T, env map[string]string, args ...string) (billingConfig, string, error) {
	t.Helper()
	for _, name := range []string{
		"STRIPE_API_KEY", "STRIPE_API_BASE", "STRIPE_WEBHOOK_SECRET", "METERHOUSE_STRIPE_MODE",
		"METERHOUSE_REPORT_INTERVAL", "METERHOUSE_CREDIT_LIMIT",
	} {
		t.Setenv(name, env[name])
	}
	var c config
	var said bytes.Buffer
	set := flag.NewFlagSet("", flag.ContinueOnError)
	set.SetOutput(&said)
	err := c.billingFlags(set)
	if err == nil {
		err = c.intervalFlag(set)
	}
	if err == nil {
		err = set.Parse(args)
	}
	return c.billing, said.String(), err
}

func TestBillingSettings(t *testing.T) {
	b, _, err := billingOf(t, nil)
	otherwise := billingConfig{mode: schema.Preaggregated, interval: 5 * time.Minute, credit: 20}
	if err != nil || b != otherwise {
		t.Errorf("without settings: %+v, %v", b, err)
	}
	b, _, err = billingOf(t, map[string]string{
		"STRIPE_API_KEY": "sk_test_1\n", "STRIPE_API_BASE": "http://127.0.0.1:4242",
		"STRIPE_WEBHOOK_SECRET": "whsec_1,whsec_2", "METERHOUSE_STRIPE_MODE": "raw",
		"METERHOUSE_REPORT_INTERVAL": "0", "METERHOUSE_CREDIT_LIMIT": "0",
	})
	want := billingConfig{"sk_test_1", "whsec_1,whsec_2", "http://127.0.0.1:4242", schema.Raw, 0, 0}
	if err != nil || b != want {
		t.Errorf("by the environment: %v", err)
	}
	b, _, err = billingOf(t, map[string]string{"METERHOUSE_STRIPE_MODE": "raw"},
		"--stripe-mode", "usage_record", "--report-interval", "1h")
	if err != nil || b.mode != schema.UsageRecord || b.interval != time.Hour {
		t.Errorf("by flags: %+v, %v", b, err)
	}
}

// TestWrongBillingSettings are named, and their values, which may be secrets, are not shown.
func TestWrongBillingSettings(t *testing.T) {
	f := func(name, value string) {
		t.Helper()
		_, said, err := billingOf(t, map[string]string{name: value})
		if err == nil || !strings.HasPrefix(said, name+": must be ") {
			t.Errorf("%s=%q: %v, said %q", name, value, err, said)
		}
		if strings.Contains(said+fmt.Sprint(err), canary) {
			t.Errorf("%s=%q: shown in %q, %v", name, value, said, err)
		}
	}
	for _, value := range []string{canary, "-1", "101", "5.5"} {
		f("METERHOUSE_CREDIT_LIMIT", value)
	}
	for _, value := range []string{canary, "pk_test_" + canary, "sk_test " + canary, "sk_"} {
		f("STRIPE_API_KEY", value)
	}
	f("STRIPE_WEBHOOK_SECRET", canary)
	f("STRIPE_WEBHOOK_SECRET", "whsec_1,"+canary)
	for _, value := range []string{
		canary, "http://" + canary + ".example", "http://10.0.0.1", "ftp://localhost/" + canary,
		"https://user:" + canary + "@api.example", "https://", "http://127.0.0.1.example",
		"https://api.example?key=" + canary, "//localhost", "://" + canary,
	} {
		f("STRIPE_API_BASE", value)
	}
	f("METERHOUSE_STRIPE_MODE", canary)
	for _, value := range []string{canary, "5", "9s", "25h", "-5m", "1ms"} {
		f("METERHOUSE_REPORT_INTERVAL", value)
	}
	for _, good := range []string{
		"https://api.example", "http://localhost:1", "http://[::1]:1", "http://127.9.9.9",
	} {
		if _, said, err := billingOf(t, map[string]string{"STRIPE_API_BASE": good}); err != nil {
			t.Errorf("%s: %v, %s", good, err, said)
		}
	}
}

// TestBillingSecretsAreNotLogged when billing starts.
func TestBillingSecretsAreNotLogged(t *testing.T) {
	b := billingConfig{key: "sk_test_" + canary, webhooks: "whsec_" + canary}
	var said bytes.Buffer
	b.log(slog.New(slog.NewTextHandler(&said, nil)))
	if strings.Contains(said.String(), canary) {
		t.Errorf("shown in %s", said.String())
	}
	for _, text := range []string{"stripe_api_key=set", "every=never"} {
		if !strings.Contains(said.String(), text) {
			t.Errorf("%q is not in %s", text, said.String())
		}
	}
}
