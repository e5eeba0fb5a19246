package file_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"idlepolicy/cmd/internal/file"
)

// wide returns text as UTF-16.
func wide(text string, big bool) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(text)) {
		if big {
			b = append(b, byte(u>>8), byte(u))
		} else {
			b = append(b, byte(u), byte(u>>8))
		}
	}
	return b
}

func TestDecode(t *testing.T) {
	const text = "agent_id;Übung\r\n1001;€ 😀\r\n"
	for name, data := range map[string][]byte{
		"UTF-8":                  []byte(text),
		"one mark":               []byte("\ufeff" + text),
		"two marks":              []byte("\ufeff\ufeff" + text),
		"UTF-16 LE":              wide("\ufeff"+text, false),
		"UTF-16 BE":              wide("\ufeff"+text, true),
		"UTF-16 LE, two marks":   wide("\ufeff\ufeff"+text, false),
		"UTF-16 LE without mark": wide(text, false),
		"UTF-16 BE without mark": wide(text, true),
	} {
		for _, o := range []file.Options{{}, {Windows1252: true}} {
			got, err := file.Decode(data, o)
			if err != nil || string(got) != text {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			slow, err := io.ReadAll(file.NewReader(iotest.OneByteReader(bytes.NewReader(data)), o))
			if err != nil || string(slow) != text {
				t.Errorf("%s, byte by byte: %q, %v", name, slow, err)
			}
		}
	}
}

func TestDecodeWindows1252(t *testing.T) {
	text := "name\n" + strings.Repeat("x", 9000) + "\nM\xfcller \x80\n"
	got, err := file.Decode([]byte(text), file.Options{Windows1252: true})
	if err != nil || !strings.HasSuffix(string(got), "Müller €\n") {
		t.Errorf("%q, %v", got[max(0, len(got)-20):], err)
	}
	_, err = file.Decode([]byte(text), file.Options{})
	wantLine(t, err, file.ErrNotUTF8, 3)
	_, err = file.Decode([]byte("Müller\nM\xfcller\n"), file.Options{Windows1252: true}) // neither of the two
	wantLine(t, err, file.ErrNotUTF8, 2)
	_, err = file.Decode([]byte("a,b\n1,\x00\n"), file.Options{})
	wantLine(t, err, file.ErrNUL, 2)
}

func wantLine(t *testing.T, err, want error, line int) {
	t.Helper()
	at, ok := errors.AsType[*file.LineError](err)
	if !ok || !errors.Is(err, want) || at.Line != line {
		t.Errorf("error %v, want %v on line %d", err, want, line)
	}
}

func TestSniff(t *testing.T) {
	for head, want := range map[string]file.Kind{
		"agent_id,flag\n":                       file.Text,
		"":                                      file.Text,
		"\ufeff\ufeff {\"a\":1}":                file.JSON,
		"[1]":                                   file.JSON,
		"<?xml version='1.0'?><a/>":             file.XML,
		"<?xml version='1.0'?><html xmlns='x'>": file.HTML,
		"\r\n<!DOCTYPE html>":                   file.HTML,
		"<table><tr>":                           file.HTML,
		"BEGIN:VCALENDAR\r\n":                   file.Calendar,
		"PK\x03\x04....[Content_Types].xml":     file.Workbook,
		"PK\x03\x04....notes.txt":               file.Zip,
		"PK\x03\x04mimetypeapplication/vnd.oasis.opendocument.spreadsheet": file.OpenDocument,
		"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":                                 file.OldWorkbook,
		"\x1f\x8b\x08":                                                     file.Gzip,
		"%PDF-1.7":                                                         file.PDF,
		string(wide("\ufeff<html>", true)):                                 file.HTML,
	} {
		if got := file.Sniff([]byte(head)); got != want {
			t.Errorf("%q is %v, want %v", head, got, want)
		}
	}
}

func TestSeparators(t *testing.T) {
	for text, want := range map[string]rune{
		"a;b;c\n1,5;2;3": ';', "a,b\n": ',', "a\tb,c\td\n": '\t', "a|b\n": '|', "a\n1;2;3\n": ';', "": ',',
		"\"a;b;c;d\",e,f\n": ',', "a;b\n": ';',
	} {
		if got := file.Separator([]byte(text)); got != want {
			t.Errorf("%q is separated by %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]rune{
		"sep=;\r\na": ';', "SEP=\t\na": '\t', "\"sep=,\"\na": ',', "sep=;;;\na": ';', "sep=;": ';', "separator;x\na": 0, "sep=\na": 0, "sep=x\na": 0,
	} {
		rest, got := file.CutSeparatorLine([]byte(text))
		if got != want || got == 0 && string(rest) != text || got != 0 && len(rest) > 1 {
			t.Errorf("%q names %q and leaves %q, want %q", text, got, rest, want)
		}
	}
}

// FuzzDecode: whatever comes out is UTF-8 without NULs, and the same however it is read.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("\ufeff\ufeffa,b\n1,ü\n"), true)
	f.Add(wide("\ufeffa\tb\n", false), false)
	f.Add([]byte("M\xfcller"), true)
	f.Fuzz(func(t *testing.T, data []byte, windows bool) {
		file.Sniff(data)
		file.Separator(data)
		file.CutSeparatorLine(data)
		got, err := file.Decode(data, file.Options{Windows1252: windows})
		if err == nil && (bytes.IndexByte(got, 0) >= 0 || !bytes.Equal(got, bytes.ToValidUTF8(got, nil))) {
			t.Errorf("%q becomes %q", data, got)
		}
		slow, slowErr := io.ReadAll(file.NewReader(iotest.HalfReader(bytes.NewReader(data)), file.Options{Windows1252: windows}))
		if (err == nil) != (slowErr == nil) || err == nil && !bytes.Equal(got, slow) {
			t.Errorf("%q: %v and %v", data, err, slowErr)
		}
	})
}
