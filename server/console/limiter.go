package console

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/meterhouse/meterhouse/schema"
)

// How often a client may be wrong: a few times at once, then every few seconds.
const (
	failuresAtOnce   = 10
	failuresInterval = 6 * time.Second
	clientsMax       = 4096 // that are remembered at once
)

// limiter bounds the failed sign-ins of each client address. It is safe for concurrent use.
type limiter struct {
	now func() time.Time

	mu      sync.Mutex
	clients map[netip.Prefix]*rate.Limiter
	others  *rate.Limiter // shared by who finds no place among the clients
	swept   time.Time
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{
		now: now, clients: make(map[netip.Prefix]*rate.Limiter), others: newFailures(),
	}
}

func newFailures() *rate.Limiter {
	return rate.NewLimiter(rate.Every(failuresInterval), failuresAtOnce)
}

// try counts a sign-in as a failed one; forgive takes it back. The error is Overloaded: the address
// has been wrong too often.
func (l *limiter) try(address net.Addr) (forgive func(), err error) {
	now := l.now()
	r := l.of(clientOf(address), now).ReserveN(now, 1)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return nil, &schema.Error{
			Kind: schema.Overloaded, RetryAfter: wait,
			Message: "too many failed sign-ins from this address; try again later",
		}
	}
	return func() { r.CancelAt(now) }, nil
}

func (l *limiter) of(client netip.Prefix, now time.Time) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one, ok := l.clients[client]; ok {
		return one
	}
	if len(l.clients) >= clientsMax && now.Sub(l.swept) >= time.Second {
		l.swept = now
		for c, one := range l.clients {
			if one.TokensAt(now) >= failuresAtOnce { // as if it had never been here
				delete(l.clients, c)
			}
		}
	}
	if len(l.clients) >= clientsMax {
		return l.others
	}
	one := newFailures()
	l.clients[client] = one
	return one
}

// clientOf returns what one client has to itself: an address, of IPv6 the half that names its
// network.
func clientOf(address net.Addr) netip.Prefix {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	const network = 64
	ip := tcp.AddrPort().Addr().Unmap()
	bits := ip.BitLen()
	if ip.Is6() {
		bits = network
	}
	p, _ := ip.Prefix(bits) // of an address without one: the zero Prefix
	return p
}
