// Package openapi describes every route of Meterhouse in one OpenAPI document: as JSON for
// programs, and as a page for people. Each API has a file of its own here.
package openapi

import (
	"embed"
	"fmt"
	"sync"

	"go.yaml.in/yaml/v3"
)

//go:embed *.yaml
var files embed.FS

// names are the files in the order in which the page shows their APIs.
var names = []string{
	"document", "raia", "memori", "agent700", "digitalocean", "tracker", "events", "admin",
	"admin_things", "admin_meters", "usage", "exports", "reports", "otlp", "console", "operations",
	"system",
}

// Document is the description of every route.
type Document struct {
	JSON   []byte // OpenAPI 3.0.3
	Page   []byte // HTML without scripts
	Policy string // the Content-Security-Policy under which Page is whole
}

// Load returns the document. An error is a mistake in the files, which the tests find.
func Load() (Document, error) { return load() }

var load = sync.OnceValues(func() (Document, error) {
	whole, err := merged(func(name string) ([]byte, error) {
		return files.ReadFile(name + ".yaml")
	})
	if err != nil {
		return Document{}, fmt.Errorf("openapi: %w", err)
	}
	text, err := appendJSON(nil, whole)
	if err != nil {
		return Document{}, fmt.Errorf("openapi: %w", err)
	}
	page, policy, err := render(whole)
	if err != nil {
		return Document{}, fmt.Errorf("openapi: page: %w", err)
	}
	return Document{JSON: text, Page: page, Policy: policy}, nil
})

// merged reads every file into one tree.
func merged(read func(name string) ([]byte, error)) (*yaml.Node, error) {
	whole := &yaml.Node{Kind: yaml.MappingNode}
	for _, name := range names {
		text, err := read(name)
		if err != nil {
			return nil, err
		}
		var file yaml.Node
		if err := yaml.Unmarshal(text, &file); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		part, err := plain(file.Content[0])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if err := add(whole, part, ""); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return whole, nil
}
