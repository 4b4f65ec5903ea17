package access

import (
	"time"

	"github.com/google/uuid"

	"github.com/meterhouse/meterhouse/schema"
)

// standings is a snapshot with what a request asks of its credentials worked out beforehand. It is
// replaced as a whole; only the windows go on from one to the next, so that a change of the
// catalog gives nobody a new allowance and a retired credential leaves nothing behind.
type standings struct {
	snapshot *Snapshot
	bySecret map[credentialKey]*standing
	byID     map[uuid.UUID]*standing // app passwords: what tokens are issued for
}

// standing is a credential that speaks for somebody.
type standing struct {
	caller  Caller
	expires int64 // microseconds since 1970; 0: never
	limit   int64 // requests a minute; 0: none
	window  *window
}

// install makes a snapshot the newest. Not to be called twice at once.
func (d *Directory) install(s *Snapshot) {
	last := d.current.Load()
	next := &standings{
		snapshot: s,
		bySecret: make(map[credentialKey]*standing, len(s.credentials)),
		byID:     make(map[uuid.UUID]*standing),
	}
	for key, k := range s.credentials {
		caller, ok := s.callerOf(k)
		if !ok {
			continue
		}
		caller.Credential = k.ID()
		e := &standing{caller: caller, limit: d.limit}
		if k.RequestsPerMinute > 0 {
			e.limit = int64(k.RequestsPerMinute)
		}
		if !k.ExpiresAt.IsZero() {
			e.expires = k.ExpiresAt.UnixMicro()
		}
		if last != nil {
			if old, ok := last.bySecret[key]; ok {
				e.window = old.window
			}
		}
		if e.window == nil {
			e.window = &window{}
		}
		next.bySecret[key] = e
		if k.Kind == schema.AppPassword {
			next.byID[caller.Credential] = e
		}
	}
	d.current.Store(next)
	d.users.Range(func(user, _ any) bool {
		if _, ok := s.users[user.(uuid.UUID)]; !ok {
			d.users.Delete(user)
		}
		return true
	})
}

// expired reports whether the credential was good once.
func (e *standing) expired(now time.Time) bool {
	return e.expires != 0 && now.UnixMicro() >= e.expires
}

// admit returns the caller of a request that came now.
func (e *standing) admit(now time.Time) (Caller, error) {
	if e.expired(now) {
		return Caller{}, expired("the credential has expired: use a new one")
	}
	return admit(e.caller, e.window, e.limit, now)
}
