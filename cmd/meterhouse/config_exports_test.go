package main

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/server/exports"
)

// TestExportBuckets: an error names its variable and shows nothing of it, since a secret may be in
// the wrong place.
func TestExportBuckets(t *testing.T) {
	t.Parallel()
	const prefix = "METERHOUSE_EXPORT_S3_"
	good := []string{
		"HOME=/root", prefix + "WAREHOUSE_URL=https://b.s3.amazonaws.com/exports",
		prefix + "WAREHOUSE_ACCESS_KEY_ID=AKIA", prefix + "WAREHOUSE_SECRET_ACCESS_KEY=a=b",
	}
	owner := uuid.New()
	got, err := exportBuckets(append(good, prefix+"WAREHOUSE_ORGANIZATION="+owner.String()))
	want := exports.Bucket{
		URL: "https://b.s3.amazonaws.com/exports/", KeyID: "AKIA", SecretKey: "a=b",
		Organization: owner,
	}
	if err != nil || len(got) != 1 || got["warehouse"] != want {
		t.Errorf("%v, %v", got, err)
	}
	f := func(variable string, more ...string) {
		t.Helper()
		_, err := exportBuckets(append(good, more...))
		if err == nil || !strings.HasPrefix(err.Error(), prefix+variable+": ") ||
			strings.Contains(err.Error(), "hidden") {
			t.Errorf("%v: %v", more, err)
		}
	}
	f("OTHER_ACCESS_KEY_ID", prefix+"OTHER_URL=http://b/")
	f("OTHER_SECRET_ACCESS_KEY", prefix+"OTHER_URL=http://b/", prefix+"OTHER_ACCESS_KEY_ID=hidden")
	f("OTHER_ACCESS_KEY_ID", prefix+"OTHER_ACCESS_KEY_ID=hidden")
	f("WAREHOUSE_SECRET", prefix+"WAREHOUSE_SECRET=hidden")
	f("WAREHOUSE_ORGANIZATION", prefix+"WAREHOUSE_ORGANIZATION=hidden")
	f("other_URL", prefix+"other_URL=http://b/")
	for _, url := range []string{
		"", "hidden", "s3://hidden/", "https://", "https://user:hidden@b/", "https://b/hidden?x=1",
		"https://b/hidden#x", "https://b/hidden*", "https://b/{hidden,b}", "https://b/hidden'",
	} {
		f("WAREHOUSE_URL", prefix+"WAREHOUSE_URL="+url)
	}
}
