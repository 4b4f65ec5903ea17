package native

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/meterhouse/meterhouse/server/dialect"
)

// writeReceipt answers 201 with what became of each event.
func writeReceipt(c *fiber.Ctx, r dialect.Receipt) error {
	c.Status(http.StatusCreated).Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	body, err := encodeReceipt(r)
	if err != nil {
		return err
	}
	return c.Send(body)
}

func encodeReceipt(r dialect.Receipt) ([]byte, error) {
	return json.Marshal(receipt{
		Accepted:   r.Accepted,
		Duplicates: r.Duplicates,
		Rejected:   dialect.ProblemItems(r.Rejected),
	})
}

func sortByIndex(rejected []dialect.Rejection) {
	slices.SortStableFunc(rejected, func(a, b dialect.Rejection) int {
		return cmp.Compare(a.Index, b.Index)
	})
}
