package billingtest

import (
	"hash/fnv"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Fault is a way in which a call goes wrong.
type Fault int

// The faults. Those of the first group come before Stripe does anything.
const (
	RateLimited Fault = iota + 1 // 429 rate_limit with Retry-After
	LockTimeout                  // 429 lock_timeout
	KeyInUse                     // 409
	Unavailable                  // 503
	Failed                       // 500, nothing is saved under the key
	Unreached                    // the connection is closed

	FailedAndSaved  // 500 that is saved under the key, and nothing was done
	DoneButFailed   // 500 that is saved under the key, and everything was done
	BadGateway      // done, and the answer is a page of HTML with 502
	LostAnswer      // done, and the connection is closed
	TruncatedAnswer // done, and half of the answer comes
	GarbageAnswer   // done, and 200 comes with something else
	Hang            // done, and nothing comes until the client or Options.HangFor ends it
)

// retryAfter is what RateLimited asks for.
const retryAfter = 7 * time.Second

// Faults returns faults of every kind that together befall permille of the calls. RateLimited has a
// small share of them: it ends a pass.
func Faults(permille int) map[Fault]int {
	parts := map[Fault]int{RateLimited: permille / 40}
	all := []Fault{
		LockTimeout, KeyInUse, Unavailable, Failed, Unreached, FailedAndSaved,
		DoneButFailed, BadGateway, LostAnswer, TruncatedAnswer, GarbageAnswer, Hang,
	}
	for i, f := range all {
		rest := permille - parts[RateLimited]
		parts[f] = rest*(i+1)/len(all) - rest*i/len(all)
	}
	return parts
}

// SetFaults sets how many of a thousand calls go wrong in which way; nil: none does. Which ones is
// decided by Options.Seed, what is called and how often it was, and not by the order of the calls.
func (s *Stripe) SetFaults(permille map[Fault]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = permille
}

// FailNext makes the next POST of an idempotency key or, where it is empty, the next POST at all
// go wrong. It may be called several times: the faults come in turn.
func (s *Stripe) FailNext(key string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next[key] = append(s.next[key], f)
}

// Outage has Stripe answer nothing in [from, to): every call ends with its connection. With
// executes, what is asked for is done all the same.
func (s *Stripe) Outage(from, to time.Time, executes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outages = append(s.outages, outage{from, to, executes})
}

type outage struct {
	from, to time.Time
	executes bool
}

func (s *Stripe) outage(now time.Time) (outage, bool) {
	for _, o := range s.outages {
		if !now.Before(o.from) && now.Before(o.to) {
			return o, true
		}
	}
	return outage{}, false
}

// fault returns what befalls a call; 0: nothing.
func (s *Stripe) fault(c *call) Fault {
	if c.method == http.MethodPost {
		for _, key := range []string{c.key, ""} {
			if waiting := s.next[key]; len(waiting) > 0 {
				s.next[key] = waiting[1:]
				return waiting[0]
			}
		}
	}
	identity := c.method + " " + c.url + " " + c.key
	n := s.seen[identity]
	s.seen[identity] = n + 1
	h := fnv.New64a()
	_, _ = io.WriteString(h, strconv.FormatUint(s.options.Seed, 10)+" "+identity+" "+
		strconv.Itoa(n))
	at := int(mix(h.Sum64()) % 1000)
	for f := RateLimited; f <= Hang; f++ {
		if at -= s.faults[f]; at < 0 {
			return f
		}
	}
	return 0
}

// mix spreads a hash whose last bytes hardly differ.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// refusal returns the answer of a fault that comes before anything is done; false: of another.
func refusal(f Fault) (answer, bool) {
	switch f {
	case RateLimited:
		a := failure(http.StatusTooManyRequests, "invalid_request_error", "rate_limit",
			"Too many requests made to the API too quickly")
		a.retryAfter = retryAfter
		return a, true
	case LockTimeout:
		return locked(), true
	case KeyInUse:
		return keyInUse(), true
	case Unavailable:
		return failure(http.StatusServiceUnavailable, "api_error", "", "Try again later"), true
	case Failed:
		return failure(http.StatusInternalServerError, "api_error", "", "An error occurred"), true
	case Unreached:
		return answer{closed: true}, true
	}
	return answer{}, false
}

// spoil returns what comes of an answer that was made.
func spoil(f Fault, a answer) answer {
	switch f {
	case BadGateway:
		return answer{status: http.StatusBadGateway, html: true,
			body: []byte("<html><body><h1>502 Bad Gateway</h1></body></html>")}
	case LostAnswer:
		return answer{closed: true}
	case TruncatedAnswer:
		a.truncated = true
	case GarbageAnswer:
		return answer{status: http.StatusOK, body: []byte("{\"id\": \"x\", <oops>")}
	case Hang:
		return answer{hangs: true, closed: true}
	}
	return a
}

func locked() answer {
	return failure(http.StatusTooManyRequests, "invalid_request_error", "lock_timeout",
		"This object cannot be accessed right now because another API request is accessing it.")
}

func keyInUse() answer {
	return failure(http.StatusConflict, "idempotency_error", "idempotency_key_in_use",
		"There is currently another in-progress request using this Idempotent Key")
}
