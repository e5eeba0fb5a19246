package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// order is what a test asks of one of its processes; not all of it means something to all of them.
type order struct {
	Do     string
	N      int
	Time   time.Duration
	Status int
	Text   string
	Share  float64 // of the calls; 0: all
	Fault  int     // of gatewaytest
	Odd    bool    // only for agents with an odd number
}

// reply is what it answers. The first one comes unasked and says that it is ready.
type reply struct {
	Err   string
	Text  string
	Texts []string
	Calls []seen
	Usage usage
	Count int
}

// usage is what a process has cost so far.
type usage struct {
	CPU         time.Duration
	RSS, Peak   int64 // bytes
	Mallocs     uint64
	MallocBytes uint64
}

// obeying is a process that does what it is asked.
type obeying struct {
	ready string // what a test has to know of it
	verbs map[string]func(order) (reply, error)
	end   func() // nil: nothing is to be ended
}

var roles = map[string]func() (obeying, error){
	"nats": playNATS, "gateway": playGateway, "worker": playWorker, "by hand": playByHand,
}

// play answers orders until the test closes standard input, or dies, or the process is told to stop.
func play(role string) {
	stopProfile := profile(role)
	if os.Getenv("IDLEBENCH_PROFILE") != "" {
		runtime.MemProfileRate = 16 << 10
	}
	p, err := roles[role]()
	if err != nil {
		fmt.Fprintln(os.Stderr, role+":", err)
		os.Exit(1)
	}
	asked := make(chan order)
	go func() {
		defer close(asked)
		for in := json.NewDecoder(os.Stdin); ; {
			var o order
			if in.Decode(&o) != nil {
				return
			}
			asked <- o
		}
	}()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	out := json.NewEncoder(os.Stdout)
	_ = out.Encode(reply{Text: p.ready}) // nobody reads it where the test has died
	for {
		select {
		case o, ok := <-asked:
			if ok {
				_ = out.Encode(p.answer(o))
				continue
			}
		case <-stop:
		}
		stopProfile()
		if p.end != nil {
			p.end()
		}
		return
	}
}

// profile writes what the process spends its time on, and what it holds at its end, into the folder that the environment names.
func profile(role string) (stop func()) {
	dir := os.Getenv("IDLEBENCH_PROFILE")
	if dir == "" {
		return func() {}
	}
	f, err := os.CreateTemp(dir, strings.ReplaceAll(role, " ", "-")+"-*.pprof")
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, role+":", err)
		return func() {}
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
		if f, err := os.Create(strings.TrimSuffix(f.Name(), ".pprof") + "-heap.pprof"); err == nil {
			runtime.GC()
			_ = pprof.WriteHeapProfile(f)
			_ = f.Close()
		}
	}
}

func (p *obeying) answer(o order) reply {
	if o.Do == "usage" {
		return reply{Usage: measureSelf()}
	}
	do, ok := p.verbs[o.Do]
	if !ok {
		return reply{Err: "no such order: " + o.Do}
	}
	r, err := do(o)
	if err != nil {
		r.Err = err.Error()
	}
	return r
}

// measureSelf reads what the system says of this process, where it is Linux also how much memory it holds.
func measureSelf() usage {
	var r syscall.Rusage
	var m runtime.MemStats
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r) // fails only for a wrong argument
	runtime.ReadMemStats(&m)
	u := usage{
		CPU:     time.Duration(r.Utime.Nano() + r.Stime.Nano()),
		Mallocs: m.Mallocs, MallocBytes: m.TotalAlloc,
	}
	u.RSS, u.Peak = memoryOf("self")
	return u
}

// memoryOf reads how much memory a process holds and held at most, where the system says.
func memoryOf(pid string) (rss, peak int64) {
	status, _ := os.ReadFile("/proc/" + pid + "/status") // elsewhere there is none
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch {
		case err != nil:
		case name == "VmRSS":
			rss = kilobytes << 10
		case name == "VmHWM":
			peak = kilobytes << 10
		}
	}
	return rss, peak
}

var errNotReady = errors.New("not ready in time")
