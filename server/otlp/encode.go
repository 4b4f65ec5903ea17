package otlp

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/dialect"
)

// encoding is how a request is written, and its answer.
type encoding string

const (
	inProtobuf encoding = mimeProtobuf
	inJSON     encoding = mimeJSON
)

// encodingOf returns a request's encoding. The error is Unsupported.
func encodingOf(c *fiber.Ctx) (encoding, error) {
	mediaType, _, _ := strings.Cut(c.Get(fiber.HeaderContentType), ";")
	switch strings.ToLower(strings.TrimSpace(mediaType)) {
	case mimeProtobuf:
		return inProtobuf, nil
	case mimeJSON:
		return inJSON, nil
	}
	return inJSON, schema.Errorf(schema.Unsupported, fiber.HeaderContentType,
		"must be %s or %s", mimeProtobuf, mimeJSON)
}

func send(c *fiber.Ctx, status int, as encoding, body []byte) error {
	c.Status(status).Set(fiber.HeaderContentType, string(as))
	return c.Send(body)
}

// writeResponse answers 200: nothing more when all was taken, else how many spans were not, and
// why. OTLP has no other status for it, even when none was: a sender must not try again.
func writeResponse(c *fiber.Ctx, as encoding, b *batch) error {
	body, err := encodeResponse(as, b)
	if err != nil {
		return err
	}
	return send(c, http.StatusOK, as, body)
}

func encodeResponse(as encoding, b *batch) ([]byte, error) {
	if len(b.rejected) == 0 {
		if as == inJSON {
			return []byte("{}"), nil
		}
		return nil, nil // an empty message is no bytes
	}
	response := ptraceotlp.NewExportResponse()
	response.PartialSuccess().SetRejectedSpans(int64(len(b.rejected)))
	response.PartialSuccess().SetErrorMessage(reasons(b))
	if as == inJSON {
		return response.MarshalJSON()
	}
	return response.MarshalProto()
}

// reasonsMax is how many rejections an answer tells the reasons of.
const reasonsMax = 5

func reasons(b *batch) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d of %d spans with usage were rejected: ", len(b.rejected), b.count)
	for i, r := range b.rejected[:min(len(b.rejected), reasonsMax)] {
		if i > 0 {
			text.WriteString("; ")
		}
		if r.span != "" {
			text.WriteString("span " + r.span + ": ")
		}
		text.WriteString(r.err.Error())
	}
	if more := len(b.rejected) - reasonsMax; more > 0 {
		fmt.Fprintf(&text, "; and %d more", more)
	}
	return text.String()
}

// statusOf maps what went wrong to HTTP. Senders try again after 429 and 503 only.
var statusOf = map[schema.Kind]int{
	schema.Unreadable:      http.StatusBadRequest,
	schema.Invalid:         http.StatusBadRequest,
	schema.Unauthenticated: http.StatusUnauthorized,
	schema.Forbidden:       http.StatusForbidden,
	schema.NotFound:        http.StatusNotFound,
	schema.TooLarge:        http.StatusRequestEntityTooLarge,
	schema.Unsupported:     http.StatusUnsupportedMediaType,
	schema.Overloaded:      http.StatusTooManyRequests,
	schema.Unavailable:     http.StatusServiceUnavailable,
}

// codeOf returns the code that gRPC has for a status.
func codeOf(status int) uint64 {
	const (
		unknown, invalidArgument, notFound, permissionDenied = 2, 3, 5, 7
		resourceExhausted, unimplemented, internal           = 8, 12, 13
		unavailable, unauthenticated                         = 14, 16
	)
	switch status {
	case http.StatusUnauthorized:
		return unauthenticated
	case http.StatusForbidden:
		return permissionDenied
	case http.StatusNotFound:
		return notFound
	case http.StatusMethodNotAllowed:
		return unimplemented
	case http.StatusTooManyRequests, http.StatusRequestEntityTooLarge:
		return resourceExhausted
	case http.StatusServiceUnavailable:
		return unavailable
	}
	switch {
	case status >= http.StatusInternalServerError:
		return internal
	case status >= http.StatusBadRequest:
		return invalidArgument
	}
	return unknown
}

// writeError answers any error as a google.rpc.Status, in the encoding of the request.
func writeError(c *fiber.Ctx, err error) error {
	status, message := encodeError(err)
	as, _ := encodingOf(c) // of what is neither: JSON
	body, err2 := encodeStatus(as, codeOf(status), message)
	if err2 != nil {
		return err2
	}
	if status == http.StatusUnauthorized {
		c.Set(fiber.HeaderWWWAuthenticate, "Bearer")
	}
	if wait := dialect.RetryAfter(err); wait != "" {
		c.Set(fiber.HeaderRetryAfter, wait)
	}
	return send(c, status, as, body)
}

// encodeStatus writes a google.rpc.Status, whose code is field 1 and whose message is field 2.
func encodeStatus(as encoding, code uint64, message string) ([]byte, error) {
	if as == inJSON {
		return json.Marshal(struct {
			Code    uint64 `json:"code"`
			Message string `json:"message"`
		}{code, message})
	}
	const codeTag, messageTag = 1 << 3, 2<<3 | 2
	b := binary.AppendUvarint([]byte{codeTag}, code)
	b = binary.AppendUvarint(append(b, messageTag), uint64(len(message)))
	return append(b, message...), nil
}

// encodeError returns the status and the text of an error. Of one that is neither ours nor the
// router's nothing is shown.
func encodeError(err error) (int, string) {
	var known *schema.Error
	var routed *fiber.Error
	switch {
	case errors.As(err, &known) && statusOf[known.Kind] != 0:
		return statusOf[known.Kind], known.Error()
	case errors.As(err, &routed) && routed.Code >= 400 && http.StatusText(routed.Code) != "":
		return routed.Code, http.StatusText(routed.Code) // its own message repeats the path
	}
	return http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError)
}
