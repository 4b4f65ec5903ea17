package share

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
)

var acme, other = uuid.New(), uuid.New()

// group answers every question after a delay, with how many were asked before.
type group struct {
	*Group
	asked atomic.Int64
	ended atomic.Int64 // by their context
	takes time.Duration
	fails error
	bytes int
}

func newGroup(takes time.Duration) *group {
	return &group{takes: takes, bytes: 1, Group: New(Config{
		Now: time.Now, Keep: 500 * time.Millisecond, Timeout: time.Minute,
		EntriesMax: 3, BytesMax: 100, Observe: func(string, How) {},
	})}
}

func (g *group) read(ctx context.Context, organization uuid.UUID, key string) (int64, error) {
	q := Question{Organization: organization, Key: key}
	return Do(ctx, g.Group, q, func(ctx context.Context) (int64, int, error) {
		n := g.asked.Add(1)
		select {
		case <-time.After(g.takes):
			return n, g.bytes, g.fails
		case <-ctx.Done():
			time.Sleep(5 * time.Millisecond) // ClickHouse is not done at once
			g.ended.Add(1)
			return 0, 0, ctx.Err()
		}
	})
}

// answer fails the test when the read does not come to the nth question's answer.
func (g *group) answer(t *testing.T, key string, want int64) {
	t.Helper()
	if got, err := g.read(t.Context(), acme, key); err != nil || got != want {
		t.Errorf("%s: the answer of question %d, %v, want of %d", key, got, err, want)
	}
}

// TestReadsShareAQuestion: seen to fail with Join never finding a flight (10 questions).
func TestReadsShareAQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(100 * time.Millisecond)
		for range 10 {
			go g.answer(t, "a", 1)
			time.Sleep(5 * time.Millisecond)
		}
		go func() {
			if got, err := g.read(t.Context(), other, "a"); err != nil || got != 2 {
				t.Errorf("another organization shares: %d, %v", got, err)
			}
		}()
		time.Sleep(time.Second)
		synctest.Wait()
		if n := g.asked.Load(); n != 2 {
			t.Errorf("%d questions", n)
		}
	})
}

// TestAnswersAgeFromTheStart: an answer of a slow question is not kept for as long after its end.
// With End noting the end as its start, the read after 500 ms gets the first answer.
func TestAnswersAgeFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(300 * time.Millisecond)
		g.answer(t, "a", 1)
		time.Sleep(199 * time.Millisecond)
		g.answer(t, "a", 1)
		time.Sleep(time.Millisecond)
		g.answer(t, "a", 2)
	})
}

// refreshing is a group whose answers are asked anew beside from 200 ms on.
func refreshing(takes time.Duration) *group {
	g := newGroup(takes)
	g.cfg.Refresh = 200 * time.Millisecond
	return g
}

// TestAnswersAreAskedAnewBeside: nobody waits for what is asked often, and nobody gets what is older
// than Keep. Without refresh the read at 320 ms gets the first answer, and the one at 520 ms waits.
func TestAnswersAreAskedAnewBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := refreshing(100 * time.Millisecond)
		began := time.Now()
		at := func(moment time.Duration, want int64, waits time.Duration) {
			t.Helper()
			time.Sleep(time.Until(began.Add(moment)))
			asked := time.Now()
			g.answer(t, "a", want)
			if took := time.Since(asked); took != waits {
				t.Errorf("at %v: took %v, want %v", moment, took, waits)
			}
		}
		const ms = time.Millisecond
		at(0, 1, 100*ms)
		at(190*ms, 1, 0) // young
		at(210*ms, 1, 0) // asks the second beside
		at(250*ms, 1, 0) // which is under way
		at(320*ms, 2, 0)
		at(520*ms, 2, 0) // asks the third
		at(1600*ms, 4, 100*ms)
	})
}

// TestRenewedReadsDoNotGetWhatWasAskedAnew: a question from before a promise is not found after it.
// With Renew leaving anew alone, the last read gets the second answer.
func TestRenewedReadsDoNotGetWhatWasAskedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := refreshing(100 * time.Millisecond)
		g.answer(t, "a", 1)
		time.Sleep(200 * time.Millisecond)
		g.answer(t, "a", 1)
		synctest.Wait()
		g.Renew(acme)
		time.Sleep(150 * time.Millisecond)
		g.answer(t, "a", 3)
	})
}

// TestAnOldAnswerIsNotWaitedForTwice: whoever comes when the older answer is too old joins the
// question that is asked anew, and its error leaves nothing behind.
func TestAnOldAnswerIsNotWaitedForTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := refreshing(0)
		g.answer(t, "a", 1)
		g.takes = 300 * time.Millisecond
		time.Sleep(400 * time.Millisecond)
		g.answer(t, "a", 1)
		time.Sleep(200 * time.Millisecond)
		g.answer(t, "a", 2)
		g.fails = errors.New("no")
		time.Sleep(300 * time.Millisecond)
		if _, err := g.read(t.Context(), acme, "a"); err == nil {
			t.Error("an answer is kept for ever")
		}
		if len(g.anew)+len(g.found) > 0 {
			t.Errorf("%d and %d flights are left", len(g.anew), len(g.found))
		}
	})
}

// TestOldQuestionsAreNotJoined: who asks long after a question began gets a newer answer. With
// fresh asking only whether it has ended, both get the first.
func TestOldQuestionsAreNotJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(2 * time.Second)
		go g.answer(t, "a", 1)
		time.Sleep(500 * time.Millisecond)
		g.answer(t, "a", 2)
		g.answer(t, "a", 3) // neither was kept: both were old when they came
	})
}

// TestRenewedReadsAskAnew: after Renew neither a kept answer nor one under way will do, and one
// that was under way is not kept when it comes. With Renew empty, all but the last get 1; with
// Forget empty, the last gets 4.
func TestRenewedReadsAskAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(50 * time.Millisecond)
		g.answer(t, "a", 1)
		g.Renew(acme)
		go g.answer(t, "a", 2)
		time.Sleep(10 * time.Millisecond)
		g.Renew(other) // another's visibility is no business of ours
		g.answer(t, "a", 2)
		g.Renew(acme)
		go g.answer(t, "a", 3)
		time.Sleep(10 * time.Millisecond)
		g.Renew(acme)
		g.answer(t, "a", 4) // not 3, which is under way, nor when it has come
		g.answer(t, "a", 4)
		g.Forget(Question{Organization: acme, Key: "a"})
		g.answer(t, "a", 5)
	})
}

// TestEverybodysReadsAreRenewedToo: what is read over all organizations is outdated by any. With
// Renew passing over uuid.Nil, the second read gets 1.
func TestEverybodysReadsAreRenewedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(0)
		for want := range int64(2) {
			if got, err := g.read(t.Context(), uuid.Nil, "all"); err != nil || got != want+1 {
				t.Errorf("%d, %v", got, err)
			}
			g.Renew(acme)
		}
	})
}

// TestOneWhoGoesTakesNobodyAlong: the asker's context ends; who joined gets the answer. With the
// question in its asker's context, the second gets context canceled.
func TestOneWhoGoesTakesNobodyAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(400 * time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			if _, err := g.read(ctx, acme, "a"); !errors.Is(err, context.Canceled) {
				t.Errorf("who went got %v", err)
			}
		}()
		synctest.Wait()
		go func() {
			time.Sleep(100 * time.Millisecond)
			cancel()
		}()
		g.answer(t, "a", 1)
		if g.ended.Load() != 0 {
			t.Error("the question was ended")
		}
	})
}

// TestTheLastWhoGoesEndsTheQuestion, and nobody joins what is ending. With Wait not cancelling, the
// question runs on; with it not forgetting, the next read gets context canceled.
func TestTheLastWhoGoesEndsTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(400 * time.Millisecond)
		for range 3 {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				if _, err := g.read(ctx, acme, "a"); !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			}()
		}
		time.Sleep(101 * time.Millisecond)
		g.answer(t, "a", 2)
		synctest.Wait()
		if g.ended.Load() != 1 {
			t.Error("a question that nobody waits for runs on")
		}
	})
}

// TestQuestionsTimeOut. Without the Timeout, the read waits for two hours.
func TestQuestionsTimeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(2 * time.Hour)
		began := time.Now()
		_, err := g.read(t.Context(), acme, "a")
		took := time.Since(began).Round(time.Second)
		if !errors.Is(err, context.DeadlineExceeded) || took != time.Minute {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// TestErrorsAreNotKept, but told to everybody who waits. With End keeping them, the read after gets
// the error.
func TestErrorsAreNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(10 * time.Millisecond)
		g.fails = errors.New("broken")
		for range 3 {
			go func() {
				if _, err := g.read(t.Context(), acme, "a"); !errors.Is(err, g.fails) {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		g.fails = nil
		g.answer(t, "a", 2)
	})
}

// TestAPanicIsAnError: a goroutine's panic would end the process. Without the recover, it does.
func TestAPanicIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(0)
		_, err := Do(t.Context(), g.Group, Question{}, func(context.Context) (int, int, error) {
			panic("oops")
		})
		if err == nil || !strings.Contains(err.Error(), "panic: oops") {
			t.Error(err)
		}
	})
}

// TestWhatIsKeptIsBounded by number and by bytes, and gone when it is old. With purge not counting,
// 5 entries are kept; with it not adding up, 200 bytes; with End not comparing, one of 101 bytes.
func TestWhatIsKeptIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(0)
		f := func(entries, bytes int) {
			t.Helper()
			g.mu.Lock()
			defer g.mu.Unlock()
			found := 0
			for _, all := range g.found {
				found += len(all)
			}
			if len(g.kept) != entries || g.Group.bytes != bytes || found != entries {
				t.Errorf("%d entries of %d bytes, %d found; want %d of %d",
					len(g.kept), g.Group.bytes, found, entries, bytes)
			}
		}
		for i, key := range []string{"a", "b", "c", "d", "e"} {
			g.answer(t, key, int64(i+1))
		}
		f(3, 3)
		g.answer(t, "c", 3)
		g.answer(t, "a", 6) // the oldest had gone
		time.Sleep(500 * time.Millisecond)
		g.bytes = 60
		g.answer(t, "f", 7)
		g.bytes = 40
		g.answer(t, "g", 8)
		f(2, 100)
		g.bytes = 100
		g.answer(t, "h", 9)
		f(1, 100)
		g.bytes = 101
		g.answer(t, "i", 10)
		f(1, 100)
		g.Renew(acme)
		g.bytes = 1
		g.answer(t, "j", 11)
		f(1, 1)
	})
}

// TestWhoAsksByHimself leads: who joined before he began gets his answer however long he waited,
// and is told when he has gone. With Begin doing nothing, the third read does not lead.
func TestWhoAsksByHimself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(0)
		q := Question{Organization: acme, Key: "a"}
		f, first := g.Join(q)
		if !first {
			t.Fatal("nobody asks")
		}
		time.Sleep(time.Hour)
		joined, second := g.Join(q)
		f.Begin()
		time.Sleep(500 * time.Millisecond)
		if _, third := g.Join(q); second || !third {
			t.Errorf("leads: %v, %v", second, third)
		}
		f.End(nil, 0, ErrGone)
		f.End("late", 1, nil)
		if _, err := joined.Wait(t.Context()); !errors.Is(err, ErrGone) {
			t.Error(err)
		}
	})
}
