package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"
)

// adminListener serves what is only for operators on an address of its own: Go's profiles, which
// show memory, and what the main listener shows of health and metrics.
type adminListener struct {
	listener net.Listener
	server   *http.Server
	served   chan struct{}
	logger   *slog.Logger

	operations atomic.Pointer[http.Handler] // of the node; nil: it is only starting
}

// readHeaderTimeout ends connections to the admin listener that say nothing.
const readHeaderTimeout = 10 * time.Second

// newAdminListener takes the address, which must be a loopback one: a profile holds what requests
// hold, secrets too, and nobody is asked for a credential here. Elsewhere it is reached by a tunnel
// or a proxy that asks for one.
func newAdminListener(address string, logger *slog.Logger) (*adminListener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, errors.New("--admin-listen must be an address and a port, as 127.0.0.1:8081")
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, errors.New("--admin-listen must be a loopback address, as 127.0.0.1:8081: " +
			"it shows profiles to whoever asks; /metrics is on the main listener too")
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return &adminListener{listener: l, served: make(chan struct{}), logger: logger}, nil
}

// start serves until stop: profiles at once, the rest when there is a node.
func (a *adminListener) start() {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if node := a.operations.Load(); node != nil {
			(*node).ServeHTTP(w, r)
			return
		}
		http.Error(w, "starting", http.StatusServiceUnavailable)
	})
	a.server = &http.Server{
		Handler: localOnly(mux), ReadHeaderTimeout: readHeaderTimeout,
		ErrorLog: slog.NewLogLogger(a.logger.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(a.served)
		if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			a.logger.Error("the admin listener has ended", "error", err)
		}
	}()
	a.logger.Info("the admin listener is open", "addr", a.listener.Addr().String())
}

// localOnly refuses requests by another name than this machine's: a web page could have its own
// name lead here, and read what a browser on this machine gets.
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "ask by a loopback address", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *adminListener) stop(ctx context.Context) error {
	err := a.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = a.server.Close() // a profile that is still being taken
	}
	<-a.served
	return err
}
