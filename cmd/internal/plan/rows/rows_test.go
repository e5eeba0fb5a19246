package rows_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"idlepolicy/cmd/internal/plan/rows"
)

// read returns each row as its place and values, in one line.
func read(t *testing.T, r io.Reader, s rows.Spec) ([]string, error) {
	t.Helper()
	var all []string
	_, err := rows.Read(r, s, func(r rows.Row) error {
		var line strings.Builder
		line.WriteString(r.Place + ":")
		for _, v := range r.Values {
			line.WriteString(" " + v.Text)
			if v.Zone != "" {
				line.WriteString("[" + v.Zone + "]")
			}
		}
		all = append(all, line.String())
		return nil
	})
	return all, err
}

const genesys = `{"zone":"UTC","agentSchedules":[
 {"user":{"id":"u1"},"shifts":[
  {"startDate":"s1","lengthMinutes":480,"activities":[{"startDate":"a1","lengthMinutes":30,"code":"7"},{"startDate":"a2","lengthMinutes":15,"code":"8"}]},
  {"startDate":"s2","lengthMinutes":60,"activities":[]}]},
 {"user":{"id":"u2"},"shifts":[{"startDate":"s3","lengthMinutes":5}]}]}`

const nice = `<?xml version="1.0" encoding="UTF-8"?>
<ScheduleChanges muTimeZone="Europe/Vienna">
  <Agent acdId="1001"><Name>A &amp; B</Name>
    <Day date="2026-11-23">
      <Segment code="OPEN" start="08:00" stop="12:00"/>
      <Segment start="12:00"><code>LUNCH</code><stop>13:00</stop></Segment>
    </Day>
  </Agent>
</ScheduleChanges>`

const calendar = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n" +
	"BEGIN:VEVENT\r\nUID:1\r\nDTSTART;TZID=Europe/Vienna:20261023T220000\r\nDTEND;TZID=Europe/Vienna:20261024T060000\r\nRRULE:FREQ=DAILY;COUNT=3\r\n" +
	"EXDATE;TZID=Europe/Vienna:20261024T220000\r\nSUMMARY:Night\\, late\r\nEND:VEVENT\r\n" +
	"BEGIN:VEVENT\r\nUID:1\r\nRECURRENCE-ID;TZID=Europe/Vienna:20261025T220000\r\nDTSTART:20261025T230000Z\r\nDURATION:PT1H30M\r\nSUMMARY:Moved\r\nEND:VEVENT\r\n" +
	"BEGIN:VEVENT\r\nUID:2\r\nDTSTART:20261101T080000\r\nDTEND:20261101T160000\r\nSTATUS:CANCELLED\r\nSUMMARY:Gone\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

func TestRead(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		spec rows.Spec
		want []string
	}{
		"csv": {
			"agent;from;to\r\n1001;\"08:00\";16:00\r\n;;\r\n1002;\"a\r\nb\";6;;\r\n",
			rows.Spec{Fields: []string{"agent", "to", "from"}},
			[]string{"line 2: 1001 16:00 08:00", "line 4: 1002 6 a\nb"},
		},
		"csv with a title": {
			"sep=,\nRoster of May\n\nName,ID,Name\nUser,Number,x\nA,1,2\n",
			rows.Spec{Fields: []string{"ID", "Name"}, Skip: 1},
			[]string{"line 6: 1 A"},
		},
		"csv in Windows-1252": {"id,n\n1,M\xfcller\n", rows.Spec{Fields: []string{"n"}}, []string{"line 2: Müller"}},
		"json": {
			genesys,
			rows.Spec{
				Rows:   []string{"agentSchedules[].shifts[]", "agentSchedules.shifts.activities"},
				Fields: []string{"../user.id", "../../user.id", "startDate", "lengthMinutes", "code", "/zone"},
			},
			[]string{
				"agentSchedules[0].shifts[0]: u1  s1 480  UTC", "agentSchedules[0].shifts[0].activities[0]:  u1 a1 30 7 UTC",
				"agentSchedules[0].shifts[0].activities[1]:  u1 a2 15 8 UTC", "agentSchedules[0].shifts[1]: u1  s2 60  UTC",
				"agentSchedules[1].shifts[0]: u2  s3 5  UTC",
			},
		},
		"json at the top": {`[{"a":1},{"a":"x"},null,7]`, rows.Spec{Fields: []string{"a"}}, []string{"[0]: 1", "[1]: x"}},
		"ndjson":          {"{\"a\":1}\n\n{\"a\":{\"b\":2}}\n", rows.Spec{Format: rows.NDJSON, Fields: []string{"a", "a.b"}}, []string{"record 1: 1 ", "record 2:  2"}},
		"xml": {
			nice,
			rows.Spec{Rows: []string{"Agent/Day/Segment"}, Fields: []string{"../../@acdId", "../../Name", "../@date", "@start", "@stop", "stop", "@code", "code", "/ScheduleChanges/@muTimeZone"}},
			[]string{"line 5: 1001 A & B 2026-11-23 08:00 12:00  OPEN  Europe/Vienna", "line 6: 1001 A & B 2026-11-23 12:00  13:00  LUNCH Europe/Vienna"},
		},
		"ics": {
			calendar,
			rows.Spec{Fields: []string{"DTSTART", "DTEND", "SUMMARY"}},
			[]string{
				"event 1: 2026-10-23T22:00:00[Europe/Vienna] 2026-10-24T06:00:00[Europe/Vienna] Night, late",
				"event 2: 2026-10-25T23:00:00[UTC] 2026-10-26T00:30:00[UTC] Moved",
			},
		},
	} {
		got, err := read(t, strings.NewReader(test.text), test.spec)
		if err != nil || strings.Join(got, "\n") != strings.Join(test.want, "\n") {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, strings.Join(got, "\n"), strings.Join(test.want, "\n"))
		}
	}
}

func workbook(t *testing.T, fill func(f *excelize.File)) *bytes.Buffer {
	t.Helper()
	f := excelize.NewFile()
	fill(f)
	b, err := f.WriteToBuffer()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A sheet that is unpacked into a file is looked at before, and read as any other.
func TestReadLargeWorkbook(t *testing.T) {
	f := excelize.NewFile()
	w, err := f.NewStreamWriter("Sheet1")
	if err != nil {
		t.Fatal(err)
	}
	const n = 1700
	random := rand.New(rand.NewPCG(1, 1))
	var notes [8]string // far apart enough for them not to be packed into one
	for i := range notes {
		for len(notes[i]) < 10_000 {
			notes[i] += fmt.Sprintf("%x long ", random.Uint64())
		}
	}
	for i := range n {
		row := []any{"1001", "2099-11-23 08:00", notes[i%len(notes)]}
		if i == 0 {
			row = []any{"agent", "start", "note"}
		}
		if err := w.SetRow(fmt.Sprint("A", i+1), row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	all := 0
	_, err = rows.Read(&b, rows.Spec{Fields: []string{"agent", "start"}}, func(r rows.Row) error {
		if r.Values[0].Text == "1001" && r.Values[1].Text != "" {
			all++
		}
		return nil
	})
	if err != nil || all != n-1 {
		t.Errorf("%d rows (%v), want %d", all, err, n-1)
	}
}

func TestReadWorkbook(t *testing.T) {
	fill := func(f *excelize.File) {
		if _, err := f.NewSheet("Roster"); err != nil {
			t.Fatal(err)
		}
		for cell, v := range map[string]any{
			"A1": "Roster", "A3": "Agent", "B3": "Day", "C3": "Note", "A4": 1001, "B4": time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), "C4": "x",
			"A5": "1002", "B5": 46349.5,
		} {
			if err := f.SetCellValue("Roster", cell, v); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.SetCellFormula("Roster", "C5", "=SUM(1,2)"); err != nil {
			t.Fatal(err)
		}
	}
	spec := rows.Spec{Rows: []string{"Roster"}, Fields: []string{"Agent", "Day", "Note"}}
	got, err := read(t, workbook(t, fill), spec)
	want := "sheet Roster, row 4: 1001 46349 x\nsheet Roster, row 5: 1002 46349.5 "
	if err != nil || strings.Join(got, "\n") != want {
		t.Errorf("%v\n%s\nwant\n%s", err, strings.Join(got, "\n"), want)
	}
	spec.Rows = []string{"Rooster"}
	if _, err := read(t, workbook(t, fill), spec); err == nil || !strings.Contains(err.Error(), `no sheet "Rooster" in the workbook; it has "Sheet1", "Roster"`) {
		t.Errorf("another sheet: %v", err)
	}
	yes := true
	got, err = read(t, workbook(t, func(f *excelize.File) {
		if err := f.SetWorkbookProps(&excelize.WorkbookPropsOptions{Date1904: &yes}); err != nil {
			t.Fatal(err)
		}
		_ = f.SetCellValue("Sheet1", "A1", "Day")
		_ = f.SetCellValue("Sheet1", "A2", 44887)
		_ = f.SetCellValue("Sheet1", "A3", 0.5)
	}), rows.Spec{Fields: []string{"Day"}})
	if err != nil || strings.Join(got, "\n") != "sheet Sheet1, row 2: 46349\nsheet Sheet1, row 3: 0.5" {
		t.Errorf("days from 1904: %v, %q", err, got)
	}
}

// endless is a file that repeats a text as often as it is read.
type endless struct {
	head, again string
	left        int64
	at          int // in again
}

func (e *endless) Read(p []byte) (int, error) {
	if e.head != "" {
		n := copy(p, e.head)
		e.head = e.head[n:]
		return n, nil
	}
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) {
		k := copy(p[n:], e.again[e.at:])
		e.at = (e.at + k) % len(e.again)
		n += k
	}
	e.left -= int64(n)
	return n, nil
}

// Hostile files end with one sentence, and hold a bounded part of themselves in memory.
func TestHostileFiles(t *testing.T) {
	const huge = 1 << 30
	for name, test := range map[string]struct {
		file io.Reader
		spec rows.Spec
		want string
	}{
		"a cell of 1 GB":      {&endless{"id,x\n1,\"", strings.Repeat("x", 1000), huge, 0}, rows.Spec{Fields: []string{"id"}}, "a row is larger"},
		"a million columns":   {&endless{"id", strings.Repeat(",x", 500), 2_000_000, 0}, rows.Spec{Fields: []string{"id"}}, "more than 16384 columns"},
		"NULs":                {strings.NewReader("id\n1\x002\n"), rows.Spec{Fields: []string{"id"}}, "line 2: NUL"},
		"an endless string":   {&endless{`[{"id":"`, strings.Repeat("x", 1000), huge, 0}, rows.Spec{Fields: []string{"id"}}, "an element is larger"},
		"an endless object":   {&endless{`{"a":1`, strings.Repeat(`,"bbbbbbbbbbbb":1`, 500), huge, 0}, rows.Spec{Fields: []string{"id"}}, "an element is larger"},
		"deep JSON":           {&endless{"[", strings.Repeat("[", 1000), 1 << 22, 0}, rows.Spec{Fields: []string{"id"}}, "depth"},
		"entities":            {strings.NewReader(`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`), rows.Spec{Rows: []string{"a"}, Fields: []string{"x"}}, "declares XML entities"},
		"an unknown entity":   {strings.NewReader(`<a>&b;</a>`), rows.Spec{Rows: []string{"a"}, Fields: []string{"x"}}, "line 1: not XML: invalid character entity"},
		"an endless element":  {&endless{`<a><r x="`, strings.Repeat("x", 1000), huge, 0}, rows.Spec{Rows: []string{"r"}, Fields: []string{"x"}}, "an element is larger"},
		"deep XML":            {&endless{"", strings.Repeat("<a>", 100), 1 << 22, 0}, rows.Spec{Rows: []string{"r"}, Fields: []string{"x"}}, "nested more than 64 deep"},
		"XML cut off":         {strings.NewReader(`<a><b></b>`), rows.Spec{Rows: []string{"r"}, Fields: []string{"x"}}, "XML"},
		"JSON cut off":        {strings.NewReader(`{"a":[{"b":1}`), rows.Spec{Rows: []string{"a"}, Fields: []string{"b"}}, "in the middle of its JSON"},
		"HTML":                {strings.NewReader(`<html><table>`), rows.Spec{Fields: []string{"x"}}, "the file is an HTML page"},
		"an old workbook":     {strings.NewReader("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), rows.Spec{Fields: []string{"x"}}, "old or password-protected Excel workbook"},
		"JSON said to be XML": {strings.NewReader(`{}`), rows.Spec{Format: rows.XML, Fields: []string{"x"}}, "the map says that the file is xml, but it is JSON"},
		"nothing":             {strings.NewReader(""), rows.Spec{Fields: []string{"x"}}, "the file is empty"},
		"another header":      {strings.NewReader("a,b\n1,2\n"), rows.Spec{Fields: []string{"a", "c"}}, `there is no column "c"; the header has "a", "b"`},
		"a zip bomb":          {bomb(t), rows.Spec{Fields: []string{"x"}}, "the workbook is larger"},
		"a damaged workbook":  {strings.NewReader("PK\x03\x04xl/" + strings.Repeat("x", 100)), rows.Spec{Fields: []string{"x"}}, "damaged"},
		"a repeat for ever":   {strings.NewReader(strings.Replace(calendar, "COUNT=3", "INTERVAL=1", 1)), rows.Spec{Fields: []string{"X"}, Until: time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)}, "repeats more than"},
		"a repeat per second": {strings.NewReader(strings.Replace(calendar, "DAILY", "SECONDLY", 1)), rows.Spec{Fields: []string{"X"}}, "more often than daily"},
	} {
		_, err := read(t, test.file, test.spec)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 400 {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// bomb is a workbook whose sheet unpacks into 64 MB.
func bomb(t *testing.T) io.Reader {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	w, err := z.Create("xl/worksheets/sheet1.xml")
	if err != nil {
		t.Fatal(err)
	}
	for range 64 {
		_, _ = w.Write(make([]byte, 1<<20))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// FuzzRead: no file makes a reader panic, and each row has as many values as were asked for.
func FuzzRead(f *testing.F) {
	book := excelize.NewFile()
	_ = book.SetCellValue("Sheet1", "A1", "a")
	_ = book.SetCellValue("Sheet1", "A2", 46349.5)
	if text, err := book.WriteToBuffer(); err == nil {
		f.Add(text.Bytes(), "", "", "a")
	}
	for i, format := range rows.Formats {
		for _, text := range []string{"agent;from;to\n1;2;3\n", genesys, nice, calendar, "{\"a\":1}\n{}", "[[{\"a\":[1]}]]"} {
			f.Add([]byte(text), string(format), "agentSchedules.shifts", "../user.id")
			f.Add([]byte(text), string(format), "Agent/Day/Segment", "@start")
		}
		f.Add([]byte{byte(i)}, "", "", "SUMMARY")
	}
	f.Fuzz(func(t *testing.T, data []byte, format, path, field string) {
		s := rows.Spec{Format: rows.Format(format), Fields: []string{field, "DTSTART", "a", "../x", "/y"}}
		if path != "" {
			s.Rows = []string{path, path + "/b", path + ".c"}
		}
		n := 0
		_, err := rows.Read(bytes.NewReader(data), s, func(r rows.Row) error {
			if len(r.Values) != len(s.Fields) || r.Place == "" {
				t.Errorf("row %+v", r)
			}
			if n++; n > 1000 {
				return errors.New("enough")
			}
			return nil
		})
		if err != nil && strings.TrimSpace(err.Error()) == "" {
			t.Error(fmt.Errorf("an error without words: %w", err))
		}
	})
}
