package native

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/server/dialect"
)

// writeReceipt answers 201 with what became of a request's events.
func writeReceipt(c *fiber.Ctx, r receipt) error {
	if len(r.Rejected) > 0 || r.Results != nil {
		return writeJSON(c, http.StatusCreated, r)
	}
	var room [96]byte // nearly every answer fits, and needs no encoder
	body := strconv.AppendInt(append(room[:0], `{"accepted":`...), int64(r.Accepted), 10)
	body = strconv.AppendInt(append(body, `,"duplicates":`...), int64(r.Duplicates), 10)
	answer := c.Status(http.StatusCreated).Response()
	answer.Header.SetContentType(fiber.MIMEApplicationJSON)
	answer.SetBody(append(body, `,"rejected":[]}`...))
	return nil
}

func writeJSON(c *fiber.Ctx, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.Status(status).Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Send(body)
}

func receiptOf(r dialect.Receipt) receipt {
	return receipt{
		Accepted:   r.Accepted,
		Duplicates: r.Duplicates,
		Rejected:   dialect.ProblemItems(r.Rejected),
	}
}

// results returns what became of each event, in the order of the request. The receipt's positions
// are those in the request.
func (b *batch) results(r dialect.Receipt) []result {
	all := make([]result, b.count)
	ids := make([]uuid.UUID, len(b.events))
	for i, e := range b.events {
		ids[i] = e.ID
		all[b.positions[i]] = result{ID: &ids[i], Status: statusAccepted}
	}
	for _, at := range r.Repeated {
		all[at].Status = statusDuplicate
	}
	for _, no := range r.Rejected {
		all[no.Index] = result{Status: statusRejected, Field: no.Err.Field, Message: no.Err.Message}
	}
	for i := range all {
		all[i].Index = i
	}
	return all
}

func sortByIndex(rejected []dialect.Rejection) {
	slices.SortStableFunc(rejected, func(a, b dialect.Rejection) int {
		return cmp.Compare(a.Index, b.Index)
	})
}
