package messages

// PolicyText says in words what a flag does to an agent after a call. It names any flag except true, because the gateway takes all
// others for wrap-up, and one of them may be a mistake. It returns "" for no flag.
func PolicyText(flag string) string {
	switch flag {
	case "":
		return ""
	case "true":
		return "idle after a call"
	}
	return "wrap-up (flag " + flag + ")"
}
