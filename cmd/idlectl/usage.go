package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagError explains what is wrong with a flag in our own words.
func flagError(cmd *cobra.Command, err error) error {
	verb := strings.TrimPrefix(cmd.CommandPath(), "idlectl ")
	unknown, isUnknown := errors.AsType[*pflag.NotExistError](err)
	if isUnknown {
		if letters := unknown.GetSpecifiedShortnames(); letters != "" && strings.Trim(letters, "0123456789.") == "" {
			return fmt.Errorf("%s: -%s is not a flag, and no number below 0 is allowed", verb, letters)
		}
	}
	if value, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		if want := wanted[value.GetFlag().Value.Type()]; want != "" {
			return fmt.Errorf("--%s %q: want %s", value.GetFlag().Name, value.GetValue(), want)
		}
	}
	return err
}

// wanted names what flags of each type accept.
var wanted = map[string]string{"int": "a whole number", "bool": "true or false", "duration": "a duration such as 10m"}
