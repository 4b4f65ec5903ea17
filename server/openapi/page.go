package openapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page's template and style
	"encoding/base64"
	"encoding/json"
	"html/template"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

// render writes the document as a page, and returns the policy under which a browser shows it: no
// script, nothing from elsewhere, this style and no other.
func render(whole *yaml.Node) (page []byte, policy string, err error) {
	var d document
	if err := whole.Decode(&d); err != nil {
		return nil, "", err
	}
	t, err := template.New("page").Funcs(template.FuncMap{
		"prose": prose, "type": typeOf, "limits": limitsOf, "pretty": pretty,
		"upper": strings.ToUpper, "has": slices.Contains[[]string],
		"style":    func() template.CSS { return template.CSS(pageCSS) },
		"examples": d.examplesOf, "operations": d.operationsOf,
		"response":  func(r response) response { return d.Components.Responses.get(last(r.Ref), r) },
		"parameter": func(p parameter) parameter { return d.Components.Parameters.get(last(p.Ref), p) },
		"header":    func(h parameter) parameter { return d.Components.Headers.get(last(h.Ref), h) },
		"schema":    d.schemaOf,
		"elsewhere": func(prefix string) response { return d.Unrouted.get(prefix, response{}) },
	}).Parse(pageHTML)
	if err != nil {
		return nil, "", err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, &d); err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256([]byte(pageCSS))
	policy = "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return b.Bytes(), policy, nil
}

// operationsOf returns a tag's operations in the document's order.
func (d *document) operationsOf(tag string) (all []operation, err error) {
	for _, path := range d.Paths {
		var shared []parameter
		for _, m := range path.Value {
			o := operation{Method: m.Name, Path: path.Name}
			if m.Name == "parameters" {
				err = m.Value.Decode(&shared)
			} else if err = m.Value.Decode(&o); slices.Contains(o.Tags, tag) {
				o.Parameters = slices.Concat(shared, o.Parameters)
				all = append(all, o)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// schemaOf returns a schema itself, or the first of those it may be.
func (d *document) schemaOf(s schema) schema {
	if len(s.OneOf) > 0 {
		s = s.OneOf[0]
	}
	return d.Components.Schemas.get(last(s.Ref), s)
}

// examplesOf returns the examples of a body: its own, or its schema's.
func (d *document) examplesOf(m media) list[example] {
	for _, own := range []yaml.Node{
		m.Example, m.Schema.Example, d.schemaOf(m.Schema).Example,
	} {
		if !own.IsZero() && len(m.Examples) == 0 {
			return list[example]{{Value: example{Value: own}}}
		}
	}
	return m.Examples
}

// typeOf says what a schema is in a few words; a schema with a name is a link to it.
func typeOf(s schema) template.HTML {
	switch {
	case s.Ref != "":
		name := template.HTMLEscapeString(last(s.Ref))
		return template.HTML(`<a href="#schema-` + name + `">` + name + `</a>`)
	case len(s.OneOf) > 0:
		parts := make([]string, len(s.OneOf))
		for i, part := range s.OneOf {
			parts[i] = string(typeOf(part))
		}
		return template.HTML(strings.Join(parts, " or "))
	case s.Items != nil:
		return "array of " + typeOf(*s.Items)
	case s.Type == "":
		return "anything"
	}
	var values schema
	if n := member(s.whole, "additionalProperties"); n != nil && n.Decode(&values) == nil {
		return "object of " + typeOf(values)
	}
	text := s.Type
	if s.Format != "" {
		text += " (" + s.Format + ")"
	}
	return template.HTML(template.HTMLEscapeString(text))
}

// limitsOf says what a value has to keep to, beyond its type.
func limitsOf(s schema) template.HTML {
	var parts []string
	if s.whole == nil {
		return ""
	}
	for _, limit := range [][2]string{
		{"enum", ""}, {"minimum", "at least "}, {"maximum", "at most "},
		{"minLength", "shortest "}, {"maxLength", "longest "},
		{"minItems", "fewest "}, {"maxItems", "most "},
		{"minProperties", "fewest "}, {"maxProperties", "most "},
		{"pattern", "like "}, {"default", "default "},
	} {
		n := member(s.whole, limit[0])
		if n == nil {
			continue
		}
		var values []string
		for _, v := range slices.Concat(n.Content, []*yaml.Node{n}) {
			if v.Kind == yaml.ScalarNode {
				values = append(values, "<code>"+template.HTMLEscapeString(v.Value)+"</code>")
			}
		}
		parts = append(parts, limit[1]+strings.Join(values, " "))
	}
	if n := member(s.whole, "nullable"); n != nil && n.Value == "true" {
		parts = append(parts, "or <code>null</code>")
	}
	if n := member(s.whole, "additionalProperties"); n != nil && n.Value == "false" {
		parts = append(parts, "no other members")
	}
	return template.HTML(strings.Join(parts, ", "))
}

// prose makes paragraphs of a description, and code of what is between backticks.
func prose(text string) template.HTML {
	var b strings.Builder
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		b.WriteString("<p>")
		for i, piece := range strings.Split(paragraph, "`") {
			if piece = template.HTMLEscapeString(piece); i%2 == 1 {
				piece = "<code>" + piece + "</code>"
			}
			b.WriteString(piece)
		}
		b.WriteString("</p>")
	}
	return template.HTML(b.String())
}

func pretty(n yaml.Node) (string, error) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		return n.Value, nil
	}
	text, err := appendJSON(nil, &n)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = json.Indent(&b, text, "", "  ")
	return b.String(), err
}

func last(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }
