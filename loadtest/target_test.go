package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDecodeAgents(t *testing.T) {
	good := func(text string, want ...agent) {
		t.Helper()
		agents, err := decodeAgents("a.csv", strings.NewReader(text))
		if err != nil || !slices.Equal(agents, want) {
			t.Errorf("%q: %v, %v; want %v", text, agents, err, want)
		}
	}
	good("")
	good("\ufeffagent_id,agent_secret\n# ours\n\na,s\n b , t,u \r\n", agent{"a", "s"},
		agent{"b", "t,u"})

	bad := func(text, want string) {
		t.Helper()
		_, err := decodeAgents("a.csv", strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
			return
		}
		if strings.Contains(err.Error(), "hidden") {
			t.Errorf("%q: the error shows a secret: %v", text, err)
		}
	}
	bad("a,s\n,hidden\n", "a.csv:2:")
	bad("hidden\nb,\n", "a.csv:2:")
	bad(strings.Repeat("x", 100_000), "a.csv:")
}

func TestOnlyLoopbackUnlessAllowed(t *testing.T) {
	good := func(address, want string, remote bool) {
		t.Helper()
		if base, err := origin(address, remote); err != nil || base != want {
			t.Errorf("%q: %q, %v; want %q", address, base, err, want)
		}
	}
	good("http://127.0.0.1:8080", "http://127.0.0.1:8080", false)
	good("http://127.8.8.8/", "http://127.8.8.8", false)
	good("http://[::1]:8080", "http://[::1]:8080", false)
	good("http://LocalHost:1", "http://LocalHost:1", false)
	good("https://meter.example", "https://meter.example", true)

	bad := func(address string) {
		t.Helper()
		if base, err := origin(address, false); err == nil {
			t.Errorf("%q: %q, want an error", address, base)
		}
	}
	bad("http://meter.example")
	bad("http://127.0.0.1.example")
	bad("http://0.0.0.0:8080")
	bad("127.0.0.1:8080")
	bad("ftp://127.0.0.1")
	bad("http://user:password@127.0.0.1")
	bad("http://127.0.0.1/compat")
	bad("http://127.0.0.1/?x")
	bad("://")
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	f := func(value string, want time.Duration) {
		t.Helper()
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
	f("0", 0)
	f("2", 2*time.Second)
	f(" 2 ", 2*time.Second)
	f("", retryAfterDefault)
	f("-1", retryAfterDefault)
	f("soon", retryAfterDefault)
	f("999999", retryAfterMax)
	f(now.Add(3*time.Second).Format(http.TimeFormat), 3*time.Second)
	f(now.Add(-time.Hour).Format(http.TimeFormat), 0)
}

func TestDecodeAnswers(t *testing.T) {
	bad := func(status int, body, want string) {
		t.Helper()
		_, err := decodeEventsAnswer(status, []byte(body), 2)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
	if _, err := decodeEventsAnswer(201, []byte(`{"accepted":1,"duplicates":1}`), 2); err != nil {
		t.Error(err)
	}
	bad(201, `{"accepted":1,"duplicates":0}`, "1 accepted and 0 duplicates of 2")
	bad(201, `{"accepted":3,"duplicates":-1}`, "3 accepted")
	bad(201, ``, "answer")
	bad(200, `{"accepted":2}`, "200")
	bad(201, `{"accepted":1,"rejected":[{"index":1,"field":"time","message":"m"}]}`,
		"event 1, time: m")
	bad(422, `{"title":"Bad","detail":"d","errors":[{"field":"f","message":"m"}]}`, "Bad: d; f: m")
	bad(422, `{"accepted":0,"rejected":[{"index":0,"field":"id","message":"n"}]}`, "id: n")
	bad(500, `<html>`, "<html>")

	none := func(body, want string) {
		t.Helper()
		_, err := decodeConsumption([]byte(body))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
	none(`{}`, "no resultCode")
	none(`{"resultCode":-102,"resultMessage":"no"}`, "resultCode -102: no")
	none(`{"resultCode":0,"consumptionLogs":[{"promptTokens":{"k":"1.5"}}]}`, "not an integer")
	none(`{"resultCode":0,"consumptionLogs":[{"promptTokens":{"k":1}}]}`, "answer")
	if _, err := decodeDigitalOcean([]byte(`{}`)); err == nil {
		t.Error("an answer without usage is no error")
	}
	if _, err := decodeDigitalOcean(
		[]byte(`{"usage":{"measurements":[{"tokens":1.5,"usage_type":"INPUT"}]}}`)); err == nil {
		t.Error("a fraction of a token is no error")
	}
	if u, err := decodeDigitalOcean([]byte(
		`{"usage":{"measurements":[{"tokens":9223372036854775807,"usage_type":"INPUT"}]}}`,
	)); err != nil || u["INPUT"] != 1<<63-1 {
		t.Errorf("%v, %v", u, err)
	}
}
