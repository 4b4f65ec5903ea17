package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// healthTimeout bounds one question of readiness: what takes longer is not ready.
const healthTimeout = 3 * time.Second

// health asks a node whether it accepts writes: what a container or a balancer runs, where there is
// no other program to ask with.
func health(ctx context.Context, args []string, std streams) error {
	var c config
	f := c.flags("health", std)
	url := f.String("url", "http://"+env("METERHOUSE_LISTEN", "127.0.0.1:8080")+"/readyz",
		"`URL` to ask; 200 is well (the listener's /readyz by default)")
	if _, err := parse(f, args, 0, ""); err != nil {
		return err
	}
	return askHealth(ctx, *url)
}

// hereURL has a listener on every address asked on this machine.
func hereURL(url string) string {
	return strings.NewReplacer("//0.0.0.0:", "//127.0.0.1:", "//[::]:", "//127.0.0.1:",
		"//:", "//127.0.0.1:").Replace(url)
}

func askHealth(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, hereURL(url), nil)
	if err != nil {
		return errors.New("health: not a URL")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	why, _ := io.ReadAll(io.LimitReader(response.Body, 300)) // the status says enough
	return fmt.Errorf("health: %s: %s", response.Status, strings.TrimSpace(string(why)))
}
