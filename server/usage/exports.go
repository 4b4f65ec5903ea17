package usage

import (
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
	"github.com/meterhouse/meterhouse/server/access"
	"github.com/meterhouse/meterhouse/server/dialect"
)

const exportsPath = "/v1/exports"

// mountExports registers the routes by method: fiber's Get would answer HEAD as well.
func (d *api) mountExports(r fiber.Router) {
	r.Add(fiber.MethodPost, exportsPath, d.createExport)
	r.Add(fiber.MethodGet, exportsPath, d.listExports)
	r.Add(fiber.MethodGet, exportsPath+"/:id", d.getExport)
	r.Add(fiber.MethodDelete, exportsPath+"/:id", d.cancelExport)
	r.Add(fiber.MethodGet, exportsPath+"/:id/files/:name", d.exportFile)
}

// exports returns who makes them; Unavailable where nobody does.
func (d *api) exports() (dialect.Exports, error) {
	if d.door.Exports == nil {
		return nil, &schema.Error{
			Kind: schema.Unavailable, Message: "exports are not made by this node",
			RetryAfter: time.Minute,
		}
	}
	return d.door.Exports, nil
}

// exportCaller returns who asks for or about exports: a user, since an export is somebody's.
func (d *api) exportCaller(c *fiber.Ctx) (access.Caller, error) {
	who, err := d.caller(c)
	if err == nil && (who.Agent != uuid.Nil || who.User == uuid.Nil) {
		err = schema.Errorf(schema.Forbidden, "",
			"an agent's secret opens nothing here: send a user's token")
	}
	return who, err
}

// maySee reports whether an export is the caller's to see: an admin's are all of the organization,
// anybody else's those of their own usage.
func maySee(who access.Caller, x schema.Export) bool {
	return who.Role >= schema.Admin || x.Request.By == who.User && x.Request.User == who.User
}

// createExport notes an export, which is made in the background.
func (d *api) createExport(c *fiber.Ctx) error {
	who, err := d.exportCaller(c)
	if err != nil {
		return err
	}
	if _, err := readParams(c); err != nil {
		return err
	}
	if !dialect.IsJSON(c.Get(fiber.HeaderContentType)) {
		return schema.Errorf(schema.Unsupported, fiber.HeaderContentType, "must be application/json")
	}
	key, err := dialect.IdempotencyKey(c)
	if err != nil {
		return err
	}
	body, err := dialect.ReadBodyUpTo(c, who.Organization, questionBytesMax)
	if err != nil {
		return err
	}
	r, err := parseExport(body, who)
	if err != nil {
		return err
	}
	exports, err := d.exports()
	if err != nil {
		return err
	}
	r.Key = key
	x, err := exports.Create(c.UserContext(), r)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderLocation, exportURL(who, x, ""))
	return sendExport(c, fiber.StatusAccepted, exportOf(who, x))
}

// exportURL returns where an export is, or a file of it. Of another organization than the caller's
// it names that.
func exportURL(who access.Caller, x schema.Export, file string) string {
	text := exportsPath + "/" + x.ID.String()
	if file != "" {
		text += "/files/" + url.PathEscape(file)
	}
	if x.Request.Organization != who.Organization {
		text += "?organization_id=" + x.Request.Organization.String()
	}
	return text
}

// exportsOf returns the organization whose exports a request is about.
func exportsOf(c *fiber.Ctx, who access.Caller) (uuid.UUID, error) {
	p, err := readParams(c, "organization_id")
	if err != nil {
		return uuid.Nil, err
	}
	for name := range p {
		if isFilter(name) {
			return uuid.Nil, unknown(name)
		}
	}
	asked, err := p.organization()
	if err != nil {
		return uuid.Nil, err
	}
	return organizationOf(who, asked)
}

// listExports answers the exports that the caller may see, the newest first.
func (d *api) listExports(c *fiber.Ctx) error {
	who, err := d.exportCaller(c)
	if err != nil {
		return err
	}
	organization, err := exportsOf(c, who)
	if err != nil {
		return err
	}
	exports, err := d.exports()
	if err != nil {
		return err
	}
	all, err := exports.List(c.UserContext(), organization)
	if err != nil {
		return err
	}
	answer := struct {
		Exports []export `json:"exports"`
	}{[]export{}}
	for _, x := range all {
		if maySee(who, x) {
			answer.Exports = append(answer.Exports, exportOf(who, x))
		}
	}
	return sendExport(c, fiber.StatusOK, answer)
}

// export returns the export of the path, which is NotFound to whoever may not see it.
func (d *api) export(c *fiber.Ctx) (access.Caller, dialect.Exports, schema.Export, error) {
	who, err := d.exportCaller(c)
	if err != nil {
		return who, nil, schema.Export{}, err
	}
	organization, err := exportsOf(c, who)
	if err != nil {
		return who, nil, schema.Export{}, err
	}
	exports, err := d.exports()
	if err != nil {
		return who, nil, schema.Export{}, err
	}
	id, ok := parseID(strings.Clone(c.Params("id")))
	if !ok {
		return who, nil, schema.Export{}, errNoExport
	}
	x, err := exports.Get(c.UserContext(), organization, id)
	if err == nil && !maySee(who, x) {
		err = errNoExport
	}
	return who, exports, x, err
}

var errNoExport = schema.Errorf(schema.NotFound, "", "there is no such export")

// getExport answers how far an export is, and where its files are.
func (d *api) getExport(c *fiber.Ctx) error {
	who, _, x, err := d.export(c)
	if err != nil {
		return err
	}
	return sendExport(c, fiber.StatusOK, exportOf(who, x))
}

// cancelExport ends an export and removes its files.
func (d *api) cancelExport(c *fiber.Ctx) error {
	_, exports, x, err := d.export(c)
	if err != nil {
		return err
	}
	if err := exports.Cancel(c.UserContext(), x.Request.Organization, x.ID); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}
