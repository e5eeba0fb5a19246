package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// mostMemory is what plan may take at most for a file that it refuses, in MiB.
const mostMemory = 400

// asMeter names the file that the test's own program writes the peak of memory to, in KiB, of the program that its arguments name.
// The system counts a parent's memory as a child's, and the tests' own would be too much.
const asMeter = "BE_THE_METER"

func TestMain(m *testing.M) {
	file := os.Getenv(asMeter)
	if file == "" {
		os.Exit(m.Run())
	}
	c := exec.Command(os.Args[1], os.Args[2:]...) //nolint:gosec // a test says which, and ends with it
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	_ = c.Run() // its status tells
	usage, _ := c.ProcessState.SysUsage().(*syscall.Rusage)
	if err := os.WriteFile(file, fmt.Append(nil, usage.Maxrss), 0o600); err != nil {
		panic(err)
	}
	os.Exit(c.ProcessState.ExitCode())
}

// again is a text over and over.
type again struct {
	text string
	at   int
}

func (a *again) Read(b []byte) (n int, err error) {
	for n < len(b) {
		k := copy(b[n:], a.text[a.at:])
		n, a.at = n+k, (a.at+k)%len(a.text)
	}
	return n, nil
}

func repeat(text string, size int64) io.Reader {
	return io.LimitReader(&again{text: strings.Repeat(text, 1+(64<<10)/len(text))}, size)
}

func texts(all ...any) io.Reader {
	var r []io.Reader
	for _, one := range all {
		switch one := one.(type) {
		case string:
			r = append(r, strings.NewReader(one))
		case io.Reader:
			r = append(r, one)
		}
	}
	return io.MultiReader(r...)
}

const (
	contentTypes = `<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
		`<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>`
	relations = `<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
		`<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/%s" Target="%s"/></Relationships>`
	workbook = `<?xml version="1.0"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" ` +
		`xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="A" sheetId="1" r:id="rId1"/></sheets></workbook>`
	sheetHead = `<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>`
	sheetTail = `</t></is></c></row></sheetData></worksheet>`
)

// pack returns a workbook with these parts instead of the usual ones.
func pack(t *testing.T, parts map[string]io.Reader) []byte {
	t.Helper()
	all := map[string]io.Reader{
		"[Content_Types].xml": texts(contentTypes), "_rels/.rels": texts(fmt.Sprintf(relations, "officeDocument", "xl/workbook.xml")),
		"xl/workbook.xml": texts(workbook), "xl/_rels/workbook.xml.rels": texts(fmt.Sprintf(relations, "worksheet", "worksheets/sheet1.xml")),
		"xl/worksheets/sheet1.xml": texts(sheetHead, "agent", sheetTail),
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) }) // the race detector makes others slow
	for _, name := range []string{"[Content_Types].xml", "_rels/.rels", "xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/worksheets/sheet1.xml", "xl/styles.xml", "xl/sharedStrings.xml"} {
		from := parts[name]
		if from == nil {
			from = all[name]
		}
		if from == nil {
			continue
		}
		w, err := z.Create(name)
		if err == nil {
			_, err = io.Copy(w, from)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// noise is 100 MiB that pack to about a hundredth.
func noise(of string) io.Reader {
	r := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	for b.Len() < 1<<20 {
		fmt.Fprintf(&b, "<a b=\"%08x\"/>%s", r.Uint32(), strings.Repeat(of, 1000/len(of)))
	}
	return repeat(b.String(), 100<<20)
}

// letters is noise without any element.
func letters() io.Reader {
	r := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	for b.Len() < 1<<20 {
		fmt.Fprintf(&b, "%08x%s", r.Uint32(), strings.Repeat("x", 1000))
	}
	return repeat(b.String(), 100<<20)
}

// Whatever a file holds, plan ends with one sentence and a bounded memory: the tool itself is run, and its peak is what the system
// says of it.
func TestPlanOfHostileFiles(t *testing.T) {
	const gigabyte = 1 << 30
	dir := t.TempDir()
	tool := buildTool(t, dir)
	for _, test := range []struct {
		name, format string
		file         io.Reader
	}{
		{"a cell of 1 GB", "csv", texts("agent,start\n1001,\"", repeat("x", gigabyte), "\"\n")},
		{"a cell of 1 GB without quotes", "csv", texts("agent,start\n1001,", repeat("x", gigabyte))},
		{"1 GB of NULs", "csv", texts("agent,start\n", repeat("\x00", gigabyte))},
		{"1 GB of NULs behind a row", "csv", texts("agent,start\n1001,2099-01-01\n", repeat("\x00", gigabyte))},
		{"a million columns", "csv", texts("agent", repeat(",x", 2_000_000), "\n", repeat("1,", 2_000_000))},
		{"a million lines without a header", "csv", repeat("x,y\n", gigabyte)},
		{"a text of 1 GB", "json", texts(`[{"agent":"`, repeat("x", gigabyte), `"}]`)},
		{"deep arrays", "json", repeat("[", gigabyte)},
		{"deep objects", "json", texts(`[{"agent":`, repeat(`{"a":`, gigabyte))},
		{"a million members", "json", texts(`[{`, repeat(`"a":1,`, gigabyte))},
		{"a million members above the rows", "json", texts(`{`, repeat(`"agent":1,`, gigabyte/8))},
		{"a number of 1 GB", "json", texts(`[{"agent":`, repeat("1", gigabyte), `}]`)},
		{"a text of 1 GB", "xml", texts("<a><r><agent>", repeat("x", gigabyte))},
		{"an attribute of 1 GB", "xml", texts(`<a><r agent="`, repeat("x", gigabyte))},
		{"a comment of 1 GB", "xml", texts("<a><!--", repeat("x", gigabyte))},
		{"deep elements", "xml", repeat("<a>", gigabyte)},
		{"a row of a million elements", "xml", texts("<a><r>", repeat("<b>1</b>", gigabyte/8))},
		{"entities", "xml", texts("<!DOCTYPE a [<!ENTITY a \"xxxxxxxxxx\">", entities(), "]><a><r><agent>&z;</agent></r></a>")},
		{"a document type of 1 GB", "xml", texts("<!DOCTYPE a [", repeat("<!ENTITY a \"x\">", gigabyte))},
		{"a line of 1 GB", "ics", texts("BEGIN:VCALENDAR\nX:", repeat("x", gigabyte))},
		{"a million events", "ics", texts("BEGIN:VCALENDAR\n", repeat("BEGIN:VEVENT\nEND:VEVENT\n", gigabyte))},
		{"a million properties", "ics", texts("BEGIN:VCALENDAR\nBEGIN:VEVENT\n", repeat("X:1\n", gigabyte))},
		{"a million repetitions", "ics", texts("BEGIN:VCALENDAR\n", strings.Repeat("BEGIN:VEVENT\nSUMMARY:1001\nDTSTART:20990101T080000Z\nDTEND:20990101T090000Z\nRRULE:FREQ=DAILY;COUNT=9999\nEND:VEVENT\n", 2000), "END:VCALENDAR\n")},
		{"a bomb", "xlsx", bytes.NewReader(pack(t, map[string]io.Reader{"xl/worksheets/sheet1.xml": texts(sheetHead, repeat("x", gigabyte/4), sheetTail)}))},
		{"a cell of 100 MB", "xlsx", bytes.NewReader(pack(t, map[string]io.Reader{"xl/worksheets/sheet1.xml": texts(sheetHead, letters(), sheetTail)}))},
		{"a row of a million cells", "xlsx", bytes.NewReader(pack(t, map[string]io.Reader{"xl/worksheets/sheet1.xml": texts(sheetHead, "</t></is></c>", noise("<c><v>1</v></c>"))}))},
		{"CDATA of 100 MB", "xlsx", bytes.NewReader(pack(t, map[string]io.Reader{"xl/worksheets/sheet1.xml": texts(sheetHead, "<![CDATA[", noise("<row>"), "]]>", sheetTail)}))},
		{"a text of 100 MB", "xlsx", bytes.NewReader(pack(t, map[string]io.Reader{"xl/sharedStrings.xml": texts("<sst><si><t>", letters(), "</t></si></sst>")}))},
		{"styles of 100 MB", "xlsx", bytes.NewReader(pack(t, map[string]io.Reader{"xl/styles.xml": texts("<styleSheet>", noise("<a/>"), "</styleSheet>")}))},
		{"NULs for a zip", "xlsx", texts("PK\x03\x04", repeat("\x00", gigabyte))},
	} {
		t.Run(test.format+", "+test.name, func(t *testing.T) {
			m := filepath.Join(dir, "map.yaml")
			text := "name: p\nformat: " + test.format + "\nagent: agent\nstart: start\nend: start\nactivity: =x\nactivities: {x: true}\n"
			switch test.format {
			case "json":
				text += "rows: '[]'\n"
			case "xml":
				text += "rows: a/r\n"
			case "ics":
				text = strings.NewReplacer("agent: agent", "agent: SUMMARY", "start: start", "start: DTSTART", "end: start", "end: DTEND").Replace(text) + "until: 2199-01-01\n"
			}
			if err := os.WriteFile(m, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			memory := filepath.Join(dir, "memory")
			c := exec.CommandContext(t.Context(), os.Args[0], tool, "plan", "-", "--map", m)
			c.Env = append(os.Environ(), "IDLE_NATS_URL=nats://127.0.0.1:1", asMeter+"="+memory)
			var out, errout bytes.Buffer
			c.Stdin, c.Stdout, c.Stderr = test.file, &out, &errout
			_ = c.Run() // its status tells; what it does not read any more is an error of this side
			measured, err := os.ReadFile(memory)
			if err != nil {
				t.Fatal(err)
			}
			peak, err := strconv.Atoi(string(measured))
			if err != nil {
				t.Fatal(err)
			}
			peak >>= 10
			said := errout.String()
			t.Logf("%d MiB, %v of processor: %s", peak, c.ProcessState.UserTime()+c.ProcessState.SystemTime(), tail(said))
			if c.ProcessState.ExitCode() != statusUsage || strings.Count(said, "\n") != 1 || len(said) > 500 || out.Len() > 0 {
				t.Errorf("exit status %d, %d lines: %s", c.ProcessState.ExitCode(), strings.Count(said, "\n"), tail(said))
			}
			if peak > mostMemory {
				t.Errorf("%d MiB, want %d at most", peak, mostMemory)
			}
		})
	}
}

// entities is the billion laughs.
func entities() string {
	var b strings.Builder
	for c := 'b'; c <= 'z'; c++ {
		fmt.Fprintf(&b, "<!ENTITY %c \"%s\">", c, strings.Repeat("&"+string(c-1)+";", 10))
	}
	return b.String()
}
