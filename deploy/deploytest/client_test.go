package deploytest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"idlepolicy/deploy/deploytest/client"
)

const clientToken = "token-of-the-generated-client"

// The client in the folder client is what the generator makes of openapi.json today.
func TestClientIsGenerated(t *testing.T) {
	file := filepath.Join(t.TempDir(), "client.go")
	args := []string{"tool", "oapi-codegen", "-generate", "types,client", "-package", "client", "-o", file, fromRoot("messages", "openapi.json")}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, "deploy", "deploytest", "client", "client.go"); got != string(want) {
		t.Error("client.go is not what openapi.json says; cd deploy/deploytest && go generate ./client")
	}
}

// generated is a client that was generated from openapi.json, at a site of one process.
func generated(t *testing.T, token string) *client.ClientWithResponses {
	t.Helper()
	s := &stack{t: t, dir: t.TempDir()}
	tokens := s.at("publishers.txt")
	if err := os.WriteFile(tokens, []byte("wfm "+clientToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	demo := s.start("idledemo", []string{"-serve", fromRoot("deploy", "samples", "team.json")}, []string{"IDLE_HTTP_PUBLISHERS_FILE=" + tokens})
	demo.waitFor("Everything stays up")
	page := regexp.MustCompile(`http://127\.0\.0\.1:\d+/`).FindString(demo.waitFor("The status page: "))
	c, err := client.NewClientWithResponses(page, client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A client that somebody generates publishes, follows a batch and asks who has the policy and why not.
func TestGeneratedClient(t *testing.T) {
	t.Parallel()
	c := generated(t, clientToken)
	ctx := t.Context()

	key := "shift-9"
	file := "agent_id,flag,batch_id\n1001,false,shift-9\n1002,true,shift-9\n"
	for _, duplicates := range []int{0, 2} {
		stored, err := c.PublishChangesWithBodyWithResponse(ctx, &client.PublishChangesParams{IdempotencyKey: &key}, "text/csv", strings.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		if r := stored.JSON202; r == nil || r.Changes != 2 || r.Duplicates != duplicates {
			t.Fatalf("%s: %s", stored.Status(), stored.Body)
		}
	}
	until(t, "the batch has ended", func() bool {
		batch, err := c.GetBatchWithResponse(ctx, "shift-9")
		if err != nil || batch.JSON200 == nil {
			return false
		}
		summary, err := batch.JSON200.AsBatchSummary()
		return err == nil && summary.FinishedAt != nil && summary.Applied == 2
	})

	event := client.PublishChangesApplicationCloudeventsPlusJSONRequestBody{
		"specversion": "1.0", "id": "e-1", "source": "/roster", "type": "shift", "data": map[string]any{"agent_id": "1003", "flag": "true"},
	}
	stored, err := c.PublishChangesWithApplicationCloudeventsPlusJSONBodyWithResponse(ctx, nil, event)
	if err != nil || stored.JSON202 == nil {
		t.Fatalf("a CloudEvent: %v, %s", err, stored.Body)
	}
	until(t, "agent 1003 has the policy", func() bool {
		agent, err := c.ExplainAgentWithResponse(ctx, "1003", nil)
		return err == nil && agent.JSON200 != nil && agent.JSON200.Worker != nil && agent.JSON200.Worker.Coverage != nil &&
			*agent.JSON200.Worker.Coverage == "in_force" && agent.JSON200.InForce != nil && *agent.JSON200.InForce.Source == "/roster"
	})

	status, err := c.GetStatusWithResponse(ctx)
	if err != nil || status.JSON200 == nil || status.JSON200.View == nil || status.JSON200.View.Coverage.InForce < 3 {
		t.Errorf("the status: %v, %s", err, status.Body)
	}
	outcomes := []client.GetResultsParamsOutcome{client.Applied}
	results, err := c.GetResultsWithResponse(ctx, &client.GetResultsParams{Batch: &key, Outcome: &outcomes})
	if err != nil {
		t.Fatal(err)
	}
	lines := json.NewDecoder(bytes.NewReader(results.Body))
	for _, agent := range []string{"1001", "1002"} {
		var r client.Result
		if err := lines.Decode(&r); err != nil || r.Outcome != "applied" || !strings.Contains(string(results.Body), agent) {
			t.Errorf("results: %v\n%s", err, results.Body)
		}
	}
	if described, err := c.GetOpenAPIWithResponse(ctx); err != nil || described.JSON200 == nil {
		t.Errorf("the document: %v", err)
	}
}

// What is refused is in the types that the document names.
func TestGeneratedClientIsRefused(t *testing.T) {
	t.Parallel()
	c := generated(t, clientToken[:20])
	ctx := t.Context()
	refused, err := c.PublishChangesWithBodyWithResponse(ctx, nil, "application/json", strings.NewReader(`{"agent_id":"1001","flag":"true"}`))
	if err != nil || refused.JSON401 == nil || refused.JSON401.Error == "" {
		t.Errorf("a wrong token: %v, %s %s", err, refused.Status(), refused.Body)
	}
	known := func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+clientToken)
		return nil
	}
	unusable, err := c.PublishChangesWithBodyWithResponse(ctx, nil, "application/json", strings.NewReader(`{"agent_id":"1001","flag":"yes"}`), known)
	if err != nil || unusable.JSON400 == nil || unusable.JSON400.Problems == nil || (*unusable.JSON400.Problems)[0].Field != "flag" {
		t.Errorf("an unusable change: %v, %s %s", err, unusable.Status(), unusable.Body)
	}
	if unknown, err := c.GetBatchWithResponse(ctx, "nobody-knows"); err != nil || unknown.JSON404 == nil {
		t.Errorf("an unknown batch: %v, %s", err, unknown.Body)
	}
	if wrong, err := c.ExplainAgentWithResponse(ctx, "7", nil); err != nil || wrong.JSON400 == nil {
		t.Errorf("an agent that cannot be: %v, %s", err, wrong.Body)
	}
}
