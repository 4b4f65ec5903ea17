package openapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page's template and style
	"encoding/base64"
	"encoding/json"
	"html/template"
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
		"prose":     prose,
		"type":      typeOf,
		"limits":    limitsOf,
		"pretty":    pretty,
		"example":   d.exampleOf,
		"response":  d.responseOf,
		"parameter": d.parameterOf,
		"header":    d.headerOf,
		"style":     func() template.CSS { return template.CSS(pageCSS) },
		"upper":     strings.ToUpper,
		"has":       func(list []string, s string) bool { return contains(list, s) },
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

func contains(list []string, s string) bool {
	for _, one := range list {
		if one == s {
			return true
		}
	}
	return false
}

// Of returns the operations of a tag, in the document's order.
func (d *document) Of(tag string) []operationAt {
	var all []operationAt
	for _, path := range d.Paths {
		for _, m := range path.Value.Methods {
			if contains(m.Value.Tags, tag) {
				m.Value.Parameters = append(path.Value.Parameters[:len(path.Value.Parameters):len(
					path.Value.Parameters)], m.Value.Parameters...)
				all = append(all, operationAt{Method: m.Name, Path: path.Name, operation: m.Value})
			}
		}
	}
	return all
}

func (d *document) responseOf(r response) response {
	if r.Ref == "" {
		return r
	}
	return d.Components.Responses.get(last(r.Ref))
}

func (d *document) parameterOf(p parameter) parameter {
	if p.Ref == "" {
		return p
	}
	return d.Components.Parameters.get(last(p.Ref))
}

func (d *document) headerOf(h parameter) parameter {
	if h.Ref == "" {
		return h
	}
	return d.Components.Headers.get(last(h.Ref))
}

// exampleOf returns the examples of a body: its own, or its schema's.
func (d *document) exampleOf(m media) list[example] {
	if len(m.Examples) > 0 {
		return m.Examples
	}
	value := m.Example
	if value.IsZero() {
		value = m.Schema.Example
	}
	if value.IsZero() && m.Schema.Ref != "" {
		value = d.Components.Schemas.get(last(m.Schema.Ref)).Example
	}
	if value.IsZero() {
		return nil
	}
	return list[example]{{Value: example{Value: value}}}
}

// typeOf says what a schema is in a few words; a schema with a name is a link to it.
func typeOf(s schema) template.HTML {
	escape := template.HTMLEscapeString
	switch {
	case s.Ref != "":
		name := escape(last(s.Ref))
		return template.HTML(`<a href="#schema-` + name + `">` + name + `</a>`)
	case len(s.OneOf)+len(s.AllOf)+len(s.AnyOf) > 0:
		var parts []string
		for _, part := range append(append(s.OneOf, s.AllOf...), s.AnyOf...) {
			parts = append(parts, string(typeOf(part)))
		}
		between := " or "
		if len(s.AllOf) > 0 {
			between = " and "
		}
		return template.HTML(strings.Join(parts, between))
	case s.Type == "array" && s.Items != nil:
		return "array of " + typeOf(*s.Items)
	case s.Type == "object" && s.Additional.Kind == yaml.MappingNode:
		var values schema
		if s.Additional.Decode(&values) == nil {
			return "object of " + typeOf(values)
		}
	}
	text := s.Type
	if text == "" {
		text = "anything"
	}
	if s.Format != "" {
		text += " (" + s.Format + ")"
	}
	return template.HTML(escape(text))
}

// limitsOf says what a value has to keep to, beyond its type.
func limitsOf(s schema) template.HTML {
	var parts []string
	say := func(words, value string) {
		if value != "" {
			parts = append(parts, words+" <code>"+template.HTMLEscapeString(value)+"</code>")
		}
	}
	if len(s.Enum) > 0 {
		var values []string
		for _, v := range s.Enum {
			values = append(values, "<code>"+template.HTMLEscapeString(v.Value)+"</code>")
		}
		parts = append(parts, strings.Join(values, " · "))
	}
	say("at least", s.Minimum)
	say("at most", s.Maximum)
	say("characters at least", s.MinLength)
	say("characters at most", s.MaxLength)
	say("entries at least", s.MinItems+s.MinProperties)
	say("entries at most", s.MaxItems+s.MaxProperties)
	say("like", s.Pattern)
	say("default", s.Default.Value)
	if s.Nullable {
		parts = append(parts, "or <code>null</code>")
	}
	if s.Additional.Value == "false" {
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
