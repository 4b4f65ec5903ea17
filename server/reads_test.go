package server_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meterhouse/meterhouse/server/dialecttest"
)

// TestWhatWasStoredIsReadAtOnce: a dashboard asks again and again, and what wait=stored answered
// is in its next answer. Without Renew in recorder.WaitStored, it is not.
func TestWhatWasStoredIsReadAtOnce(t *testing.T) {
	t.Parallel()
	h := dialecttest.New(t)
	token := "Bearer " + h.Acme.Admin.AccessToken
	agent := h.Acme.AdminsAgent.ID.String()
	for i := range 5 {
		sent := h.Do(t, dialecttest.Request{
			Method: "POST", Path: "/v1/events?wait=stored",
			Header: []string{"Authorization", token, "Content-Type", "application/json"},
			Body:   fmt.Sprintf(`{"agent_id":%q,"usage":{"INPUT":1}}`, agent),
		})
		read := h.Do(t, dialecttest.Request{
			Method: "GET", Path: "/v2/gen-ai/agents/" + agent + "/usage",
			Header: []string{"Authorization", token},
		})
		want := fmt.Sprintf(`"tokens":%d,"usage_type":"INPUT"`, i+1)
		if sent.Status != 201 || !strings.Contains(string(read.Body), want) {
			t.Errorf("%v\n%v\nwant %s", sent, read, want)
		}
	}
}
