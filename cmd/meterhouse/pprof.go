package main

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
)

// servePprof serves Go's profiles on an address of their own, where the operator asked for it. The
// returned function stops it.
func servePprof(address string, logger *slog.Logger) (stop func() error, err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	s := &http.Server{Handler: mux, ReadHeaderTimeout: readHeaderTimeout}
	go func() {
		if err := s.Serve(listener); err != http.ErrServerClosed {
			logger.Error("profiles are not served any more", "error", err)
		}
	}()
	logger.Info("profiles are served", "addr", listener.Addr().String())
	return s.Close, nil
}
