package deploytest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// composeFile is the part of the format that ours uses; anything else in it is taken for a mistake. A key that begins with
// x- holds what is merged into services.
type composeFile struct {
	Name     string              `json:"name"`
	Confined any                 `json:"x-confined"`
	Worker   any                 `json:"x-worker"`
	Services map[string]*service `json:"services"`
	Volumes  map[string]any      `json:"volumes"`
}

type service struct {
	Image string `json:"image"`
	Build *struct {
		Context string `json:"context"`
		Target  string `json:"target"`
	} `json:"build"`
	Entrypoint  []string          `json:"entrypoint"`
	Command     []string          `json:"command"`
	Environment map[string]string `json:"environment"`
	Volumes     []string          `json:"volumes"`
	Tmpfs       []string          `json:"tmpfs"`
	Ports       []string          `json:"ports"`
	Profiles    []string          `json:"profiles"`
	DependsOn   map[string]struct {
		Condition string `json:"condition"`
	} `json:"depends_on"`
	Healthcheck *struct {
		Test        []string `json:"test"`
		Interval    string   `json:"interval"`
		Timeout     string   `json:"timeout"`
		StartPeriod string   `json:"start_period"`
	} `json:"healthcheck"`
	User            string   `json:"user"`
	Hostname        string   `json:"hostname"`
	Restart         string   `json:"restart"`
	ReadOnly        bool     `json:"read_only"`
	CapDrop         []string `json:"cap_drop"`
	CapAdd          []string `json:"cap_add"`
	SecurityOpt     []string `json:"security_opt"`
	NetworkMode     string   `json:"network_mode"`
	StopGracePeriod string   `json:"stop_grace_period"`
	Logging         any      `json:"logging"`
}

func loadCompose(t *testing.T) *composeFile {
	t.Helper()
	text, err := os.ReadFile(fromRoot("deploy", "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	// The strict decoding of YAML takes what overrides a merged key for a key that comes twice.
	if text, err = yaml.YAMLToJSON(text); err != nil {
		t.Fatal(err)
	}
	c := &composeFile{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestComposeNamesWhatIsThere(t *testing.T) {
	c := loadCompose(t)
	for name, s := range c.Services {
		for other := range s.DependsOn {
			if c.Services[other] == nil {
				t.Errorf("%s depends on %s", name, other)
			} else if s.DependsOn[other].Condition == "service_healthy" && c.Services[other].Healthcheck == nil {
				t.Errorf("%s waits for the health of %s, which has no health check", name, other)
			}
		}
		for _, v := range s.Volumes {
			c.checkVolume(t, name, v)
		}
		if !slices.Equal(s.CapDrop, []string{"ALL"}) || !s.ReadOnly || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s is not confined", name)
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s listens to everybody at %s", name, p)
			}
		}
	}
}

// checkVolume: what compose makes by itself where a file is missing is an empty folder.
func (c *composeFile) checkVolume(t *testing.T, name, volume string) {
	t.Helper()
	from, _, _ := strings.Cut(volume, ":")
	switch {
	case strings.HasPrefix(from, "./secrets"): // made by the service certificates
	case strings.HasPrefix(from, "."):
		if _, err := os.Stat(fromRoot("deploy", from)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	default:
		if _, ok := c.Volumes[from]; !ok {
			t.Errorf("%s: no volume %s", name, from)
		}
	}
}

// Variables and flags of our own programs exist, and their files are in their volumes.
func TestComposeVariablesFlagsAndFilesExist(t *testing.T) {
	stages := read(t, "Dockerfile")
	for name, s := range loadCompose(t).Services {
		if s.Build == nil {
			continue
		}
		if !strings.Contains(stages, " AS "+s.Build.Target+"\n") {
			t.Errorf("%s: the Dockerfile has no stage %s", name, s.Build.Target)
		}
		checkVariables(t, s.Environment)
		checkFlags(t, s.Build.Target, s.Command)
		for _, value := range s.Environment {
			if strings.HasPrefix(value, "/") && s.volumeOf(value) == "" {
				t.Errorf("%s: %s is in no volume", name, value)
			}
		}
		if s.Healthcheck != nil {
			checkFlags(t, filepath.Base(s.Healthcheck.Test[1]), s.Healthcheck.Test[2:])
		}
	}
}

// volumeOf returns where a file of the container comes from.
func (s *service) volumeOf(file string) string {
	for _, v := range s.Volumes {
		parts := strings.Split(v, ":")
		if file == parts[1] || strings.HasPrefix(file, parts[1]+"/") {
			return parts[0] + strings.TrimPrefix(file, parts[1])
		}
	}
	return ""
}

// Prometheus asks where workers listen.
func TestPrometheusAsksTheWorkers(t *testing.T) {
	var config struct {
		ScrapeConfigs []struct {
			StaticConfigs []struct {
				Targets []string `json:"targets"`
			} `json:"static_configs"`
		} `json:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "deploy", "monitoring", "prometheus.yml")), &config); err != nil {
		t.Fatal(err)
	}
	services := loadCompose(t).Services
	for _, target := range config.ScrapeConfigs[0].StaticConfigs[0].Targets {
		name, port, _ := strings.Cut(target, ":")
		if s := services[name]; s == nil || !strings.HasSuffix(s.Environment["IDLE_HTTP_ADDR"], ":"+port) {
			t.Errorf("nothing of ours listens at %s", target)
		}
	}
}
