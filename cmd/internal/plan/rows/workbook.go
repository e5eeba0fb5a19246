package rows

import (
	"archive/zip"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/xuri/excelize/v2"
)

const (
	maxUnpacked = 512 << 20 // bytes of a workbook
	maxHeld     = 64 << 20  // of these, all but the sheets and the shared texts
	maxRatio    = 200       // of what is unpacked to what is packed; Excel's own files stay below 40
	inMemory    = 16 << 20  // bytes of a sheet, above which it is unpacked into a temporary file
)

var errDamaged = errors.New("the workbook is damaged; open it and save it again")

// readWorkbook reads one sheet. Formulas count as the values that were saved with them; macros are never looked at.
func readWorkbook(r io.Reader, s Spec, each func(Row) error) (err error) {
	defer func() {
		if recover() != nil { // the library panics over some damaged workbooks
			err = errDamaged
		}
	}()
	data, err := io.ReadAll(&limited{r: r, left: maxWhole, what: "the workbook"})
	if err != nil {
		return err
	}
	if err := checkZip(data); err != nil {
		return err
	}
	f, err := excelize.OpenReader(bytes.NewReader(data), excelize.Options{
		RawCellValue: true, UnzipSizeLimit: maxUnpacked, UnzipXMLSizeLimit: inMemory,
	})
	if err != nil {
		return fmt.Errorf("%w (%w)", errDamaged, err)
	}
	defer f.Close() // removes its temporary files
	sheet, err := sheetOf(f, s.Rows)
	if err != nil {
		return err
	}
	it, err := f.Rows(sheet)
	if err != nil {
		return fmt.Errorf("sheet %s cannot be read: %w", sheet, err)
	}
	defer it.Close()
	t := table{spec: s}
	old := isMacintosh(f)
	for n := 1; it.Next(); n++ {
		cells, err := it.Columns(excelize.Options{RawCellValue: true})
		if err != nil {
			return fmt.Errorf("sheet %s, row %d cannot be read: %w", sheet, n, err)
		}
		err = t.read(cells, fmt.Sprintf("sheet %s, row %d", sheet, n), func(_ int, text string) Value { return cell(text, old) }, each)
		if err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("sheet %s cannot be read: %w", sheet, err)
	}
	return t.end()
}

// checkZip refuses what unpacks into far more than it is, and what the library would hold in memory and is far larger than it is
// in workbooks. Sheets and shared texts are streamed, one row or text at a time.
func checkZip(data []byte) error {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fmt.Errorf("%w (%w)", errDamaged, err)
	}
	var unpacked, held uint64
	for _, f := range z.File {
		unpacked += f.UncompressedSize64
		streamed := markerOf(f.Name) != ""
		if !streamed {
			held += f.UncompressedSize64
		}
		if f.UncompressedSize64 > 1<<20 && f.UncompressedSize64/max(1, f.CompressedSize64) > maxRatio || unpacked > maxUnpacked || held > maxHeld {
			return &tooLarge{"the workbook"}
		}
		if streamed && f.UncompressedSize64 > inMemory {
			if err := checkPart(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// markerOf returns the element of which a part that is streamed has one after the other; empty: it is held in memory.
func markerOf(name string) string {
	name = strings.ToLower(name)
	switch {
	case strings.HasPrefix(name, "xl/worksheets/sheet"):
		return "row"
	case name == "xl/sharedstrings.xml":
		return "si"
	}
	return ""
}

// checkPart refuses a large part of which one row or text is larger than a record may be, and one with comments or CDATA, which no
// program writes there and which could look like rows.
func checkPart(f *zip.File) error {
	part, err := f.Open()
	if err != nil {
		return errDamaged
	}
	defer part.Close()
	b, marker, since := bufio.NewReaderSize(part, 64<<10), []byte(markerOf(f.Name)), 0
	for {
		text, err := b.ReadSlice('<')
		if since += len(text); since > maxRecord {
			return &tooLarge{"a row of the workbook"}
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return errDamaged
		}
		name, _ := b.Peek(16) // less at the end
		if bytes.HasPrefix(name, []byte("!")) {
			return errDamaged
		}
		if _, local, ok := bytes.Cut(name, []byte(":")); ok {
			name = local
		}
		if bytes.HasPrefix(name, marker) {
			since = 0
		}
	}
}

// sheetOf returns the sheet that the map names, or the first one.
func sheetOf(f *excelize.File, named []string) (string, error) {
	sheets := f.GetSheetList()
	switch {
	case len(sheets) == 0:
		return "", fmt.Errorf("the workbook has no sheets")
	case len(named) == 0:
		return sheets[0], nil
	case slices.Contains(sheets, named[0]):
		return named[0], nil
	}
	return "", fmt.Errorf("there is no sheet %q in the workbook; it has %s", named[0], shownList(sheets))
}

// isMacintosh reports whether days are counted from 1904.
func isMacintosh(f *excelize.File) bool {
	p, err := f.GetWorkbookProps()
	return err == nil && p.Date1904 != nil && *p.Date1904
}

// days1904 is how far the two ways of counting days in Excel are apart.
const days1904 = 1462

// cell returns the value of a cell; a number counts days from 1900.
func cell(text string, from1904 bool) Value {
	v := Value{Text: text}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.ContainsAny(text, "xXpPiInN_") {
		return v
	}
	v.Number, v.Serial = true, true
	if from1904 && n >= 1 {
		v.Text = strconv.FormatFloat(n+days1904, 'f', -1, 64)
	}
	return v
}
