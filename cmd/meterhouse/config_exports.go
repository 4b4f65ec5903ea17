package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/server/exports"
)

// exportsConfig is what exports may take here, and where else they may go. A bucket and its key
// have no flag: others on the machine may see a command line.
type exportsConfig struct {
	bytesMax int64
	buckets  map[string]exports.Bucket
}

// exportsFlags adds the bound of the files of exports, and reads the buckets.
func (c *config) exportsFlags(f *flag.FlagSet) error {
	const otherwise = 10240
	set := func(v string) error {
		n, err := strconv.ParseUint(v, 10, 30)
		if err != nil || n == 0 {
			return errors.New("must be a whole number of MiB from 1 to 1073741823")
		}
		c.exports.bytesMax = int64(n) << 20
		return nil
	}
	if err := set(env("METERHOUSE_EXPORTS_LIMIT", strconv.Itoa(otherwise))); err != nil {
		fmt.Fprintf(f.Output(), "METERHOUSE_EXPORTS_LIMIT: %v\n", err)
		return errUsage
	}
	f.Func("exports-limit", fmt.Sprintf("`MiB` that the files of exports may take "+
		"(METERHOUSE_EXPORTS_LIMIT; default %d)", otherwise), set)
	var err error
	if c.exports.buckets, err = exportBuckets(os.Environ()); err != nil {
		fmt.Fprintln(f.Output(), err)
		return errUsage
	}
	return nil
}

const bucketVariable = "METERHOUSE_EXPORT_S3_"

var bucketName = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,31}$`)

// exportBuckets reads the variables of buckets: METERHOUSE_EXPORT_S3_<NAME>_URL and so on, by their
// names in lower case. An error names the variable that is wrong and does not show its value.
func exportBuckets(environment []string) (map[string]exports.Bucket, error) {
	buckets := make(map[string]exports.Bucket)
	given := make(map[string]string)
	for _, variable := range environment {
		if rest, ok := strings.CutPrefix(variable, bucketVariable); ok {
			name, value, _ := strings.Cut(rest, "=")
			given[name] = strings.TrimSpace(value)
		}
	}
	for _, variable := range slices.Sorted(maps.Keys(given)) {
		name, ok := strings.CutSuffix(variable, "_URL")
		if !ok {
			continue
		}
		b, wrong, err := exportBucket(given, name)
		if err != nil {
			return nil, fmt.Errorf("%s%s%s: %w", bucketVariable, name, wrong, err)
		}
		buckets[strings.ToLower(name)] = b
	}
	for _, variable := range slices.Sorted(maps.Keys(given)) { // it was meant to be a bucket's
		return nil, fmt.Errorf("%s%s: is not known, or its bucket has no _URL", bucketVariable,
			variable)
	}
	return buckets, nil
}

// exportBucket takes the variables of one bucket. wrong is which of them the error is about.
func exportBucket(
	given map[string]string, name string,
) (b exports.Bucket, wrong string, err error) {
	take := func(variable string) string {
		v := given[name+variable]
		delete(given, name+variable)
		return v
	}
	if !bucketName.MatchString(name) {
		return b, "_URL", errors.New("the name must be letters, digits and _")
	}
	if b.URL, err = bucketURL(take("_URL")); err != nil {
		return b, "_URL", err
	}
	b.KeyID, b.SecretKey = take("_ACCESS_KEY_ID"), take("_SECRET_ACCESS_KEY")
	if b.KeyID == "" {
		return b, "_ACCESS_KEY_ID", errors.New("is required")
	}
	if b.SecretKey == "" {
		return b, "_SECRET_ACCESS_KEY", errors.New("is required")
	}
	if text := take("_ORGANIZATION"); text != "" {
		if b.Organization, err = uuid.Parse(text); err != nil {
			return b, "_ORGANIZATION", errors.New("must be the id of an organization")
		}
	}
	return b, "", nil
}

// bucketURL ends with a slash, so that keys may follow, and has nothing in it that ClickHouse would
// take for a pattern.
func bucketURL(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		u.Scheme != "https" && u.Scheme != "http" || strings.ContainsAny(text, "*?{}[]|'\"\\ ") {
		return "", errors.New("must be the address of a bucket, with a prefix or without, as " +
			"https://bucket.s3.eu-south-1.amazonaws.com/exports/")
	}
	return strings.TrimRight(text, "/") + "/", nil
}

// newExports returns what makes exports, on one database.
func (n *node) newExports(metrics prometheus.Registerer) *exports.Exporter {
	n.config.exports.log(n.logger)
	return exports.New(exports.Config{
		Dir:      filepath.Join(n.config.data, "exports"),
		Queries:  n.database.queries,
		Node:     n.ingest.Node(),
		Buckets:  n.config.exports.buckets,
		BytesMax: n.config.exports.bytesMax,
		Now:      time.Now,
		Logger:   n.logger,
		Metrics:  metrics,
	})
}

// log says where exports may go, without secrets.
func (e exportsConfig) log(logger *slog.Logger) {
	if len(e.buckets) > 0 {
		logger.Info("exports", "destinations", slices.Sorted(maps.Keys(e.buckets)))
	}
}
