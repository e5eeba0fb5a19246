package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"
)

// Row is one variable as -help and deploy/CONFIGURATION.md show it.
type Row struct {
	Variable string
	Default  string // as it would be typed, or in words: "required", "the host of IDLE_GATEWAY_URL", or nothing
	Meaning  string

	inWords bool
}

// Table lists every variable of idleworker in the order of Config.
func Table() []Row { return table(reflect.TypeFor[Config]()) }

// TapTable lists every variable of idletap in the order of Tap.
func TapTable() []Row { return table(reflect.TypeFor[Tap]()) }

func table(of reflect.Type) []Row {
	var rows []Row
	for _, field := range variables(of) {
		row := Row{Variable: field.Tag.Get("envconfig"), Default: field.Tag.Get("default"), Meaning: field.Tag.Get("desc")}
		switch {
		case field.Tag.Get("required") == "true":
			row.Default, row.inWords = "required", true
		case row.Default == "":
			row.Default, row.inWords = field.Tag.Get("otherwise"), true
		}
		rows = append(rows, row)
	}
	return rows
}

// WriteHelp writes the table of idleworker as plain text in columns.
func WriteHelp(w io.Writer) error { return writeHelp(w, Table()) }

// WriteTapHelp writes the table of idletap as plain text in columns.
func WriteTapHelp(w io.Writer) error { return writeHelp(w, TapTable()) }

func writeHelp(w io.Writer, table []Row) error {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "VARIABLE\tDEFAULT\tMEANING")
	for _, row := range table {
		fmt.Fprintf(columns, "%s\t%s\t%s\n", row.Variable, row.Default, row.Meaning)
	}
	return columns.Flush()
}

// markdown returns a table as deploy/CONFIGURATION.md shows it between two comments. A test compares them;
// "go test ./config -update" writes them there.
func markdown(table []Row) string {
	var b strings.Builder
	b.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	for _, row := range table {
		def := row.Default
		if !row.inWords {
			def = "`" + def + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", row.Variable, def, row.Meaning)
	}
	return b.String()
}
