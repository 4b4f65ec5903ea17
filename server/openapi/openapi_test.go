package openapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// mustLoad returns the document and its members.
func mustLoad(t *testing.T) (Document, map[string]any) {
	t.Helper()
	d, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(d.JSON, &members); err != nil {
		t.Fatalf("not JSON: %v", err)
	}
	return d, members
}

func TestEveryFileIsInTheDocument(t *testing.T) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(names, strings.TrimSuffix(e.Name(), ".yaml")) {
			t.Errorf("%s is not among names", e.Name())
		}
	}
	if len(entries) != len(names) {
		t.Errorf("%d files, %d names", len(entries), len(names))
	}
}

// TestEveryOperationIsWhole looks at what no schema of OpenAPI's asks for.
func TestEveryOperationIsWhole(t *testing.T) {
	_, members := mustLoad(t)
	tags := make(map[any]bool)
	for _, tag := range members["tags"].([]any) {
		tags[tag.(map[string]any)["name"]] = true
	}
	seen := make(map[any]bool)
	for path, item := range members["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			o := operation.(map[string]any)
			own, _ := o["tags"].([]any)
			if len(own) != 1 || !tags[own[0]] {
				t.Errorf("%s %s: tags %v", method, path, own)
			}
			if id := o["operationId"]; id == nil || seen[id] {
				t.Errorf("%s %s: operationId %v is missing or taken", method, path, id)
			}
			seen[o["operationId"]] = true
			if o["summary"] == nil || o["security"] == nil {
				t.Errorf("%s %s: no summary, or no word about its credential", method, path)
			}
		}
	}
	if len(seen) < 30 {
		t.Errorf("only %d operations", len(seen))
	}
}

// TestReferencesLeadSomewhere also finds what nothing refers to.
func TestReferencesLeadSomewhere(t *testing.T) {
	d, members := mustLoad(t)
	used := map[string]bool{}
	for _, found := range regexp.MustCompile(`"\$ref":"#/components/([^"]+)"`).
		FindAllSubmatch(d.JSON, -1) {
		used[string(found[1])] = true
	}
	there := map[string]bool{}
	for kind, all := range members["components"].(map[string]any) {
		for name := range all.(map[string]any) {
			at := kind + "/" + name
			there[at] = true
			if !used[at] && kind != "securitySchemes" {
				t.Errorf("nothing refers to %s", at)
			}
		}
	}
	for at := range used {
		if !there[at] {
			t.Errorf("%s is referred to, and is not there", at)
		}
	}
}

func TestNoFileRedefinesAnothers(t *testing.T) {
	f := func(more, want string) {
		t.Helper()
		_, err := merged(func(name string) ([]byte, error) {
			if name == names[len(names)-1] {
				return []byte(more), nil
			}
			return files.ReadFile(name + ".yaml")
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", more, err, want)
		}
	}
	f("paths: {/usage: {}}", "/paths//usage is defined in another file")
	f("components: {schemas: {Problem: {}}}", "/components/schemas/Problem is defined")
	f("x-unrouted: {/usage: {}}", "/x-unrouted//usage is defined")
	f("openapi: 3.1.0", "/openapi is defined")
	f("paths: {/a: {}, /a: {}}", "/a is there twice")
	f("paths: [", "did not find")
}

func TestJSONIsTheYAML(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		var file yaml.Node
		if err := yaml.Unmarshal([]byte(text), &file); err != nil {
			t.Fatal(err)
		}
		n, err := plain(file.Content[0])
		var got []byte
		if err == nil {
			got, err = appendJSON(nil, n)
		}
		if err != nil {
			got = []byte(err.Error())
		}
		if string(got) != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	f("{b: 1, a: [true, null, x, ~]}", `{"b":1,"a":[true,null,"x",null]}`)
	f("{a: 0.10, b: 12345678901234567890, c: '1', 200: d}",
		`{"a":0.10,"b":12345678901234567890,"c":"1","200":"d"}`)
	f("{a: 2026-01-31, b: 3.0.3, c: \"\\\"\\n\"}", `{"a":"2026-01-31","b":"3.0.3","c":"\"\n"}`)
	f("{a: &a {x: 1, y: 2}, b: {<<: *a, y: 3}, c: *a}",
		`{"a":{"x":1,"y":2},"b":{"y":3,"x":1},"c":{"x":1,"y":2}}`)
	f("{a: .inf}", "line 1: .inf is not written as in JSON")
}

// TestPageNeedsNothingElse checks that a browser shows the page under its policy: one style, the
// policy's, no script, and nothing to fetch.
func TestPageNeedsNothingElse(t *testing.T) {
	d, members := mustLoad(t)
	page := string(d.Page)
	_, rest, _ := strings.Cut(page, "<style>")
	style, _, ok := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	if want := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !ok ||
		!strings.Contains(d.Policy, want) {
		t.Errorf("policy %s does not allow the page's style %s", d.Policy, want)
	}
	for _, bad := range []string{
		"<script", "<img", "<link", "<iframe", " src=", " style=", `href="http`, "@import", "url(",
		" onclick", "ZgotmplZ", "&lt;code&gt;", "%!",
	} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	anchors := make(map[string]bool)
	for _, found := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if anchors[found[1]] {
			t.Errorf("two anchors are called %s", found[1])
		}
		anchors[found[1]] = true
	}
	for _, found := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if !anchors[found[1]] {
			t.Errorf("a link leads to #%s, which is not there", found[1])
		}
	}
	for path := range members["paths"].(map[string]any) {
		if !strings.Contains(page, fmt.Sprintf(`>%s</a></h3>`, path)) {
			t.Errorf("the page does not show %s", path)
		}
	}
}
