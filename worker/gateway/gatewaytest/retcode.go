package gatewaytest

import "encoding/json"

// messageOf returns words for a retcode. The real gateway's are not stable, and nobody may decide on them.
func messageOf(retcode string) string {
	if text, ok := messageTexts[retcode]; ok {
		return text
	}
	return "unknown error"
}

var messageTexts = map[string]string{
	"0":       "success",
	"000-001": "The method is not supported.",
	"000-002": "The parameter is invalid.",
	"000-003": "No permission. Authentication may have expired.",
	"000-004": "The agent is being switched over.",
	"000-006": "The URL is invalid.",
	"000-007": "The interface is invoked repeatedly.",
	"100-001": "The parameter is empty or invalid.",
	"100-006": "The agent has not signed in.",
	"100-007": "The agent operation is faulty.",
	"100-008": "The agent has signed out.",
	"100-009": "The agent is in an incorrect state.",
}

func quote(s string) string {
	text, _ := json.Marshal(s) // of a string it never fails
	return string(text)
}
