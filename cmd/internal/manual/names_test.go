package manual

import (
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"idlepolicy/config"
	"idlepolicy/messages"
)

// No document names a thing that does not exist. Each kind of names has an expression that finds them and a function that reports
// whether there is such a thing.
func TestDocumentsNameOnlyWhatExists(t *testing.T) {
	k := know(t)
	found := map[string]int{}
	for _, file := range append(documents(t), pictures(t)...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for kind, names := range k.wrong(filepath.Dir(file), string(text), found) {
			t.Errorf("%s names %s that do not exist: %q", file, kind, names)
		}
	}
	for kind := range k.kinds() {
		if found[kind] == 0 {
			t.Errorf("no document names %s: are they still written as the test expects?", kind)
		}
	}
	for text, kind := range nonsense {
		if wrong := k.wrong(filepath.Join(root, "deploy"), text, map[string]int{}); len(wrong[kind]) == 0 {
			t.Errorf("%s passes as %s: %v", text, kind, wrong)
		}
	}
}

// nonsense must not pass, by the kind of names.
var nonsense = map[string]string{
	"`IDLE_RATES`": "variables", "IDLE_TAP_SILENSE=1s": "variables", "`deploy/nonsense.yaml`": "files", "`worker/gate/gates.go`": "files",
	"[x](NONSENSE.md)": "links", "[x](#nonsense)": "links", "[x](../README.md#nonsense)": "links",
	"`idlectl plans FILE`": "commands", "`idlectl dead rerun`": "commands", "`idlectl --prefix north stats`": "commands",
	"`idlectl publish FILE --waits`": "flags", "bin/idleworker -checks": "flags", "`go run ./cmd/idledemo -server`": "flags",
	"go run ./cmd/nonsense": "files", "`go test ./cmd/internal/bench -run TestNonsense`": "tests", "`TestNonsenseIsThere`": "tests",
	"`go test ./cmd/internal/bench -run TestTable -fuller`": "flags", "`make nonsense`": "make targets", "docker build --target nonsense .": "image stages",
	"`IDLEPOLICY_CHANGE`": "streams", "`KV_idlepolicy_controls`": "streams", "`idlepolicy_session`": "metrics and buckets",
	"idlepolicy_coverages": "metrics and buckets", "`idlepolicy_tap_write`": "metrics and buckets", "`idlepolicy.results.>`": "subjects",
	"nats pub idlepolicy.change x": "subjects", "`Idle-Results`": "headers", "`/api/change`": "paths",
	"<svg><text>idlectl plans</text></svg>": "commands",
}

// pictures are the drawings of documents.
func pictures(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, "deploy/images/*.svg"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no pictures: %v", err)
	}
	return found
}

// known is what exists.
type known struct {
	t                          *testing.T
	variables, streams, stages map[string]bool
	targets, tests             map[string]bool
	metrics, tapMetrics        map[string]bool
	source                     string // of all programs
	testSource                 string
	programs                   string            // folder with the programs
	help                       map[string]string // by program and verb, as the program prints it
}

func know(t *testing.T) *known {
	t.Helper()
	k := &known{
		t: t, tests: tests(t), source: sentences(t), testSource: testSources(t), programs: programs(t), help: map[string]string{},
		variables: map[string]bool{}, streams: map[string]bool{},
		targets: firsts(t, "Makefile", `(?m)^([a-z]+):`), stages: firsts(t, "Dockerfile", `(?m)^FROM .* AS (\w+)$`),
		metrics: firsts(t, "deploy/README.md", "(?m)^\\| `(idlepolicy_[a-z_]+)` \\|"), tapMetrics: firsts(t, "cmd/internal/tap/metrics.go", `"([a-z_]+)"`),
	}
	for _, table := range [][]config.Row{config.Table(), config.TapTable()} {
		for _, row := range table {
			k.variables[row.Variable] = true
		}
	}
	names := messages.Names{Prefix: "idlepolicy"}
	for _, stream := range []string{names.ChangesStream(), names.ResultsStream(), names.DeadStream()} {
		k.streams[stream] = true
	}
	for _, bucket := range buckets(names) {
		k.streams["KV_"+bucket] = true
	}
	return k
}

func buckets(n messages.Names) []string {
	return []string{n.SessionsBucket(), n.AppliedBucket(), n.ControlBucket(), n.PlansBucket()}
}

// firsts returns what the group of an expression finds in a file.
func firsts(t *testing.T, file, expression string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, m := range regexp.MustCompile(expression).FindAllStringSubmatch(string(text), -1) {
		all[m[1]] = true
	}
	return all
}

// programs builds the programs and returns the folder that they are in.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "./cmd/...")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return dir
}

// kind is one kind of names.
type kind struct {
	find   *regexp.Regexp // its first group is the name
	exists func(dir, name string) bool
}

func (k *known) kinds() map[string]kind {
	return map[string]kind{
		"variables":           {regexp.MustCompile(`\b(IDLE_[A-Z_]*[A-Z])\b`), k.variable},
		"streams":             {regexp.MustCompile(`\b(IDLEPOLICY_[A-Z]+|KV_idlepolicy_[a-z]+)\b`), func(_, name string) bool { return k.streams[name] }},
		"metrics and buckets": {regexp.MustCompile(`(?:^|[^_\w./-])(idlepolicy_[a-z_]*[a-z])\b`), k.metric},
		"subjects":            {regexp.MustCompile("(?:^|[\\s`'(])(idlepolicy\\.[a-zA-Z_.*>]*[a-zA-Z_*>])"), func(_, name string) bool { return subject.MatchString(name) }},
		"headers":             {regexp.MustCompile("`(Idle-[A-Z][A-Za-z-]+)"), k.said},
		"paths":               {regexp.MustCompile(`(?:^|[\s` + "`" + `])(/(?:api|healthz|readyz|metrics)[a-zA-Z/.]*)`), k.path},
		"files": {
			regexp.MustCompile(`(?:^|[\s(` + "`" + `])(?:\./)?((?:deploy|cmd|worker|messages|config|\.ci)/[a-zA-Z0-9_./-]*[a-zA-Z0-9])`), k.file,
		},
		"links":        {regexp.MustCompile(`\]\(([^)\s]+)\)`), k.link},
		"tests":        {regexp.MustCompile(`\b((?:Test|Fuzz)[A-Z][A-Za-z0-9]+)\b`), k.test},
		"make targets": {regexp.MustCompile("(?:^|[`\n])make ([a-z]+)"), func(_, name string) bool { return k.targets[name] }},
		"image stages": {regexp.MustCompile(`--target (\w+)`), func(_, name string) bool { return k.stages[name] }},
	}
}

// wrong returns the names in a text of a folder that do not exist, by kind, and counts those that were looked at.
func (k *known) wrong(dir, text string, found map[string]int) map[string][]string {
	all := map[string][]string{}
	for name, kind := range k.kinds() {
		for _, m := range kind.find.FindAllStringSubmatch(text, -1) {
			found[name]++
			if !kind.exists(dir, m[1]) && !slices.Contains(all[name], m[1]) {
				all[name] = append(all[name], m[1])
			}
		}
	}
	k.calls(text, func(kind, name string) { all[kind] = append(all[kind], name) })
	return all
}

var subject = regexp.MustCompile(`^idlepolicy\.(changes(\.>|\.ANYTHING|\.)?|(result|batch|dead|ctl)\.(>|[A-Za-z_*]+(\.(AGENT|progress|unknown|\*|[0-9]+))?|[a-z]+\.)?)$`)

func (k *known) variable(_, name string) bool {
	return k.variables[name] || strings.HasSuffix(name, "_") && strings.Contains(k.source, name)
}

// metric accepts metrics and names of buckets. The metrics of the worker are those in the table for operators, which a test of
// worker/status compares with what is exported.
func (k *known) metric(_, name string) bool {
	rest, ofTap := strings.CutPrefix(name, "idlepolicy_tap_")
	return slices.Contains(buckets(messages.Names{Prefix: "idlepolicy"}), name) || k.metrics[name] || ofTap && k.tapMetrics[rest]
}

func (k *known) said(_, name string) bool { return strings.Contains(k.source, `"`+name+`"`) }

// path accepts a path that a program serves; words in capitals stand for anything.
func (k *known) path(_, name string) bool {
	if i := strings.IndexFunc(name, func(r rune) bool { return r >= 'A' && r <= 'Z' }); i >= 0 {
		return strings.Contains(k.source, name[:i]+"{")
	}
	return name == "/api/" || regexp.MustCompile(regexp.QuoteMeta(name)+`["{/?]`).MatchString(k.source)
}

// file accepts what is in the tree, and what a script of ours makes.
func (k *known) file(_, name string) bool {
	if strings.HasPrefix(name, "deploy/secrets") {
		return true
	}
	name = strings.TrimSuffix(name, "/...")
	_, err := os.Stat(filepath.Join(root, name))
	return err == nil
}

func (k *known) link(dir, target string) bool {
	if u, err := url.Parse(target); err == nil && u.Scheme != "" {
		return u.Scheme == "https"
	}
	file, heading, inside := strings.Cut(target, "#")
	file = filepath.Join(dir, file)
	if inside && filepath.Ext(file) != ".md" {
		return k.anySlug(dir, heading)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		_, err = os.Stat(file)
		return err == nil && !inside
	}
	return !inside || slugs(string(text))[heading]
}

// anySlug is for links inside a document, of which only the folder is known.
func (k *known) anySlug(dir, heading string) bool {
	files, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		k.t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		return err == nil && slugs(string(text))[heading]
	})
}

var (
	headings = regexp.MustCompile(`(?m)^#+ (.+)$`)
	dropped  = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// slugs are the names of a document's headings, as sites that show it make them.
func slugs(text string) map[string]bool {
	all := map[string]bool{}
	for _, m := range headings.FindAllStringSubmatch(text, -1) {
		all[strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return all
}

// test accepts the beginning of a name too, as -run does.
func (k *known) test(_, name string) bool {
	for has := range k.tests {
		if strings.HasPrefix(has, name) {
			return true
		}
	}
	return false
}

var (
	call     = regexp.MustCompile(`(?:^\s*|bin/|run \./cmd/|run --rm |exec |[|;&(] *)(idlectl|idleworker|idletap|idledemo)((?: +[^\s|;&)]+)*)`)
	testCall = regexp.MustCompile(`go test ((?:[^\s` + "`" + `]+ ?)+)`)
	flagName = regexp.MustCompile(`^--?([a-zA-Z][a-zA-Z.-]*)`)
	verb     = regexp.MustCompile(`^[a-z]+$`)
)

// calls finds calls of our programs and of their tests, and reports verbs and flags that do not exist. Only what stands in a block of
// commands or between backquotes is a call.
func (k *known) calls(text string, report func(kind, name string)) {
	for _, code := range code(text) {
		for _, m := range call.FindAllStringSubmatch(code, -1) {
			k.checkCall(m[1], strings.Fields(m[2]), report)
		}
		for _, m := range testCall.FindAllStringSubmatch(code, -1) {
			for word := range strings.FieldsSeq(m[1]) {
				if f := flagName.FindStringSubmatch(word); f != nil && !k.testFlag(f[1]) {
					report("flags", word)
				}
			}
		}
	}
}

var (
	fences  = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")
	element = regexp.MustCompile(`>([^<]+)<`)
)

// code returns the commands of a document: blocks of sh line by line, and what stands between backquotes. In a picture they are whole
// elements. A line of its own is code as it is.
func code(text string) (all []string) {
	for _, m := range fences.FindAllStringSubmatch(text, -1) {
		all = append(all, strings.Split(m[1], "\n")...)
	}
	between := quotedWords
	if strings.HasPrefix(text, "<svg") {
		between = element
	}
	for _, m := range between.FindAllStringSubmatch(fences.ReplaceAllString(text, ""), -1) {
		all = append(all, m[1])
	}
	if len(all) == 0 && !strings.Contains(text, "\n") {
		all = []string{text}
	}
	return all
}

func (k *known) checkCall(program string, words []string, report func(kind, name string)) {
	help, path, value := k.helpOf(program), []string{program}, false
	for _, word := range words {
		f := flagName.FindStringSubmatch(word)
		switch {
		case value: // of the flag before
			value = false
		case f != nil && !hasFlag(help, f[1]):
			report("flags", strings.Join(path, " ")+" "+word)
		case f != nil:
			value = !strings.Contains(word, "=") && takesValue(help, f[1])
		case program == "idlectl" && verb.MatchString(word) && strings.Contains(help, "Available Commands"):
			if !regexp.MustCompile(`(?m)^  ` + word + ` `).MatchString(help) {
				report("commands", strings.Join(path, " ")+" "+word)
				return
			}
			path = append(path, word)
			help = k.helpOf(path...)
		}
	}
}

// takesValue reports whether a help text says that a word follows the flag.
func takesValue(help, name string) bool {
	return regexp.MustCompile(`(?m)--` + regexp.QuoteMeta(name) + ` [a-zA-Z]`).MatchString(help)
}

// hasFlag reports whether a help text lists a flag. The flags -h and -v are said in words only.
func hasFlag(help, name string) bool {
	return regexp.MustCompile(`(?m)(^|\s)--?`+regexp.QuoteMeta(name)+`\b`).MatchString(help) || name == "help" || name == "version"
}

// helpOf runs a program with -help.
func (k *known) helpOf(path ...string) string {
	key := strings.Join(path, " ")
	if text, asked := k.help[key]; asked {
		return text
	}
	out, err := exec.CommandContext(k.t.Context(), filepath.Join(k.programs, path[0]), append(path[1:], "-help")...).CombinedOutput()
	if err != nil {
		k.t.Fatalf("%s -help: %v:\n%s", key, err, out)
	}
	k.help[key] = string(out)
	return string(out)
}

// testFlag accepts flags of go test and those that one of our tests defines.
func (k *known) testFlag(name string) bool {
	return slices.Contains([]string{"run", "v", "race", "count", "timeout", "bench", "benchtime", "benchmem", "shuffle", "C", "tags", "fuzz", "fuzztime"}, name) ||
		regexp.MustCompile(`flag\.\w+\("`+regexp.QuoteMeta(name)+`"`).MatchString(k.testSource)
}

// testSources is the source of all tests.
func testSources(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(file, "_test.go") {
			return err
		}
		text, err := os.ReadFile(file)
		b.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
