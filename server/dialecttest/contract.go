package dialecttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/server/openapi"
)

// Conforms returns what is wrong with an answer of the program by its own OpenAPI document: a
// status, header or body that the route does not have there. What is no route has to be answered
// in the form of its path's prefix. The target is the path as it was sent, with its query.
func Conforms(method, target string, got Response) error {
	c, err := contract()
	if err != nil {
		return err
	}
	return c.check(method, target, got)
}

// document is the OpenAPI document, ready to be asked.
type document struct {
	*openapi3.T
	paths    []documented
	unrouted map[string]*openapi3.Response // by prefix of paths
}

// documented is one path of the document.
type documented struct {
	template string
	segments []string
	item     *openapi3.PathItem
}

var contract = sync.OnceValues(func() (*document, error) {
	described, err := openapi.Load()
	if err != nil {
		return nil, err
	}
	return readDocument(described.JSON)
})

func readDocument(text []byte) (*document, error) {
	loaded, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	if err := loaded.Validate(context.Background()); err != nil {
		return nil, err
	}
	d := &document{T: loaded, unrouted: make(map[string]*openapi3.Response)}
	for template, item := range loaded.Paths.Map() {
		d.paths = append(d.paths, documented{template, segmentsOf(template), item})
	}
	slices.SortFunc(d.paths, func(a, b documented) int {
		return strings.Compare(a.template, b.template) // names go before {parameters}
	})
	var more struct {
		Unrouted map[string]struct {
			Ref string `json:"$ref"`
		} `json:"x-unrouted"`
	}
	if err := json.Unmarshal(text, &more); err != nil {
		return nil, err
	}
	for prefix, at := range more.Unrouted {
		response := loaded.Components.Responses[at.Ref[strings.LastIndexByte(at.Ref, '/')+1:]]
		if response == nil {
			return nil, fmt.Errorf("%s: no %s", prefix, at.Ref)
		}
		d.unrouted[prefix] = response.Value
	}
	return d, nil
}

// segmentsOf splits a path as the router sees it: a slash at the end is nothing, and Memori's take
// several.
func segmentsOf(path string) []string {
	if strings.HasPrefix(strings.ToLower(path), "/api/v2/") {
		path = strings.TrimRight(path, "/")
	}
	return strings.Split(strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/"), "/")
}

// matches reports whether a path is one of the template's; names match in any case.
func (d *documented) matches(path []string) bool {
	return slices.EqualFunc(d.segments, path, func(name, segment string) bool {
		return strings.HasPrefix(name, "{") && segment != "" || strings.EqualFold(name, segment)
	})
}

func (d *document) check(method, target string, got Response) error {
	path, _, _ := strings.Cut(target, "?")
	if got.Status == http.StatusRequestHeaderFieldsTooLarge {
		path = "/" // its path was never read
	}
	segments := segmentsOf(path)
	known := slices.IndexFunc(d.paths, func(p documented) bool { return p.matches(segments) })
	if got.Status == http.StatusRequestHeaderFieldsTooLarge {
		known = -1 // no route has seen it, the page's neither
	}
	operation, what := (*openapi3.Operation)(nil), "no route"
	if known >= 0 {
		what = d.paths[known].template
		if operation = d.paths[known].item.GetOperation(canonical(method)); operation == nil {
			what += " (another method)"
		}
	}
	var err error
	if operation != nil && !(method == http.MethodHead && notAllowed(got)) {
		err = d.validate(operation, method, got)
	} else {
		err = d.checkUnrouted(path, method, known >= 0, got)
	}
	if err != nil {
		return fmt.Errorf("OpenAPI: %s, %s: status %d: %w", method, what, got.Status, err)
	}
	return nil
}

// canonical is the operation that describes a method: HEAD is GET without a body.
func canonical(method string) string {
	switch method {
	case http.MethodHead:
		return http.MethodGet
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions:
		return method
	}
	return http.MethodTrace // no route has it; kin-openapi panics at methods it does not know
}

func notAllowed(r Response) bool { return r.Status == http.StatusMethodNotAllowed }

// checkUnrouted checks an answer that no operation describes.
func (d *document) checkUnrouted(path, method string, known bool, got Response) error {
	prefix := ""
	for p := range d.unrouted {
		if len(p) > len(prefix) && strings.HasPrefix(strings.ToLower(path), p) {
			prefix = p
		}
	}
	if prefix == "" {
		prefix = "/" // of "*", and of what is no path at all
	}
	may := []int{400, 404, 405, 408, 413, 415, 429, 431, 500}
	if known {
		may = slices.DeleteFunc(may, func(s int) bool { return s == http.StatusNotFound })
	}
	if prefix == "/api/v2/" {
		may = []int{http.StatusOK}
	}
	if !slices.Contains(may, got.Status) {
		return fmt.Errorf("want one of %v for what is not documented", may)
	}
	if notAllowed(got) && got.Header.Get("Allow") == "" {
		return errors.New("no Allow")
	}
	operation := &openapi3.Operation{Responses: openapi3.NewResponses(openapi3.WithStatus(
		got.Status, &openapi3.ResponseRef{Value: d.unrouted[prefix]}))}
	return d.validate(operation, method, got)
}

// validate checks an answer against an operation's.
func (d *document) validate(operation *openapi3.Operation, method string, got Response) error {
	request, err := http.NewRequest(http.MethodGet, "/", nil) // kin-openapi passes over HEAD
	if err != nil {
		return err
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: request,
			Route:   &routers.Route{Spec: d.T, Operation: operation},
		},
		Status: got.Status,
		Header: got.Header,
		Body:   io.NopCloser(bytes.NewReader(got.Body)),
		Options: &openapi3filter.Options{
			IncludeResponseStatus:   true,
			ExcludeResponseBody:     method == http.MethodHead, // HTTP has none there
			SchemaValidationOptions: formats,
		},
	}
	if err := openapi3filter.ValidateResponse(context.Background(), input); err != nil {
		return reason(err)
	}
	return checkBody(operation, method, got)
}

// checkBody checks what a schema cannot say.
func checkBody(operation *openapi3.Operation, method string, got Response) error {
	response := operation.Responses.Status(got.Status).Value
	if len(response.Content) == 0 || method == http.MethodHead {
		if len(got.Body) > 0 {
			return fmt.Errorf("a body where none belongs: %.100s", got.Body)
		}
		if kind := got.Header.Get("Content-Type"); kind != "" && method != http.MethodHead {
			return fmt.Errorf("no body, but a Content-Type: %s", kind)
		}
		return nil
	}
	var envelope struct{ Status *int }
	if got.Status >= http.StatusBadRequest && json.Unmarshal(got.Body, &envelope) == nil &&
		envelope.Status != nil && *envelope.Status != got.Status {
		return fmt.Errorf("the body says that the status is %d", *envelope.Status)
	}
	return nil
}

// reason shortens an error that would repeat the whole schema.
func reason(err error) error {
	failed, at := (*openapi3filter.ResponseError)(nil), (*openapi3.SchemaError)(nil)
	if !errors.As(err, &failed) {
		return err
	}
	if !errors.As(err, &at) {
		return fmt.Errorf("%s: %v", failed.Reason, failed.Err)
	}
	// A 422 repeats the number that was sent, and JSON allows larger ones than kin-openapi reads.
	if path := at.JSONPointer(); strings.HasPrefix(at.Reason, "cannot convert json.Number") &&
		len(path) > 0 && path[len(path)-1] == "input" {
		return nil
	}
	return fmt.Errorf("%s: %s: %s", failed.Reason, strings.Join(at.JSONPointer(), "."), at.Reason)
}

var formats = []openapi3.SchemaValidationOption{
	openapi3.EnableFormatValidation(),
	openapi3.WithStringFormatValidator("uuid", openapi3.NewCallbackValidator(func(s string) error {
		if id, err := uuid.Parse(s); err != nil || id.String() != s {
			return errors.New("not a UUID in its usual form")
		}
		return nil
	})),
}

func init() {
	for _, kind := range []string{
		"text/html", "text/css", "text/javascript", "image/svg+xml",
		"application/x-protobuf", "application/x-ndjson", "text/csv",
		"application/vnd.apache.parquet", "application/vnd.apache.arrow.stream",
	} {
		openapi3filter.RegisterBodyDecoder(kind, openapi3filter.PlainBodyDecoder)
	}
}
