package openapi

import "go.yaml.in/yaml/v3"

// The part of OpenAPI that the page shows.

type document struct {
	Info struct{ Title, Description string }
	Tags []struct {
		Name, Description string
		Prefixes          []string `yaml:"x-prefixes"`
	}
	Paths      list[list[yaml.Node]] // operations by method, and the parameters of them all
	Components struct {
		SecuritySchemes list[struct{ Type, Name, Description string }] `yaml:"securitySchemes"`
		Parameters      list[parameter]
		Headers         list[parameter]
		Responses       list[response]
		Schemas         list[schema]
	}
	Unrouted list[response] `yaml:"x-unrouted"`
}

type operation struct {
	Method, Path         string
	Tags                 []string
	Summary, Description string
	OperationID          string `yaml:"operationId"`
	Security             []list[[]string]
	Parameters           []parameter
	RequestBody          struct{ Content list[media] } `yaml:"requestBody"`
	Responses            list[response]
}

type parameter struct {
	Ref                   string `yaml:"$ref"`
	Name, In, Description string
	Required              bool
	Schema                schema
}

type response struct {
	Ref         string `yaml:"$ref"`
	Description string
	Headers     list[parameter]
	Content     list[media]
}

type media struct {
	Schema   schema
	Example  yaml.Node
	Examples list[example]
}

type example struct {
	Summary string
	Value   yaml.Node
}

type schema struct {
	Ref                       string `yaml:"$ref"`
	Description, Type, Format string
	Example                   yaml.Node
	Required                  []string
	Properties                list[schema]
	Items                     *schema
	OneOf                     []schema `yaml:"oneOf"`
	whole                     *yaml.Node
}

// UnmarshalYAML implements yaml.Unmarshaler. It keeps the node, for what is only copied.
func (s *schema) UnmarshalYAML(n *yaml.Node) error {
	type members schema
	err := n.Decode((*members)(s))
	s.whole = n
	return err
}

// list is a mapping whose members keep their order.
type list[T any] []entry[T]

type entry[T any] struct {
	Name  string
	Value T
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (l *list[T]) UnmarshalYAML(n *yaml.Node) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		e := entry[T]{Name: n.Content[i].Value}
		if err := n.Content[i+1].Decode(&e.Value); err != nil {
			return err
		}
		*l = append(*l, e)
	}
	return nil
}

// get returns the member with a name, or else own.
func (l list[T]) get(name string, own T) T {
	for _, e := range l {
		if e.Name == name {
			own = e.Value
		}
	}
	return own
}
