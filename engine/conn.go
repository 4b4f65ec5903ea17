package engine

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// idleConnsMax bounds the connections kept for reuse. Making one costs 0.2 ms, so there is
// little to gain from many.
const idleConnsMax = 16

// conn is one session of the engine. It serves one request at a time.
type conn struct {
	db     *DB
	handle *uintptr
	// tag marks the session's queries in system.processes: the library offers no query ids.
	tag string
	// key is the database and the settings the session was made with; see session.key.
	key string
}

// raw is what the library's query calls take.
func (c *conn) raw() uintptr { return *c.handle }

// close ends the session, and with it anything left running or half-read in it.
func (c *conn) close() { c.db.lib.closeConn(c.handle) }

// session is what a request wants of its connection.
type session struct {
	database string
	settings map[string]string
}

// check refuses names of settings that are none in any version: they would become SQL.
func (s session) check() error {
	for name := range s.settings {
		if !settingName.MatchString(name) {
			return &Exception{
				Code:    codeUnknownSetting,
				Message: fmt.Sprintf("Unknown setting '%s'. (UNKNOWN_SETTING)", oneLine(name)),
			}
		}
	}
	return nil
}

// key names sessions that are equal, once they are checked: no name holds a separator then, and
// values are quoted.
func (s session) key() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q", s.database)
	for _, name := range slices.Sorted(maps.Keys(s.settings)) {
		fmt.Fprintf(&b, "\x00%s=%q", name, s.settings[name])
	}
	return b.String()
}

// unique settings differ with every request: a session that has one is of no use to another.
func (s session) unique() bool {
	_, token := s.settings["insert_deduplication_token"]
	_, comment := s.settings["log_comment"]
	return token || comment
}

// settingName is what may stand unquoted in a SET statement.
var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// connect returns a session as asked for: one that was left in that very state, or a new one.
// A used session is never altered, so nothing of one request can reach the next.
func (db *DB) connect(s session) (*conn, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	key := s.key()
	if c := db.pool.take(key); c != nil {
		return c, nil
	}
	c := &conn{db: db, key: key, tag: fmt.Sprintf("meterhouse-%d:", db.serial.Add(1))}
	if c.handle = db.lib.open(db.args(c.tag)); c.handle == nil {
		return nil, &Exception{
			Code: codeUnknownException, Message: "the engine takes no further connection",
		}
	}
	if err := c.prepare(s); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// prepare brings a new session into the state asked for. A statement is used rather than the
// connection's arguments since it tells what is wrong with a setting.
func (c *conn) prepare(s session) error {
	if s.database != "" && s.database != "default" {
		if err := c.run("USE " + quoteName(s.database)); err != nil {
			return err
		}
	}
	if len(s.settings) == 0 {
		return nil
	}
	var changes []string
	for _, name := range slices.Sorted(maps.Keys(s.settings)) {
		value := s.settings[name]
		if name == "log_comment" {
			value = c.tag + value
		}
		changes = append(changes, name+" = "+quote(value))
	}
	return c.run("SET " + strings.Join(changes, ", "))
}

// run executes a statement without a result.
func (c *conn) run(sql string) error {
	result := call(c.db.lib.query, c.raw(), sql, "Null", nil)
	defer c.db.lib.resultDestroy(result)
	return c.db.lib.failure(result)
}

// release ends a request's use of the session, which is kept if clean says that the request left
// nothing behind in it.
func (c *conn) release(s session, clean bool) {
	if !clean || s.unique() {
		c.close()
		return
	}
	if evicted := c.db.pool.put(c); evicted != nil {
		evicted.close()
	}
}

// pool holds idle sessions, the one used last at the end.
type pool struct {
	sync.Mutex
	size int
	idle []*conn
}

// take removes and returns the session with this key that was used last, or nil.
func (p *pool) take(key string) *conn {
	p.Lock()
	defer p.Unlock()
	for i := len(p.idle) - 1; i >= 0; i-- {
		if c := p.idle[i]; c.key == key {
			p.idle = slices.Delete(p.idle, i, i+1)
			return c
		}
	}
	return nil
}

// put keeps a session and returns the one that has to go for it, if any.
func (p *pool) put(c *conn) (evicted *conn) {
	p.Lock()
	defer p.Unlock()
	if len(p.idle) >= p.size {
		evicted = p.idle[0]
		p.idle = slices.Delete(p.idle, 0, 1)
	}
	p.idle = append(p.idle, c)
	return evicted
}

// drain closes all idle sessions.
func (p *pool) drain() {
	p.Lock()
	idle := p.idle
	p.idle = nil
	p.Unlock()
	for _, c := range idle {
		c.close()
	}
}
