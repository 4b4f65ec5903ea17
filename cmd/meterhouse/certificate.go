package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificate is a certificate and its key in two files. When they change, new connections get the
// new one; while they cannot be read, the last one that could.
type certificate struct {
	files  [2]string // of the certificate and of its key
	logger *slog.Logger

	mu     sync.Mutex
	last   *tls.Certificate
	seen   [2]stamp // of the files when they were last read, with or without success
	looked time.Time
}

// stamp tells one content of a file from another.
type stamp struct {
	modified time.Time
	size     int64
}

// lookInterval is how long a change of the files may wait to be seen.
const lookInterval = time.Second

// newCertificate reads the files.
func newCertificate(file, key string, logger *slog.Logger) (*certificate, error) {
	c := &certificate{files: [2]string{file, key}, logger: logger}
	seen, err := c.stamps()
	if err == nil {
		err = c.read()
	}
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	c.seen, c.looked = seen, time.Now()
	return c, nil
}

// get is a tls.Config's GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= lookInterval {
		c.looked = now
		c.look()
	}
	return c.last, nil
}

// look reads the files when they are not as they were. A failure is logged once for each change.
func (c *certificate) look() {
	seen, err := c.stamps()
	if err == nil && seen == c.seen {
		return
	}
	if err == nil {
		err = c.read()
	}
	changed := seen != c.seen
	c.seen = seen
	switch {
	case err == nil:
		c.logger.Info("the certificate was read again", "file", c.files[0])
	case changed:
		c.logger.Error("the new certificate cannot be used, the last one stays", "error", err)
	}
}

func (c *certificate) read() error {
	pair, err := tls.LoadX509KeyPair(c.files[0], c.files[1])
	if err != nil {
		return err
	}
	c.last = &pair
	return nil
}

// stamps looks at the files. Of one that is not there the stamp is zero.
func (c *certificate) stamps() (all [2]stamp, err error) {
	for i, file := range c.files {
		info, e := os.Stat(file)
		if e != nil {
			err = e
			continue
		}
		all[i] = stamp{info.ModTime(), info.Size()}
	}
	return all, err
}
