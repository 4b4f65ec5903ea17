package openapi

import "go.yaml.in/yaml/v3"

// The part of OpenAPI that the page shows.

type document struct {
	Info struct{ Title, Description string }
	Tags []struct {
		Name, Description string
		Prefixes          []string `yaml:"x-prefixes"`
	}
	Paths      list[pathItem]
	Components struct {
		SecuritySchemes list[securityScheme] `yaml:"securitySchemes"`
		Parameters      list[parameter]
		Headers         list[parameter]
		Responses       list[response]
		Schemas         list[schema]
	}
}

type pathItem struct {
	Parameters []parameter
	Methods    list[operation]
}

type operation struct {
	Tags                 []string
	Summary, Description string
	OperationID          string `yaml:"operationId"`
	Security             []list[[]string]
	Parameters           []parameter
	RequestBody          body `yaml:"requestBody"`
	Responses            list[response]
}

type operationAt struct {
	Method, Path string
	operation
}

type parameter struct {
	Ref         string `yaml:"$ref"`
	Name, In    string
	Description string
	Required    bool
	Schema      schema
}

type body struct {
	Description string
	Content     list[media]
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

type securityScheme struct {
	Type, Scheme, In, Name, Description string
}

type schema struct {
	Ref                   string `yaml:"$ref"`
	Description           string
	Type, Format, Pattern string
	Enum                  []yaml.Node
	Default, Example      yaml.Node
	Nullable              bool
	Minimum, Maximum      string
	MinLength             string `yaml:"minLength"`
	MaxLength             string `yaml:"maxLength"`
	MinItems              string `yaml:"minItems"`
	MaxItems              string `yaml:"maxItems"`
	MinProperties         string `yaml:"minProperties"`
	MaxProperties         string `yaml:"maxProperties"`
	Required              []string
	Properties            list[schema]
	Additional            yaml.Node `yaml:"additionalProperties"`
	Items                 *schema
	OneOf                 []schema `yaml:"oneOf"`
	AllOf                 []schema `yaml:"allOf"`
	AnyOf                 []schema `yaml:"anyOf"`
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

// get returns a member's value, the zero value when there is none.
func (l list[T]) get(name string) (value T) {
	for _, e := range l {
		if e.Name == name {
			return e.Value
		}
	}
	return value
}

// UnmarshalYAML implements yaml.Unmarshaler: what is not the parameters of all is a method's.
func (p *pathItem) UnmarshalYAML(n *yaml.Node) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		var err error
		if name := n.Content[i].Value; name == "parameters" {
			err = n.Content[i+1].Decode(&p.Parameters)
		} else {
			e := entry[operation]{Name: name}
			err = n.Content[i+1].Decode(&e.Value)
			p.Methods = append(p.Methods, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
