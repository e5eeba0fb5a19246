package deploytest

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// overlays are what is handed to kubectl apply -k.
var overlays = []string{"trial", "production", "sites", "tap"}

// site is what an overlay makes of the manifests.
type site struct {
	namespaces   []*corev1.Namespace
	configs      map[string]*corev1.ConfigMap
	services     map[string]*corev1.Service
	deployments  map[string]*appsv1.Deployment
	statefulSets map[string]*appsv1.StatefulSet
	disruption   map[string]*policyv1.PodDisruptionBudget
	policies     map[string]*networkingv1.NetworkPolicy
	monitors     []*serviceMonitor
}

// serviceMonitor is the part of the Prometheus operator's type that is used: the whole type needs its whole module.
type serviceMonitor struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string            `json:"name"`
		Namespace string            `json:"namespace"`
		Labels    map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		Selector struct {
			MatchLabels map[string]string `json:"matchLabels"`
		} `json:"selector"`
		Endpoints []struct {
			Port     string `json:"port"`
			Path     string `json:"path"`
			Interval string `json:"interval"`
		} `json:"endpoints"`
	} `json:"spec"`
}

// loaded keeps what was built: building takes most of the time of a test.
var loaded = map[string]*site{}

// load builds an overlay as kubectl does and decodes all of it: a field that the type has not is an error.
func load(t *testing.T, overlay string) *site {
	t.Helper()
	if s := loaded[overlay]; s != nil {
		return s
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).
		Run(filesys.MakeFsOnDisk(), fromRoot("deploy", "kubernetes", "overlays", overlay))
	if err != nil {
		t.Fatal(err)
	}
	s := &site{
		configs: map[string]*corev1.ConfigMap{}, services: map[string]*corev1.Service{},
		deployments: map[string]*appsv1.Deployment{}, statefulSets: map[string]*appsv1.StatefulSet{},
		disruption: map[string]*policyv1.PodDisruptionBudget{}, policies: map[string]*networkingv1.NetworkPolicy{},
	}
	for _, r := range built.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		s.add(t, r.GetKind(), text)
	}
	loaded[overlay] = s
	return s
}

func (s *site) add(t *testing.T, kind string, text []byte) {
	t.Helper()
	switch kind {
	case "Namespace":
		s.namespaces = append(s.namespaces, strictly(t, text, &corev1.Namespace{}))
	case "ConfigMap":
		c := strictly(t, text, &corev1.ConfigMap{})
		s.configs[c.Namespace+"/"+c.Name] = c
	case "Service":
		c := strictly(t, text, &corev1.Service{})
		s.services[c.Namespace+"/"+c.Name] = c
	case "Deployment":
		c := strictly(t, text, &appsv1.Deployment{})
		s.deployments[c.Namespace+"/"+c.Name] = c
	case "StatefulSet":
		c := strictly(t, text, &appsv1.StatefulSet{})
		s.statefulSets[c.Namespace+"/"+c.Name] = c
	case "PodDisruptionBudget":
		c := strictly(t, text, &policyv1.PodDisruptionBudget{})
		s.disruption[c.Namespace+"/"+c.Name] = c
	case "NetworkPolicy":
		c := strictly(t, text, &networkingv1.NetworkPolicy{})
		s.policies[c.Namespace+"/"+c.Name] = c
	case "ServiceMonitor":
		s.monitors = append(s.monitors, strictly(t, text, &serviceMonitor{}))
	default:
		t.Errorf("nobody looks at a %s", kind)
	}
}

func strictly[T any](t *testing.T, text []byte, into T) T {
	t.Helper()
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		t.Errorf("%v in\n%s", err, text)
	}
	return into
}

func TestEveryOverlayDecodesStrictly(t *testing.T) {
	for _, overlay := range overlays {
		t.Run(overlay, func(t *testing.T) {
			if s := load(t, overlay); len(s.deployments) == 0 {
				t.Error("there is no worker in it")
			}
		})
	}
}

// Secrets are made by the operator: none may be in the repository, and no password in a variable.
func TestNoCredentialStandsInAManifest(t *testing.T) {
	for _, overlay := range overlays {
		for name, c := range load(t, overlay).configs {
			for key, value := range c.Data {
				if strings.HasPrefix(key, "IDLE_") && (strings.Contains(value, "@") || strings.Contains(value, "PRIVATE KEY")) {
					t.Errorf("%s: %s of %s looks like a credential", overlay, key, name)
				}
			}
		}
	}
}
