package access

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idlepolicy/worker/stream/natstest"
)

func TestCheckCredentials(t *testing.T) {
	file := filepath.Join(t.TempDir(), "user.creds")
	token, seed := natstest.WriteCredentials(t, file)
	if err := CheckCredentials(file); err != nil {
		t.Errorf("good credentials: %v", err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, otherSeed := natstest.WriteCredentials(t, file)
	wrong := natstest.Damaged(token, seed)
	delete(wrong, "cut off before the last line") // the client finds both in it
	wrong["empty"] = " \n"
	wrong["another user's seed"] = strings.ReplaceAll(string(whole), seed, otherSeed)
	for name, text := range wrong {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := CheckCredentials(file)
		if err == nil {
			t.Errorf("%s: not refused", name)
			continue
		}
		if strings.Contains(err.Error(), seed) || strings.Contains(err.Error(), token) {
			t.Errorf("%s: the error gives it away: %v", name, err)
		}
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(whole), "\n", "\r\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CheckCredentials(file); err != nil {
		t.Errorf("with line ends of Windows: %v", err)
	}
}
