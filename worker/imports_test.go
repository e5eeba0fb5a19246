package worker_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = ".."
	module = "idlepolicy"
)

// source is one Go file of the module: its folder from the root, and what it imports.
type source struct {
	folder  string
	name    string
	imports []string
}

func (s source) isTest() bool { return strings.HasSuffix(s.name, "_test.go") }

// within reports whether the file is in one of the folders or below.
func (s source) within(folders ...string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return isBelow(s.folder, folder) })
}

// A wall keeps what has to do with one thing in one place: whatever it keeps may be imported where it is open.
type wall struct {
	why   string
	keeps func(imported string) bool
	open  func(s source) bool
}

// coreParts are the packages that the core is made of, besides its own.
var coreParts = []string{module + "/worker/ledger", module + "/worker/gate", module + "/worker/view"}

var walls = []wall{
	{
		// Its tests may use more: they cost nobody who imports it.
		why:   "messages is the contract: other programs can use it for the price of the standard library",
		keeps: func(imported string) bool { return !isStandard(imported) && imported != module+"/messages" },
		open:  func(s source) bool { return !s.within("messages") || s.isTest() },
	},
	{
		why:   "only the programs know the environment; packages get values",
		keeps: below(module + "/config"),
		open:  func(s source) bool { return s.within("cmd", "config") },
	},
	{
		// Tests of the programs stand outside, where publishers and readers of results are.
		why:   "only worker/stream speaks NATS",
		keeps: below("github.com/nats-io/nats.go"),
		open:  func(s source) bool { return s.within("worker/stream") || s.isTest() && s.within("cmd") },
	},
	{
		why:   "the embedded server is for tests and the demonstration; the worker is a client",
		keeps: below("github.com/nats-io/nats-server"),
		open: func(s source) bool {
			return s.isTest() || s.within("cmd/idledemo") || strings.HasSuffix(s.folder, "test")
		},
	},
	{
		why:   "only worker/gateway calls the gateway, only worker/status serves, and the tap stands between the gateway and desktops, which the demonstration has of its own",
		keeps: below("net/http"),
		open: func(s source) bool {
			return s.within("worker/gateway", "worker/status", "cmd/internal/tap", "cmd/idledemo") || s.isTest() && !s.within("messages")
		},
	},
	{
		why:   "only worker/trace knows OpenTelemetry: who turns it off pays nothing, and who throws it out changes one folder",
		keeps: below("go.opentelemetry.io"),
		open:  func(s source) bool { return s.within("worker/trace") },
	},
	{
		why: "worker does no I/O: the packages below it are the technology around it, except for the three that are part of the core",
		keeps: func(imported string) bool {
			return imported != module+"/worker" && isBelow(imported, module+"/worker") && !slices.Contains(coreParts, imported)
		},
		open: func(s source) bool { return s.folder != "worker" || s.isTest() },
	},
	{
		why:   "worker/ledger and worker/view can be read and tested alone, and other programs use them for the price of messages",
		keeps: func(imported string) bool { return !isStandard(imported) && imported != module+"/messages" },
		open:  func(s source) bool { return !s.within("worker/ledger", "worker/view") },
	},
	{
		why:   "operators' tools read what the worker shows, and know nothing of how it works",
		keeps: func(imported string) bool { return imported == module+"/worker" },
		open: func(s source) bool {
			return !s.within("cmd/idlectl", "cmd/internal/terminal", "worker/stream/desk") || s.isTest()
		},
	},
	{
		why:   "worker/gate needs nothing but the standard library",
		keeps: func(imported string) bool { return !isStandard(imported) },
		open:  func(s source) bool { return !s.within("worker/gate") || s.isTest() },
	},
}

func TestImportsStayInside(t *testing.T) {
	for _, file := range sources(t) {
		for _, imported := range file.imports {
			for _, wall := range walls {
				if wall.keeps(imported) && !wall.open(file) {
					t.Errorf("%s imports %s: %s", path.Join(file.folder, file.name), imported, wall.why)
				}
			}
		}
	}
}

// The walls must also be seen to hold something: a misspelt folder would let everything through.
func TestImportWallsHold(t *testing.T) {
	for _, test := range []struct {
		folder, name, imported string
		holds                  bool
	}{
		{"messages", "change.go", "github.com/nats-io/nats.go", true},
		{"messages", "change.go", "idlepolicy/worker", true},
		{"messages", "change.go", "net/http", true},
		{"messages", "change.go", "encoding/json/v2", false},
		{"worker", "run.go", "idlepolicy/config", true},
		{"cmd/idleworker", "main.go", "idlepolicy/config", false},
		{"worker", "run.go", "github.com/nats-io/nats.go/jetstream", true},
		{"worker/status", "page.go", "github.com/nats-io/nats.go", true},
		{"worker/stream", "inbox.go", "github.com/nats-io/nats.go/jetstream", false},
		{"worker/stream", "inbox.go", "github.com/nats-io/nats-server/v2/server", true},
		{"worker/stream", "inbox_test.go", "github.com/nats-io/nats-server/v2/server", false},
		{"worker/stream/natstest", "server.go", "github.com/nats-io/nats-server/v2/server", false},
		{"cmd/idleworker", "main.go", "github.com/nats-io/nats-server/v2/server", true},
		{"worker", "run.go", "net/http", true},
		{"worker/stream", "inbox.go", "net/http", true},
		{"worker/status", "page.go", "go.opentelemetry.io/otel/sdk/trace", true},
		{"worker/trace", "trace.go", "go.opentelemetry.io/otel/sdk/trace", false},
		{"worker/status", "page.go", "go.opentelemetry.io/proto/otlp/trace/v1", true},
		{"worker/trace", "trace.go", "net/http", true},
		{"worker/trace", "trace_test.go", "net/http", false},
		{"cmd/internal/tap", "proxy.go", "net/http/httputil", false},
		{"cmd/internal/tap", "nats.go", "github.com/nats-io/nats.go", true},
		{"worker/gateway", "client.go", "net/http", false},
		{"worker/gateway/gatewaytest", "gateway.go", "net/http", false},
		{"worker", "run.go", "idlepolicy/worker/stream", true},
		{"worker/stream", "inbox.go", "idlepolicy/worker", false},
		{"worker", "run.go", "idlepolicy/worker/ledger", false},
		{"worker/ledger", "ledger.go", "idlepolicy/messages", false},
		{"worker/ledger", "ledger.go", "idlepolicy/worker", true},
		{"worker/view", "view.go", "github.com/cenkalti/backoff/v4", true},
		{"worker/gate", "gate.go", "idlepolicy/messages", true},
		{"cmd/idlectl", "explain.go", "idlepolicy/worker", true},
		{"cmd/idlectl", "explain.go", "idlepolicy/worker/view", false},
	} {
		file := source{folder: test.folder, name: test.name}
		holds := slices.ContainsFunc(walls, func(w wall) bool { return w.keeps(test.imported) && !w.open(file) })
		if holds != test.holds {
			t.Errorf("%s in %s/%s: held back %t, want %t", test.imported, test.folder, test.name, holds, test.holds)
		}
	}
}

func TestTopLevel(t *testing.T) {
	allowed := []string{
		"go.mod", "go.sum", "cmd", "worker", "messages", "config", "deploy", "Dockerfile", "README.md", ".ci", ".git",
		".gitignore", ".golangci.yml", "LICENSE", "CHANGELOG.md", "Makefile",
	}
	ignored, err := os.ReadFile(filepath.Join(root, ".gitignore"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(ignored)) {
		allowed = append(allowed, strings.Trim(strings.TrimSpace(line), "/"))
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !slices.ContainsFunc(allowed, func(pattern string) bool {
			ok, _ := filepath.Match(pattern, entry.Name())
			return ok
		}) {
			t.Errorf("%s stands at the top level: there is a place for it further down", entry.Name())
		}
	}
}

// sources reads the imports of every Go file that the go command would build. The module's folders that begin with a
// point or an underscore, testdata, and modules of their own are none of them.
func sources(t *testing.T) []source {
	t.Helper()
	var files []source
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != root && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata"):
			return filepath.SkipDir
		case entry.IsDir() && file != root && isModule(file):
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(name) != ".go":
			return nil
		}
		folder, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		found := source{folder: filepath.ToSlash(folder), name: name}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			found.imports = append(found.imports, imported)
		}
		files = append(files, found)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func isModule(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, "go.mod"))
	return err == nil
}

func below(parent string) func(string) bool {
	return func(imported string) bool { return isBelow(imported, parent) }
}

// isBelow compares whole elements of a path: net/httputil is not below net/http.
func isBelow(child, parent string) bool {
	return child == parent || strings.HasPrefix(child, parent+"/")
}

// isStandard goes by the first element, as the go command does: a module's has a point in it, and ours is known.
func isStandard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".") && first != module
}
