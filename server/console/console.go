// Package console is the web console in the browser's eyes: the built page and its files, and the
// session by which the page calls the ordinary API. docs/console.md says what a session is and
// what guards it.
package console

import (
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meterhouse/meterhouse/queries"
	"github.com/meterhouse/meterhouse/server/access"
)

// Config is what a Console needs. What the server has of its own it fills in: Directory, Queries,
// Now, Metrics, and Secure where it serves TLS.
type Config struct {
	Directory *access.Directory
	Queries   *queries.Queries // of the keys that seal sessions
	Now       func() time.Time
	Metrics   prometheus.Registerer // nil: nobody looks

	// PublicURL is where browsers find the console; nil: wherever they say it is. With https the
	// session's cookie is only sent over TLS, and so are all requests from then on.
	PublicURL *url.URL
	Secure    bool   // browsers come over TLS
	Version   string // shown to who is signed in
	Billing   bool   // this node reports to Stripe: likewise

	Files  fs.FS     // the built page; nil: what was embedded
	Random io.Reader // of keys, nonces and tokens; nil: the system's
}

// Console serves the page and its sessions.
type Console struct {
	cfg    Config
	site   *site
	keys   *keyring
	failed *limiter
	tries  *prometheus.CounterVec // result
}

// New prepares the files. It reads and starts nothing else.
func New(c Config) (*Console, error) {
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.PublicURL != nil && c.PublicURL.Scheme == "https" {
		c.Secure = true
	}
	files, err := load(c.Files)
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	tries := newTries()
	if c.Metrics != nil {
		if err := c.Metrics.Register(tries); err != nil {
			return nil, fmt.Errorf("console: %w", err)
		}
	}
	return &Console{
		cfg: c, site: files, keys: newKeyring(c), failed: newLimiter(c.Now), tries: tries,
	}, nil
}

// What became of a credential that somebody tried to sign in with.
const (
	triedOK      = "ok"
	triedUnknown = "unknown"
	triedLimited = "limited"
)

func newTries() *prometheus.CounterVec {
	tries := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "meterhouse_console_signins_total",
		Help: "Sign-ins at the console: ok, with an unknown credential, or limited because their " +
			"address was wrong too often.",
	}, []string{"result"})
	for _, result := range []string{triedOK, triedUnknown, triedLimited} {
		tries.WithLabelValues(result)
	}
	return tries
}

// Paths of the console's own. The page's links are behind the #.
const (
	pagePath    = "/"
	assetsPath  = "/assets/*"
	iconPath    = "/favicon.svg"
	sessionPath = "/console/session"
)

// Mount registers the routes. Guard has to come before the routes of the API.
func (c *Console) Mount(r fiber.Router) {
	r.Get(pagePath, c.headed(c.page))
	r.Get(assetsPath, c.headed(c.asset))
	r.Get(iconPath, c.headed(c.asset))
	r.Add(fiber.MethodGet, sessionPath, c.headed(c.whoIs))
	r.Add(fiber.MethodPost, sessionPath, c.headed(c.signIn))
	r.Add(fiber.MethodDelete, sessionPath, c.headed(c.signOut))
}

// policy lets the page run its own files and nothing else, nowhere else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'"

// permissions takes from the page what it has no use for.
const permissions = "accelerometer=(), camera=(), display-capture=(), geolocation=(), " +
	"gyroscope=(), magnetometer=(), microphone=(), payment=(), usb=()"

// headed sets what every answer of the console has, errors included.
func (c *Console) headed(next fiber.Handler) fiber.Handler {
	return func(ctx *fiber.Ctx) error {
		ctx.Set(fiber.HeaderContentSecurityPolicy, policy)
		ctx.Set(fiber.HeaderXContentTypeOptions, "nosniff")
		// Not no-referrer: the Origin of a request may then be null, which is nobody's.
		ctx.Set(fiber.HeaderReferrerPolicy, "same-origin")
		ctx.Set(fiber.HeaderPermissionsPolicy, permissions)
		ctx.Set("Cross-Origin-Opener-Policy", "same-origin")
		ctx.Set("Cross-Origin-Resource-Policy", "same-origin")
		if c.cfg.PublicURL != nil && c.cfg.PublicURL.Scheme == "https" {
			ctx.Set(fiber.HeaderStrictTransportSecurity, "max-age=31536000")
		}
		return next(ctx)
	}
}
