package messages

import (
	"errors"
	"strings"
)

// notFlags lists the words that are refused as flags. The gateway takes any word but true for wrap-up, so a foreign
// spreadsheet, a NULL column or the name of the policy would put a whole shift into wrap-up and report success.
// Letter case and space around a word do not matter. Words that no flag could be anyway are listed for their reason.
var notFlags = [...]struct{ words, reason string }{
	{"true t yes y on 1", `looks like true, but the gateway takes it for wrap-up; want "true" or "false"`},
	{"-1", "means true in Microsoft Access; write true"},

	{"vrai", "means true in a French spreadsheet; write true"},
	{"wahr", "means true in a German spreadsheet; write true"},
	{"vero", "means true in an Italian spreadsheet; write true"},
	{"verdadero cierto", "means true in a Spanish spreadsheet; write true"},
	{"verdadeiro certo", "means true in a Portuguese spreadsheet; write true"},
	{"waar", "means true in a Dutch spreadsheet; write true"},
	{"sant", "means true in a Swedish spreadsheet; write true"},
	{"sand sandt", "means true in a Danish spreadsheet; write true"},
	{"sann", "means true in a Norwegian spreadsheet; write true"},
	{"satt", "means true in an Icelandic spreadsheet; write true"},
	{"tosi", "means true in a Finnish spreadsheet; write true"},
	{"igaz", "means true in a Hungarian spreadsheet; write true"},
	{"prawda", "means true in a Polish spreadsheet; write true"},
	{"pravda", "means true in a Czech or Slovak spreadsheet; write true"},
	{"prav", "means true in a Slovenian spreadsheet; write true"},
	{"doğru dogru", "means true in a Turkish spreadsheet; write true"},
	{"tõene toene tone", "means true in an Estonian spreadsheet; write true"},
	{"cert", "means true in a Catalan spreadsheet; write true"},
	{"egia", "means true in a Basque spreadsheet; write true"},
	{"fíor fior", "means true in an Irish spreadsheet; write true"},
	{"gwir", "means true in a Welsh spreadsheet; write true"},
	{"benar", "means true in an Indonesian or Malay spreadsheet; write true"},
	{"kweli", "means true in a Swahili spreadsheet; write true"},
	{"totoo", "means true in a Filipino spreadsheet; write true"},
	{"đúng dung", "means true in a Vietnamese spreadsheet; write true"},
	{"adevărat adevarat", "means true in a Romanian spreadsheet; write true"},
	{"istina истина", "means true in a Bulgarian, Croatian, Russian or Serbian spreadsheet; write true"},
	{"真 참", "means true in a Chinese, Japanese or Korean spreadsheet; write true"},

	{"ja oui si sí sì sim da tak ano igen evet ya iya jah joo jaa jo taip hai", "means yes; write true"},

	{"idle auto free ready avail available libre livre libero frei vrij ledig", "names the idle state, but the gateway takes it for wrap-up; write true"},

	{"null none nil nan nat na n-a n_a n/a #n/a #null! - -- --- undef undefined empty blank unset tbd tba", "stands for nothing; write true or false, or leave the change out"},
}

// notFlag maps each word of notFlags to its reason.
var notFlag = func() map[string]string {
	reasons := map[string]string{}
	for _, row := range notFlags {
		for word := range strings.FieldsSeq(row.words) {
			reasons[word] = row.reason
		}
	}
	return reasons
}()

// CheckFlag returns why a text cannot be the flag of a change, or nil: true, or 1 to 5 letters, digits, - and _ that are not
// in the table of words that people mistake for a flag. The error does not begin with the text itself.
func CheckFlag(text string) error {
	if text == "true" {
		return nil
	}
	if reason, listed := notFlag[strings.ToLower(strings.TrimSpace(text))]; listed {
		return errors.New(reason)
	}
	if !isWord(text, maxFlag) {
		return errors.New(`is not a flag; want "true", "false" or 1 to 5 letters, digits, - and _`)
	}
	return nil
}

func readFlag(raw []byte) (string, string) {
	// Nearly every flag is one of these, and needs no copy then.
	switch string(raw) {
	case "true", `"true"`:
		return "true", ""
	case "false", `"false"`:
		return "false", ""
	}
	text, ok := unquote(raw)
	if !ok {
		text = "" // a number or null
	}
	if err := CheckFlag(text); err != nil {
		return "", "flag: " + shown(raw) + " " + err.Error()
	}
	return text, ""
}
