package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"time"
)

// An agent is one of the agents that usage is sent for, with the secret that writes it.
type agent struct{ id, secret string }

// A target is the server under test and the credentials to write to it and to read from it.
type target struct {
	url         string
	allowRemote bool
	agentFlags  stringList
	agentsFile  string
	token       string
	memoriToken string
	tenant      string
	timeout     time.Duration

	agents []agent // set by resolve
	base   string  // scheme://host[:port], set by resolve
}

// stringList is a flag that may be given several times.
type stringList []string

func (l *stringList) String() string     { return strings.Join(*l, " ") }
func (l *stringList) Set(v string) error { *l = append(*l, v); return nil }

func (t *target) register(set *flag.FlagSet) {
	set.StringVar(&t.url, "url", "http://127.0.0.1:8080", "the server's `origin`")
	set.BoolVar(&t.allowRemote, "allow-remote", false,
		"let --url name a host that is not loopback")
	set.Var(&t.agentFlags, "agent", "an agent and its secret, `ID=SECRET`; may be repeated")
	set.StringVar(&t.agentsFile, "agents", "",
		"a `file` of agents, one \"agent_id,agent_secret\" a line")
	// A default taken from the environment keeps tokens out of the process list; it is applied
	// after parsing, so that help does not print it.
	set.StringVar(&t.token, "token", "",
		"Bearer `token` for reading over DigitalOcean's route (or LOADTEST_TOKEN)")
	set.StringVar(&t.memoriToken, "memori-token", "",
		"login `token` for reading over Memori's routes (or LOADTEST_MEMORI_TOKEN)")
	set.StringVar(&t.tenant, "tenant", "",
		"tenant `name` whose consumption is compared; needs --memori-token")
	set.DurationVar(&t.timeout, "timeout", 30*time.Second, "limit of one HTTP request")
}

// resolve checks the flags and reads the agents. Its errors are usage errors.
func (t *target) resolve(con console) error {
	if err := t.resolveReads(con); err != nil {
		return err
	}
	var err error
	t.agents, err = t.readAgents()
	return err
}

// resolveReads checks the flags that reading needs. Its errors are usage errors.
func (t *target) resolveReads(con console) error {
	if t.token == "" {
		t.token = con.getenv("LOADTEST_TOKEN")
	}
	if t.memoriToken == "" {
		t.memoriToken = con.getenv("LOADTEST_MEMORI_TOKEN")
	}
	if t.token == "" {
		return usagef("--token is needed: sums are read back with it")
	}
	if t.tenant != "" && t.memoriToken == "" {
		return usagef("--tenant needs --memori-token")
	}
	if t.timeout <= 0 {
		return usagef("--timeout must be above 0")
	}
	base, err := origin(t.url, t.allowRemote)
	if err != nil {
		return err
	}
	t.base = base
	return nil
}

func (t *target) readAgents() ([]agent, error) {
	var agents []agent
	for _, given := range t.agentFlags {
		id, secret, ok := strings.Cut(given, "=")
		if !ok || id == "" || secret == "" {
			return nil, usagef("--agent: want ID=SECRET")
		}
		agents = append(agents, agent{id: id, secret: secret})
	}
	if t.agentsFile != "" {
		file, err := os.Open(t.agentsFile)
		if err != nil {
			return nil, usagef("--agents: %v", err)
		}
		defer file.Close()
		more, err := decodeAgents(t.agentsFile, file)
		if err != nil {
			return nil, usagef("--agents: %v", err)
		}
		agents = append(agents, more...)
	}
	if len(agents) == 0 {
		return nil, usagef("no agents: give --agent or --agents")
	}
	seen := make(map[string]bool, len(agents))
	for _, a := range agents {
		// A doubled agent would be expected to hold each half of its own sum.
		if seen[a.id] {
			return nil, usagef("agent %s is given twice", a.id)
		}
		seen[a.id] = true
	}
	return agents, nil
}

// decodeAgents reads "agent_id,agent_secret" lines. Empty lines, lines that start with # and
// the header "agent_id,agent_secret" are skipped; any other line is an agent or an error that
// names the line, without the secret on it.
func decodeAgents(name string, r io.Reader) ([]agent, error) {
	var agents []agent
	var problems []error
	scanner := bufio.NewScanner(r)
	for line := 1; scanner.Scan(); line++ {
		text := strings.TrimSpace(strings.TrimPrefix(scanner.Text(), "\ufeff"))
		if text == "" || strings.HasPrefix(text, "#") || text == "agent_id,agent_secret" {
			continue
		}
		id, secret, ok := strings.Cut(text, ",")
		id, secret = strings.TrimSpace(id), strings.TrimSpace(secret)
		if !ok || id == "" || secret == "" {
			err := fmt.Errorf("%s:%d: want agent_id,agent_secret", name, line)
			problems = append(problems, err)
			continue
		}
		agents = append(agents, agent{id: id, secret: secret})
	}
	if err := scanner.Err(); err != nil {
		problems = append(problems, fmt.Errorf("%s: %w", name, err))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return agents, nil
}

// origin returns scheme://host[:port] of an address. A host that is not loopback is refused
// unless remote is allowed: load belongs on one's own machine.
func origin(address string, remote bool) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", usagef("address: %v", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		return "", usagef("address %q: want http://HOST:PORT", u.Redacted())
	}
	// The APIs live at the root of an origin.
	if (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" {
		return "", usagef("address %q: want an origin, without a path", address)
	}
	if !remote && !loopback(u.Hostname()) {
		return "", usagef("%s is not a loopback address; --allow-remote permits it", u.Hostname())
	}
	return u.Scheme + "://" + u.Host, nil
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
