package deploytest

import (
	"maps"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// pod is what any workload starts.
type pod struct {
	name, namespace string
	template        corev1.PodTemplateSpec
	replicas        int32
}

func (s *site) pods() (all []pod) {
	for _, d := range s.deployments {
		all = append(all, pod{d.Name, d.Namespace, d.Spec.Template, *orOne(d.Spec.Replicas)})
	}
	for _, d := range s.statefulSets {
		all = append(all, pod{d.Name, d.Namespace, d.Spec.Template, *orOne(d.Spec.Replicas)})
	}
	return all
}

func orOne(n *int32) *int32 {
	if n == nil {
		return new(int32(1))
	}
	return n
}

// environment is what a container's program finds, from its maps and its own list.
func (s *site) environment(t *testing.T, p pod, c corev1.Container) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, from := range c.EnvFrom {
		config := s.configs[p.namespace+"/"+from.ConfigMapRef.Name]
		if config == nil {
			t.Fatalf("%s takes its variables from %s, which is not there", p.name, from.ConfigMapRef.Name)
		}
		maps.Copy(env, config.Data)
	}
	for _, e := range c.Env {
		env[e.Name] = e.Value
	}
	return env
}

// container is one of any pod of any overlay.
type container struct {
	corev1.Container
	name string
	site *site
	pod  pod
}

func containers(t *testing.T) (all []container) {
	t.Helper()
	for _, overlay := range overlays {
		s := load(t, overlay)
		for _, p := range s.pods() {
			for _, c := range p.template.Spec.Containers {
				all = append(all, container{c, overlay + "/" + p.namespace + "/" + p.name + "/" + c.Name, s, p})
			}
		}
	}
	return all
}

func TestVariablesFlagsAndFilesOfPodsExist(t *testing.T) {
	for _, one := range containers(t) {
		t.Run(one.name, func(t *testing.T) {
			s, p, c := one.site, one.pod, one.Container
			env := s.environment(t, p, c)
			checkVariables(t, env)
			if slices.Contains([]string{"idleworker", "idledemo", "idlectl"}, c.Name) {
				checkFlags(t, c.Name, c.Args)
			}
			if c.Name == "idleworker" && env["IDLE_GATEWAY_URL"] == "" {
				t.Error("the worker is not told where the gateway is")
			}
			for name, value := range env {
				if strings.HasPrefix(value, "/") && !mounted(c, value) {
					t.Errorf("%s=%s is in no volume", name, value)
				}
			}
			for _, a := range slices.Concat(c.Command, c.Args) {
				if strings.HasPrefix(a, "/") && !mounted(c, a) {
					t.Errorf("the argument %s is in no volume", a)
				}
			}
		})
	}
}

func mounted(c corev1.Container, file string) bool {
	return slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool {
		return m.MountPath == file || strings.HasPrefix(path.Dir(file)+"/", m.MountPath+"/")
	})
}

// Every volume that is mounted is there, and secrets cannot be read by everybody.
func TestVolumes(t *testing.T) {
	for _, one := range containers(t) {
		t.Run(one.name, func(t *testing.T) {
			s, p, c := one.site, one.pod, one.Container
			for _, m := range c.VolumeMounts {
				if !s.hasVolume(p, m.Name) {
					t.Errorf("no volume %s", m.Name)
				}
			}
			for _, v := range p.template.Spec.Volumes {
				if v.Secret != nil && (v.Secret.DefaultMode == nil || *v.Secret.DefaultMode&0o7 != 0) {
					t.Errorf("the secret %s can be read by everybody", v.Secret.SecretName)
				}
				if v.ConfigMap != nil && s.configs[p.namespace+"/"+v.ConfigMap.Name] == nil {
					t.Errorf("no config map %s", v.ConfigMap.Name)
				}
			}
		})
	}
}

func (s *site) hasVolume(p pod, name string) bool {
	if set := s.statefulSets[p.namespace+"/"+p.name]; set != nil {
		for _, claim := range set.Spec.VolumeClaimTemplates {
			if claim.Name == name {
				return true
			}
		}
	}
	return slices.ContainsFunc(p.template.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == name })
}

func TestPodsAreConfined(t *testing.T) {
	for _, one := range containers(t) {
		t.Run(one.name, func(t *testing.T) {
			p, c := one.pod, one.Container
			whole, own := p.template.Spec.SecurityContext, c.SecurityContext
			if whole == nil || own == nil {
				t.Fatal("no security context")
			}
			if !is(whole.RunAsNonRoot) || whole.RunAsUser == nil || *whole.RunAsUser == 0 {
				t.Error("it may run as root")
			}
			if whole.SeccompProfile == nil || whole.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
				t.Error("it may use every system call")
			}
			if own.AllowPrivilegeEscalation == nil || *own.AllowPrivilegeEscalation {
				t.Error("it may get more privileges")
			}
			if !is(own.ReadOnlyRootFilesystem) {
				t.Error("it may write to its root")
			}
			if own.Capabilities == nil || !slices.Equal(own.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(own.Capabilities.Add) > 0 {
				t.Error("it keeps capabilities")
			}
			if token := p.template.Spec.AutomountServiceAccountToken; token == nil || *token {
				t.Error("it gets a token for Kubernetes")
			}
			if c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
				t.Error("what it may use is not said")
			}
		})
	}
}

func is(b *bool) bool { return b != nil && *b }

func TestProbesAndPorts(t *testing.T) {
	served := help(t, "idleworker")
	for _, one := range containers(t) {
		t.Run(one.name, func(t *testing.T) {
			s, p, c := one.site, one.pod, one.Container
			for _, probe := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
				if probe == nil || probe.HTTPGet == nil {
					continue
				}
				if !hasPort(c, probe.HTTPGet.Port) {
					t.Errorf("a probe asks at the port %s", probe.HTTPGet.Port.String())
				}
				if !strings.Contains(served, probe.HTTPGet.Path) {
					t.Errorf("a probe asks for %s", probe.HTTPGet.Path)
				}
			}
			if c.Name != "idleworker" {
				return
			}
			if c.LivenessProbe == nil || c.ReadinessProbe == nil {
				t.Error("nobody looks after it")
			}
			_, at, _ := strings.Cut(s.environment(t, p, c)["IDLE_HTTP_ADDR"], ":")
			if len(c.Ports) != 1 || strconv.Itoa(int(c.Ports[0].ContainerPort)) != at {
				t.Errorf("it listens on port %s, and its ports are %v", at, c.Ports)
			}
		})
	}
}

func hasPort(c corev1.Container, port intstr.IntOrString) bool {
	return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool {
		return p.Name == port.String() || port.Type == intstr.Int && p.ContainerPort == port.IntVal
	})
}

// A service that selects no pod, or a port that its pods have not, answers nobody.
func TestServicesMonitorsAndBudgetsSelectPods(t *testing.T) {
	for _, overlay := range overlays {
		s := load(t, overlay)
		for name, service := range s.services {
			pods := s.selected(service.Namespace, labels.SelectorFromSet(service.Spec.Selector))
			if len(pods) == 0 {
				t.Errorf("%s: service %s selects nothing", overlay, name)
			}
			for _, p := range pods {
				for _, port := range service.Spec.Ports {
					if !slices.ContainsFunc(p.template.Spec.Containers, func(c corev1.Container) bool { return hasPort(c, port.TargetPort) }) {
						t.Errorf("%s: %s has no port %s", overlay, p.name, port.TargetPort.String())
					}
				}
			}
		}
		for name, d := range s.disruption {
			selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
			if err != nil || len(s.selected(d.Namespace, selector)) != 1 {
				t.Errorf("%s: the budget %s is for %d workloads, want 1 (%v)", overlay, name, len(s.selected(d.Namespace, selector)), err)
			}
		}
		for _, m := range s.monitors {
			if !slices.ContainsFunc(slices.Collect(maps.Values(s.services)), func(service *corev1.Service) bool {
				return service.Namespace == m.Metadata.Namespace && labels.SelectorFromSet(m.Spec.Selector.MatchLabels).Matches(labels.Set(service.Labels)) &&
					slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == m.Spec.Endpoints[0].Port })
			}) {
				t.Errorf("%s: the monitor finds no service", overlay)
			}
		}
	}
}

func (s *site) selected(namespace string, by labels.Selector) (pods []pod) {
	for _, p := range s.pods() {
		if p.namespace == namespace && by.Matches(labels.Set(p.template.Labels)) {
			pods = append(pods, p)
		}
	}
	return pods
}

// Out of a worker's pod there is a way to names, NATS and the gateway, and to nothing else.
func TestWorkersReachNatsAndTheGatewayOnly(t *testing.T) {
	for _, one := range containers(t) {
		t.Run(one.name, func(t *testing.T) {
			s, p, c := one.site, one.pod, one.Container
			if c.Name != "idleworker" {
				return
			}
			env := s.environment(t, p, c)
			var ports []string
			guarded := false
			for _, policy := range s.policies {
				selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
				if err != nil || policy.Namespace != p.namespace || !selector.Matches(labels.Set(p.template.Labels)) {
					continue
				}
				guarded = true
				for _, rule := range policy.Spec.Egress {
					if len(rule.To) == 0 || len(rule.Ports) == 0 {
						t.Error("one rule lets it reach everybody")
					}
					for _, port := range rule.Ports {
						ports = append(ports, port.Port.String())
					}
				}
			}
			if !guarded {
				t.Fatal("no network policy")
			}
			slices.Sort(ports)
			want := []string{"53", "5353", portOf(t, strings.Split(env["IDLE_NATS_URL"], ",")[0]), portOf(t, env["IDLE_GATEWAY_URL"])}
			slices.Sort(want)
			if got := slices.Compact(ports); !slices.Equal(got, want) {
				t.Errorf("ports %v are open, want %v", got, want)
			}
		})
	}
}

func portOf(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil || u.Port() == "" {
		t.Errorf("%q has no port: %v", raw, err)
	}
	return u.Port()
}

// What overlays do to labels must not reach the selectors of others' pods: then names and NATS could not be reached.
func TestWorkersReachNamesAndNats(t *testing.T) {
	for _, overlay := range overlays {
		for name, policy := range load(t, overlay).policies {
			for port, want := range map[string]map[string]string{"53": {"k8s-app": "kube-dns"}, "4222": {"app.kubernetes.io/name": "nats"}} {
				for _, rule := range policy.Spec.Egress {
					if to := rule.To[0]; to.IPBlock != nil && (to.PodSelector != nil || to.NamespaceSelector != nil) {
						t.Errorf("%s: %s has an address together with a selector, which Kubernetes refuses: %+v", overlay, name, to)
					}
					if rule.To[0].PodSelector == nil { // an address, of NodeLocal DNSCache
						continue
					}
					if rule.Ports[0].Port.String() == port && !maps.Equal(rule.To[0].PodSelector.MatchLabels, want) {
						t.Errorf("%s: %s lets port %s reach %v, want %v", overlay, name, port, rule.To[0].PodSelector.MatchLabels, want)
					}
				}
			}
		}
	}
}

// A worker that is ended before it has stored what is under way leaves it to the next one: allowed, but slower.
func TestAStopHasTheTimeItNeeds(t *testing.T) {
	for _, one := range containers(t) {
		t.Run(one.name, func(t *testing.T) {
			s, p, c := one.site, one.pod, one.Container
			if c.Name != "idleworker" {
				return
			}
			grace := 20 * time.Second
			if said := s.environment(t, p, c)["IDLE_SHUTDOWN_GRACE"]; said != "" {
				var err error
				if grace, err = time.ParseDuration(said); err != nil {
					t.Fatal(err)
				}
			}
			if has := p.template.Spec.TerminationGracePeriodSeconds; has == nil || time.Duration(*has)*time.Second <= grace {
				t.Errorf("a stop may take %v, and its pod has %v s", grace, has)
			}
		})
	}
}

func TestProductionHasThreeWorkersApart(t *testing.T) {
	worker := load(t, "production").deployments["idlepolicy/idleworker"]
	if worker == nil || *worker.Spec.Replicas != 3 {
		t.Fatalf("want three workers: %+v", worker)
	}
	if !slices.ContainsFunc(worker.Spec.Template.Spec.TopologySpreadConstraints, func(c corev1.TopologySpreadConstraint) bool {
		return c.TopologyKey == "kubernetes.io/hostname" && c.WhenUnsatisfiable == corev1.DoNotSchedule
	}) {
		t.Error("all three may be on one node")
	}
}
