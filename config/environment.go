package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"
)

// Problems has everything that is wrong with the environment, one line for each variable.
type Problems []string

// Error returns the lines, separated by line breaks.
func (p Problems) Error() string { return strings.Join(p, "\n") }

// environment remembers what was found wrong while a struct is filled and checked. It keeps one problem for each
// variable, the first: what is checked later often follows from it.
type environment struct {
	of     reflect.Type // the struct
	wrong  map[string]string
	strays []string // variables that look like ours and are nobody's mistake, one sentence each
}

// read fills the struct that target points to from the environment.
//
// Process of envconfig stops at the first value it cannot parse and prints it, even if it is a secret. So it is given
// one variable at a time, in a struct with nothing but that field, and of its error no more is used than that there
// is one. The tags name each variable in full and the prefix is left empty; with a prefix, envconfig would fall back
// to the variable without it.
func read(target any) *environment {
	into := reflect.ValueOf(target).Elem()
	env := &environment{of: into.Type(), wrong: map[string]string{}}
	for _, field := range variables(into.Type()) {
		name := field.Tag.Get("envconfig")
		alone := field
		if !isSet(field) {
			alone.Tag = withDefaultOnly(field.Tag)
		}
		one := reflect.New(reflect.StructOf([]reflect.StructField{alone}))
		err := envconfig.Process("", one.Interface())
		switch {
		case err != nil && !isSet(field):
			env.wrong[name] = fmt.Sprintf("%s is required: want %s", name, field.Tag.Get("want"))
		case err != nil, isWhole(field.Type) && text(field) != "" && !isDecimal(text(field)):
			env.check(name, false, unitMissing(field))
		default:
			into.FieldByIndex(field.Index).Set(one.Elem().Field(0))
		}
	}
	return env
}

// variables lists the fields of a struct that stand for a variable, those of embedded structs in their place.
func variables(of reflect.Type) []reflect.StructField {
	var fields []reflect.StructField
	for _, field := range reflect.VisibleFields(of) {
		if field.Tag.Get("envconfig") != "" {
			fields = append(fields, field)
		}
	}
	return fields
}

// variable finds the field of a variable by its name.
func (e *environment) variable(name string) reflect.StructField {
	for _, of := range []reflect.Type{e.of, reflect.TypeFor[Config]()} {
		for _, field := range variables(of) {
			if field.Tag.Get("envconfig") == name && (field.Tag.Get("want") != "" || of != e.of) {
				return field
			}
		}
	}
	return reflect.StructField{}
}

// isSet reports whether the variable has a value. An empty one counts as unset, because templates without a value produce it, unless
// its tag gives the empty value a meaning.
func isSet(field reflect.StructField) bool {
	value, found := os.LookupEnv(field.Tag.Get("envconfig"))
	return value != "" || found && field.Tag.Get("empty") != ""
}

// withDefaultOnly makes envconfig pass over the variable: a name that holds an equals sign is in no environment.
func withDefaultOnly(tag reflect.StructTag) reflect.StructTag {
	return reflect.StructTag(fmt.Sprintf("envconfig:%q default:%q required:%q",
		tag.Get("envconfig")+"=", tag.Get("default"), tag.Get("required")))
}

// text returns the value of the variable before it is parsed.
func text(field reflect.StructField) string {
	if isSet(field) {
		return os.Getenv(field.Tag.Get("envconfig"))
	}
	return field.Tag.Get("default")
}

func isWhole(t reflect.Type) bool {
	return t == reflect.TypeFor[int]() || t == reflect.TypeFor[int64]()
}

// isDecimal rejects what envconfig takes for a number in another base: 010 would be 8.
func isDecimal(text string) bool {
	n, err := strconv.Atoi(text)
	return err == nil && strconv.Itoa(n) == text
}

// unitMissing is the reason why a duration that is a mere number cannot be read; nil: it is something else.
func unitMissing(field reflect.StructField) error {
	if field.Type == reflect.TypeFor[time.Duration]() {
		if _, err := time.ParseDuration(text(field) + "s"); err == nil {
			return fmt.Errorf("a unit is missing: %ss", text(field))
		}
	}
	return nil
}

// given reports whether the variable has a value that could be parsed.
func (e *environment) given(name string) bool {
	return isSet(e.variable(name)) && e.wrong[name] == ""
}

// check records the variable as wrong unless ok holds. The line says what its tag wants and, in parentheses, the
// reasons given.
func (e *environment) check(name string, ok bool, reasons ...error) {
	e.checkFor(name, ok, e.variable(name).Tag.Get("want"), reasons...)
}

// checkFor is check for what depends on more than the variable itself.
func (e *environment) checkFor(name string, ok bool, want string, reasons ...error) {
	if ok || e.wrong[name] != "" {
		return
	}
	line := fmt.Sprintf("%s: want %s", e.quoted(name), want)
	if err := errors.Join(reasons...); err != nil {
		line += fmt.Sprintf(" (%s)", err)
	}
	e.wrong[name] = line
}

// compare is checkFor for two variables that must fit each other. It reports nothing if one of them is wrong already.
func (e *environment) compare(name string, ok bool, want, other string) {
	if e.wrong[other] == "" {
		e.checkFor(name, ok, want+" "+e.quoted(other))
	}
}

// quoted returns a variable with its value, without secrets.
func (e *environment) quoted(name string) string {
	field := e.variable(name)
	line := fmt.Sprintf("%s=%q", name, shown(name, text(field)))
	if !isSet(field) {
		line += " (the default)"
	}
	return line
}

// problems returns what is wrong, in the order of the table, and then the unknown variables.
func (e *environment) problems() error {
	var lines Problems
	for _, field := range variables(e.of) {
		if line := e.wrong[field.Tag.Get("envconfig")]; line != "" {
			lines = append(lines, line)
		}
	}
	typos, strays := unknown(os.Environ())
	lines, e.strays = append(lines, typos...), strays
	if len(lines) == 0 {
		return nil
	}
	return lines
}

// serviceLink is how Kubernetes names the variables that it sets in every pod for each service, and Docker those of a linked container:
// a service called idle-status would otherwise keep the worker from starting.
var serviceLink = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?|ENV_\w+)$`)

// isLink reports whether a variable was set by Kubernetes or Docker. The value of a Docker link's name is a path of two containers.
func isLink(name, value string) bool {
	return serviceLink.MatchString(name) || strings.HasSuffix(name, "_NAME") && strings.Count(value, "/") > 1 && value[0] == '/'
}

// unknown finds variables that begin like ours but do not exist. One that is close to one of ours is a typo and an error; any other may
// be another program's. Their values are not shown, because they may be secrets.
func unknown(environ []string) (typos, strays []string) {
	names := allNames()
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, ours) || slices.Contains(names, name) {
			continue
		}
		near := nearestOf(name, names)
		switch {
		case isLink(name, value):
			if os.Getenv("KUBERNETES_SERVICE_HOST") == "" { // there it is every service's, and no news
				strays = append(strays, name+" is not a variable of this program and has no effect: it looks like one of a container's link")
			}
		case near != "":
			typos = append(typos, fmt.Sprintf("%s: not a variable of this program; did you mean %s?", name, near))
		default:
			strays = append(strays, name+" is not a variable of this program and has no effect; -help shows them all")
		}
	}
	slices.Sort(typos)
	slices.Sort(strays)
	return typos, strays
}

// nearestOf is Nearest without the prefix that all our names have, which would make short names look alike.
func nearestOf(typed string, names []string) string {
	var rests []string
	for _, name := range names {
		rests = append(rests, strings.TrimPrefix(name, ours))
	}
	if near := Nearest(strings.TrimPrefix(typed, ours), rests); near != "" {
		return ours + near
	}
	return ""
}

// ours is how our variables begin.
const ours = "IDLE_"

// allNames lists the variables of all programs: those of one may be set for another.
func allNames() (names []string) {
	for _, row := range append(Table(), TapTable()...) {
		if !slices.Contains(names, row.Variable) {
			names = append(names, row.Variable)
		}
	}
	return names
}
