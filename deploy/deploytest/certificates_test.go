package deploytest

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// secrets is a folder that make-certificates fills.
type secrets struct {
	t   *testing.T
	dir string
}

func newSecrets(t *testing.T) secrets {
	t.Helper()
	s := secrets{t, filepath.Join(t.TempDir(), "secrets")}
	if said := s.make(true); said != "" {
		t.Errorf("the first run says: %s", said)
	}
	return s
}

// make runs the script with these variables, and returns what it says.
func (s secrets) make(fine bool, env ...string) string {
	s.t.Helper()
	return makeCertificates(s.t, s.dir, fine, env...)
}

func makeCertificates(t *testing.T, dir string, fine bool, env ...string) string {
	t.Helper()
	return makeFor(t, dir, []string{"nats", "localhost", "127.0.0.1"}, fine, env...)
}

// makeFor is makeCertificates for a server that clients reach under these names.
func makeFor(t *testing.T, dir string, names []string, fine bool, env ...string) string {
	t.Helper()
	cmd := exec.Command("sh", append([]string{fromRoot("deploy", "nats", "make-certificates"), dir}, names...)...)
	cmd.Env = append(os.Environ(), env...)
	said, err := cmd.CombinedOutput()
	if (err == nil) != fine {
		t.Fatalf("make-certificates: %v\n%s", err, said)
	}
	return string(said)
}

// files are all that stands in the folder.
func (s secrets) files() map[string]string {
	s.t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := d.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			s.t.Errorf("others may read %s: %v, %v", path, info.Mode(), err)
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(s.dir, path) // it is below
		all[name] = string(text)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

func (s secrets) remove(name string) {
	s.t.Helper()
	if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
		s.t.Fatal(err)
	}
}

// wantChanged wants these files, and no others, to differ from what they were.
func (s secrets) wantChanged(was map[string]string, names ...string) {
	s.t.Helper()
	is := s.files()
	want := map[string]bool{}
	for _, name := range names {
		want[name] = true
	}
	for name, text := range is {
		if (text != was[name]) != want[name] {
			s.t.Errorf("%s is another one: %t, want %t", name, text != was[name], want[name])
		}
	}
	for name := range was {
		if _, ok := is[name]; !ok {
			s.t.Errorf("%s is gone", name)
		}
	}
}

// leaf is the certificate of a part, which has to belong to its key.
func (s secrets) leaf(part string) *x509.Certificate {
	s.t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(s.dir, part, "tls.crt"), filepath.Join(s.dir, part, "tls.key"))
	if err != nil {
		s.t.Fatalf("%s: %v", part, err)
	}
	return pair.Leaf
}

// verify tells whether the authority that a part trusts has signed the part's certificate for a purpose, as of now.
func (s secrets) verify(part string, purpose x509.ExtKeyUsage, name string) error {
	s.t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(s.files()[part+"/ca.crt"]))
	_, err := s.leaf(part).Verify(x509.VerifyOptions{Roots: roots, DNSName: name, KeyUsages: []x509.ExtKeyUsage{purpose}})
	return err
}

func TestCertificatesAreForWhatTheyAreMadeFor(t *testing.T) {
	s := newSecrets(t)
	for _, name := range []string{"nats", "localhost", "127.0.0.1"} {
		if err := s.verify("server", x509.ExtKeyUsageServerAuth, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.verify("server", x509.ExtKeyUsageServerAuth, "elsewhere"); err == nil {
		t.Error("the server may call itself as it likes")
	}
	for _, user := range []string{"worker", "operator", "publisher", "sessions", "tap", "observer"} {
		if err := s.verify(user, x509.ExtKeyUsageClientAuth, ""); err != nil {
			t.Errorf("%s: %v", user, err)
		}
		if err := s.verify(user, x509.ExtKeyUsageServerAuth, ""); err == nil {
			t.Errorf("%s may be a server", user)
		}
		if name := s.leaf(user).Subject.String(); name != "CN=idlepolicy-"+user {
			t.Errorf("%s is called %s", user, name)
		}
	}
}

// What is there stays, until somebody deletes a certificate: then that one is renewed, and the key of the store, without
// which nobody can read what is stored, is still the same.
func TestRenewalChangesNothingElse(t *testing.T) {
	s := newSecrets(t)
	was := s.files()
	if said := s.make(true); said != "" {
		t.Errorf("a second run says: %s", said)
	}
	s.wantChanged(was)
	for _, part := range []string{"server", "worker"} {
		was = s.files()
		s.remove(part + "/tls.crt")
		s.make(true)
		s.wantChanged(was, part+"/tls.crt", part+"/tls.key")
		if err := s.verify(part, x509.ExtKeyUsageClientAuth, ""); err != nil {
			t.Errorf("%s, renewed: %v", part, err)
		}
	}
}

func TestExpiredCertificateIsNamedAndRenewed(t *testing.T) {
	s := newSecrets(t)
	s.remove("worker/tls.crt")
	s.make(true, "DAYS=0")
	if err := s.verify("worker", x509.ExtKeyUsageClientAuth, ""); err == nil {
		t.Fatal("the certificate is still good")
	}
	was := s.files()
	said := s.make(true)
	if !strings.Contains(said, "worker/tls.crt is out of date") || strings.Count(said, "\n") != 1 {
		t.Errorf("said: %s", said)
	}
	s.wantChanged(was)
	s.remove("worker/tls.crt")
	if said := s.make(true, "DAYS=90"); said != "" {
		t.Errorf("the renewal says: %s", said)
	}
	left := time.Until(s.leaf("worker").NotAfter).Hours() / 24
	if left < 89 || left > 90 {
		t.Errorf("it is good for %.1f days, want 90", left)
	}
}

// A store key that is gone is not made anew unawares: the server would take its store for one that cannot be read.
func TestLostStoreKeyIsNamed(t *testing.T) {
	s := newSecrets(t)
	s.remove("server/store-key.conf")
	s.remove("worker/tls.crt")
	was := s.files()
	if said := s.make(false); !strings.Contains(said, "store-key.conf is missing") {
		t.Errorf("said: %s", said)
	}
	s.wantChanged(was)
	s.make(true, "NEW_STORE_KEY=yes")
	s.wantChanged(was, "server/store-key.conf", "worker/tls.crt", "worker/tls.key")
}

// The key of the authority may be kept elsewhere, as long as nothing is to be signed: another authority nobody would trust.
func TestAuthorityKeptElsewhere(t *testing.T) {
	s := newSecrets(t)
	s.remove("authority/ca.key")
	was := s.files()
	if said := s.make(true); said != "" {
		t.Errorf("where nothing is missing it says: %s", said)
	}
	s.remove("worker/tls.crt")
	delete(was, "worker/tls.crt")
	if said := s.make(false); !strings.Contains(said, "authority/ca.key is missing") {
		t.Errorf("said: %s", said)
	}
	s.wantChanged(was)
}

// A folder that cannot be meant, or cannot be written, is named, and so is what openssl has to say.
func TestWrongFolder(t *testing.T) {
	s := newSecrets(t)
	was := s.files()
	for dir, want := range map[string]string{
		filepath.Join(s.dir, "server"):                "is one part of a folder",
		filepath.Join(s.dir, "server", "ca.crt", "x"): "ca.crt",
	} {
		if said := makeCertificates(t, dir, false); !strings.Contains(said, want) {
			t.Errorf("%s: said %s", dir, said)
		}
	}
	s.wantChanged(was)
	s.remove("worker/tls.crt")
	if said := s.make(false, "DAYS=many"); !strings.Contains(said, "many") {
		t.Errorf("said: %s", said)
	}
}

// A renewal that fails half-way leaves what is in use alone: whoever reads the folder meanwhile finds a key that belongs to
// its certificate, or none.
func TestRenewalThatFailsLeavesTheKey(t *testing.T) {
	s := newSecrets(t)
	was := s.files()
	s.remove("worker/tls.crt")
	s.make(false, "DAYS=many")
	if is := s.files(); is["worker/tls.key"] != was["worker/tls.key"] {
		t.Error("the key is another one, and no certificate belongs to it")
	}
	s.make(true)
	s.leaf("worker")
	for name := range s.files() {
		if _, ok := was[name]; !ok {
			t.Errorf("%s is left behind", name)
		}
	}
}

// The server's certificate is not made anew because somebody asks for other names: it is said instead.
func TestOtherNamesAreNotIgnored(t *testing.T) {
	s := newSecrets(t)
	was := s.files()
	for _, names := range [][]string{{"nats"}, {"nats", "localhost", "127.0.0.1", "nats-1.example.com"}, {"nats", "localhost", "127.0.0.2"}} {
		said := makeFor(t, s.dir, names, false)
		for _, want := range []string{"server/tls.crt is for nats localhost 127.0.0.1, not for " + strings.Join(names, " "), "delete it"} {
			if !strings.Contains(said, want) {
				t.Errorf("said: %s, want %s", said, want)
			}
		}
		s.wantChanged(was)
	}
	if said := makeFor(t, s.dir, []string{"127.0.0.1", "nats", "localhost"}, true); said != "" {
		t.Errorf("in another order: %s", said)
	}
	// Whoever names none wants a part of some user, and those that the server has.
	if said := makeFor(t, s.dir, nil, true, "USERS=admin"); said != "" {
		t.Errorf("without names: %s", said)
	}
}

// A part that no account knows is let in nowhere.
func TestUnknownUserIsRefused(t *testing.T) {
	s := newSecrets(t)
	was := s.files()
	if said := s.make(false, "USERS=worker bogus"); !strings.Contains(said, `"bogus"`) ||
		!strings.Contains(said, "worker operator publisher sessions tap observer admin") {
		t.Errorf("said: %s", said)
	}
	s.wantChanged(was)
	s.make(true, "USERS=admin")
	s.leaf("admin")
}
