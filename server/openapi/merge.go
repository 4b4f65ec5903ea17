package openapi

import (
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// shared are the mappings that every file adds to. Anything else is one file's alone.
var shared = map[string]bool{
	"": true, "/paths": true, "/x-unrouted": true, "/components": true,
	"/components/schemas": true, "/components/responses": true, "/components/parameters": true,
	"/components/headers": true, "/components/securitySchemes": true,
}

// anchors is where a file keeps what it only refers to.
const anchors = "/x-anchors"

// add puts what a file says into the whole, at a place in both. What is there already is an error,
// so that no API redefines another's.
func add(whole, part *yaml.Node, place string) error {
	for i := 0; i < len(part.Content); i += 2 {
		key, value := part.Content[i], part.Content[i+1]
		have := member(whole, key.Value)
		at := place + "/" + key.Value
		switch {
		case at == anchors:
		case have == nil:
			whole.Content = append(whole.Content, key, value)
		case shared[at] && have.Kind == yaml.MappingNode && value.Kind == yaml.MappingNode:
			if err := add(have, value, at); err != nil {
				return err
			}
		case at == "/tags" && have.Kind == yaml.SequenceNode:
			have.Content = append(have.Content, value.Content...)
		default:
			return fmt.Errorf("line %d: %s is defined in another file", key.Line, at)
		}
	}
	return nil
}

// member returns the value of a key, nil when there is none.
func member(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// plain returns a copy of a tree without YAML's aliases and merge keys, which JSON has no words
// for. A key that is there twice is an error.
func plain(n *yaml.Node) (*yaml.Node, error) {
	if n.Kind == yaml.AliasNode {
		return plain(n.Alias)
	}
	to := &yaml.Node{Kind: n.Kind, Tag: n.ShortTag(), Value: n.Value, Line: n.Line}
	if n.Kind != yaml.MappingNode {
		for _, child := range n.Content {
			c, err := plain(child)
			if err != nil {
				return nil, err
			}
			to.Content = append(to.Content, c)
		}
		return to, nil
	}
	var inherited []*yaml.Node
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		value, err := plain(n.Content[i+1])
		if err != nil {
			return nil, err
		}
		switch {
		case key.ShortTag() == "!!merge":
			inherited = append(inherited, value)
		case member(to, key.Value) != nil:
			return nil, fmt.Errorf("line %d: %s is there twice", key.Line, key.Value)
		default:
			to.Content = append(to.Content, &yaml.Node{
				Kind: yaml.ScalarNode, Tag: "!!str", Value: key.Value, Line: key.Line,
			}, value)
		}
	}
	for _, from := range inherited {
		for i := 0; i < len(from.Content); i += 2 {
			if member(to, from.Content[i].Value) == nil {
				to.Content = append(to.Content, from.Content[i], from.Content[i+1])
			}
		}
	}
	return to, nil
}

// appendJSON writes a tree, members in their order and numbers in their own digits.
func appendJSON(dst []byte, n *yaml.Node) ([]byte, error) {
	var err error
	switch n.Kind {
	case yaml.MappingNode:
		dst = append(dst, '{')
		for i := 0; i < len(n.Content); i += 2 {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, n.Content[i].Value), ':')
			if dst, err = appendJSON(dst, n.Content[i+1]); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case yaml.SequenceNode:
		dst = append(dst, '[')
		for i, child := range n.Content {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendJSON(dst, child); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	}
	switch n.Tag {
	case "!!int", "!!float", "!!bool", "!!null":
		literal := strings.ToLower(n.Value)
		if n.Tag == "!!null" {
			literal = "null"
		}
		if !json.Valid([]byte(literal)) {
			return nil, fmt.Errorf("line %d: %s is not written as in JSON", n.Line, n.Value)
		}
		return append(dst, literal...), nil
	}
	return appendString(dst, n.Value), nil
}

func appendString(dst []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil { // not reached: any string can be written
		return append(dst, `""`...)
	}
	return append(dst, text...)
}
