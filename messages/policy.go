package messages

// PolicyText says in words what a flag makes of an agent after a call. It names any flag but true, because whatever is not
// true is wrap-up for the gateway, and may be a mistake. It returns "" for no flag.
func PolicyText(flag string) string {
	switch flag {
	case "":
		return ""
	case "true":
		return "idle after a call"
	}
	return "wrap-up (flag " + flag + ")"
}
