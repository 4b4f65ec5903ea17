package engine

import (
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/proto"
)

// displayName is how the engine introduces itself.
const displayName = "meterhouse"

// helloColumns is what clickhouse-go asks first, to learn who answers.
const helloColumns = "SELECT DISPLAYNAME(), VERSION(), REVISION(), TIMEZONE()"

// isHello recognises the question. Only a client that names its revision needs our answer.
func (req *request) isHello() bool {
	sql := strings.Join(strings.Fields(req.statement.sql), " ")
	return req.revision != "" && req.outputFormat() == "Native" &&
		strings.EqualFold(sql, helloColumns)
}

// hello answers it: a block at the revision the client asked by, which says that all others will
// come at revision 0. The engine's Native format has no other.
func (db *DB) hello(req *request, out *response) error {
	revision, err := strconv.Atoi(req.revision)
	if err != nil || revision < 0 {
		return badArguments("client_protocol_version is no number")
	}
	name, version, timezone := new(proto.ColStr), new(proto.ColStr), new(proto.ColStr)
	name.Append(displayName)
	version.Append(db.version)
	timezone.Append(db.timezone)
	zero := proto.ColUInt32{0}
	var buffer proto.Buffer
	block := proto.Block{Info: proto.BlockInfo{BucketNum: -1}, Columns: 4, Rows: 1}
	if err := block.EncodeBlock(&buffer, revision, []proto.InputColumn{
		{Name: "displayName()", Data: name},
		{Name: "version()", Data: version},
		{Name: "revision()", Data: &zero},
		{Name: "timezone()", Data: timezone},
	}); err != nil {
		return err
	}
	out.format("Native", req.encoding)
	_, err = out.Write(buffer.Buf)
	return err
}
