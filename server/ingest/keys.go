package ingest

import (
	"sync/atomic"

	"github.com/google/uuid"
)

// keySet remembers the ids of recent events with an idempotency key, in two generations of at
// most max ids: when the young one is full it becomes the old one, and the old one is forgotten.
// It is the committer's; only size is read by others.
type keySet struct {
	max        int
	young, old map[uuid.UUID]struct{}
	size       atomic.Int64
}

func newKeySet(max int) *keySet {
	return &keySet{max: max, young: make(map[uuid.UUID]struct{})}
}

// add makes id known and reports whether it was new.
func (k *keySet) add(id uuid.UUID) bool {
	if _, ok := k.young[id]; ok {
		return false
	}
	if _, ok := k.old[id]; ok {
		return false
	}
	if len(k.young) >= k.max {
		k.old, k.young = k.young, make(map[uuid.UUID]struct{}, k.max)
	}
	k.young[id] = struct{}{}
	k.size.Store(int64(len(k.young) + len(k.old)))
	return true
}

// forget takes ids back whose events did not become durable.
func (k *keySet) forget(ids []uuid.UUID) {
	for _, id := range ids {
		delete(k.young, id)
		delete(k.old, id)
	}
}
