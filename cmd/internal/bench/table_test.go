package bench

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// TestTable runs the scenarios and prints a table in Markdown: medians of both sides, which take turns, and their ratio.
func TestTable(t *testing.T) {
	if !*full {
		*rounds = 1
	}
	pick := regexp.MustCompile(*scenario)
	rows := make([]string, len(scenes))
	t.Run("scenes", func(t *testing.T) {
		for i, sc := range scenes {
			if pick.MatchString(sc.name) {
				t.Run(sc.name, func(t *testing.T) { rows[i] = sc.play(t) })
			}
		}
	})
	if *full {
		fmt.Printf("\n%s, %d CPUs, %s, medians of %d runs\n\n| | worker | by hand | ratio |\n|---|--:|--:|--:|\n%s\n",
			machine(), runtime.NumCPU(), runtime.Version(), *rounds, strings.Join(rows, ""))
	}
}

// play runs one scenario and returns its rows. Only tests of it go on beside each other.
func (sc scene) play(t *testing.T) string {
	t.Helper()
	if !*full {
		t.Parallel()
	}
	got := measured{}
	for range *rounds {
		for _, s := range []side{ours, byhand} {
			t.Run(string(s), func(t *testing.T) { got.add(s, sc.run(t, s)) })
		}
	}
	t.Log("\n" + got.detail(sc.measures))
	var rows strings.Builder
	for i, name := range sc.measures {
		rows.WriteString(got.row(i, name))
	}
	return rows.String()
}

// measured are the values of each side, run by run.
type measured map[side][][]float64

func (m measured) add(s side, values []float64) { m[s] = append(m[s], values) }

func (m measured) of(s side, i int) []float64 {
	var values []float64
	for _, run := range m[s] {
		values = append(values, run[i])
	}
	return values // fewer than there were runs where some of them failed
}

func (m measured) row(i int, name string) string {
	a, b := median(m.of(ours, i)), median(m.of(byhand, i))
	ratio := "–"
	if b != 0 {
		ratio = strconv.FormatFloat(a/b, 'f', 2, 64)
	}
	return fmt.Sprintf("| %s | %s | %s | %s |\n", name, short(a), short(b), ratio)
}

// detail shows every run, so that a reader can judge the noise.
func (m measured) detail(measures []string) string {
	var b strings.Builder
	for i, name := range measures {
		fmt.Fprintf(&b, "%-60s worker %.5g, by hand %.5g\n", name, m.of(ours, i), m.of(byhand, i))
	}
	return b.String()
}

func short(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 1:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 3, 64)
	}
}

// machine names the processor, where the system says.
func machine() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // elsewhere there is none
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOOS + "/" + runtime.GOARCH
}
