package engine

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// userName is the only user there is.
const userName = "default"

// handler is ClickHouse's HTTP interface over the engine.
type handler struct {
	db       *DB
	password [sha256.Size]byte
	logger   *slog.Logger

	running struct { // what KILL QUERY may name
		sync.Mutex
		tags map[string]string // query id → tag of its connection
	}
}

// newHandler serves db to whoever knows the password.
func newHandler(db *DB, password string, logger *slog.Logger) *handler {
	h := &handler{db: db, password: sha256.Sum256([]byte(password)), logger: logger}
	h.running.tags = make(map[string]string)
	return h
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/ping":
		w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
		_, _ = io.WriteString(w, "Ok.\n")
	case r.URL.Path != "/":
		http.Error(w, "There is no handle "+r.URL.Path, http.StatusNotFound)
	case r.Method != http.MethodGet && r.Method != http.MethodPost && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "Method not allowed", http.StatusMethodNotAllowed)
	case r.Method != http.MethodPost && r.URL.RawQuery == "":
		_, _ = io.WriteString(w, "Ok.\n")
	default:
		if !h.authenticate(w, r) {
			return
		}
		h.serve(w, r)
	}
}

// authenticate checks the request's credentials and answers it if they are wrong. How long it
// takes does not depend on how wrong.
func (h *handler) authenticate(w http.ResponseWriter, r *http.Request) bool {
	user, password, given := credentials(r)
	sum := sha256.Sum256([]byte(password))
	right := subtle.ConstantTimeCompare(sum[:], h.password[:]) &
		subtle.ConstantTimeCompare([]byte(user), []byte(userName))
	if right == 1 {
		return true
	}
	e := &Exception{
		Code: codeAuthenticationFailed,
		Message: "default: Authentication failed: password is incorrect, or there is no user " +
			"with such name. (AUTHENTICATION_FAILED)",
	}
	drain(w, r, strangerBytesMax)
	if !given {
		w.Header().Set("WWW-Authenticate", `Basic realm="ClickHouse server HTTP API"`)
		writeStatus(w, http.StatusUnauthorized, e)
		return false
	}
	writeException(w, e)
	return false
}

// credentials are taken from the first place that has any: the headers of ClickHouse's own,
// basic authentication, the URL.
func credentials(r *http.Request) (user, password string, given bool) {
	user, password = r.Header.Get("X-ClickHouse-User"), r.Header.Get("X-ClickHouse-Key")
	if user != "" || password != "" {
		return orDefault(user), password, true
	}
	if user, password, ok := r.BasicAuth(); ok {
		return orDefault(user), password, true
	}
	query := r.URL.Query()
	return orDefault(query.Get("user")), query.Get("password"),
		query.Has("user") || query.Has("password")
}

func orDefault(user string) string {
	if user == "" {
		return userName
	}
	return user
}

// serve runs a request of someone who may.
func (h *handler) serve(w http.ResponseWriter, r *http.Request) {
	req, err := parseRequest(r)
	if err != nil {
		drain(w, r, drainBytesMax)
		writeException(w, asException(err))
		return
	}
	if req.queryID == "" {
		req.queryID = randomHex(16)
	}
	out, err := newResponse(w, req, h.db)
	if err != nil {
		drain(w, r, drainBytesMax)
		writeException(w, asException(err))
		return
	}
	if err := h.run(r.Context(), req, out); err != nil {
		if r.Context().Err() == nil {
			drain(w, r, drainBytesMax)
		}
		h.log(req, err)
		out.fail(err)
		return
	}
	out.finish()
}

// run runs a request on a connection of its own.
func (h *handler) run(ctx context.Context, req *request, out *response) error {
	if req.isHello() {
		return h.db.hello(req, out)
	}
	leave, err := h.db.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	h.aimKill(req)
	c, err := h.db.connect(req.session)
	if err != nil {
		return err
	}
	defer h.register(req.queryID, c.tag)()
	var clean bool
	defer func() { c.release(req.session, clean) }()
	if req.statement.kind == statementInsert {
		clean, err = h.db.runInsert(ctx, c, req)
	} else {
		clean, err = h.db.runQuery(ctx, c, req, out)
	}
	return err
}

// register makes a query known by its id until the returned function is called.
func (h *handler) register(id, tag string) (forget func()) {
	h.running.Lock()
	defer h.running.Unlock()
	h.running.tags[id] = tag
	return func() {
		h.running.Lock()
		defer h.running.Unlock()
		if h.running.tags[id] == tag {
			delete(h.running.tags, id)
		}
	}
}

// aimKill turns KILL QUERY by a client's query id into one by our tag: the engine knows only ids
// of its own making.
func (h *handler) aimKill(req *request) {
	m := killByID.FindStringSubmatchIndex(req.statement.sql)
	if m == nil {
		return
	}
	h.running.Lock()
	tag, ok := h.running.tags[req.statement.sql[m[2]:m[3]]]
	h.running.Unlock()
	if !ok {
		return
	}
	sql := req.statement.sql
	where := strings.Index(strings.ToUpper(sql), "QUERY_ID")
	req.statement.sql = sql[:where] + "startsWith(Settings['log_comment'], " + quote(tag) + ")" +
		sql[m[3]+1:]
}

// log notes a failed query: its id and its code. The text may quote data, so it is left to the
// client, which gets all of it.
func (h *handler) log(req *request, err error) {
	h.logger.Debug("engine query failed", "query_id", req.queryID, "code", asException(err).Code)
}

// What a client is still sending when its request has failed is read, within bounds, before the
// answer: a client that cannot finish writing may never read why.
const (
	drainBytesMax    = 256 << 20
	strangerBytesMax = 1 << 20 // of someone without the password
	drainTime        = 5 * time.Second
)

func drain(w http.ResponseWriter, r *http.Request, bytesMax int64) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTime))
	_, _ = io.CopyN(io.Discard, r.Body, bytesMax)
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
}
