package deploy_test

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const root = "../.."

// secrets are what an operator puts into .env, by a value that must not be in the files.
var secrets = []string{
	"CLICKHOUSE_PASSWORD", "CLICKHOUSE_ANALYST_PASSWORD", "CLICKHOUSE_CLUSTER_SECRET",
	"METERHOUSE_JWT_SECRET", "STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET", "GRAFANA_PASSWORD",
}

func load(t *testing.T, file string, env ...string) (*types.Project, error) {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, file)},
		cli.WithWorkingDirectory(root), cli.WithEnv(env), cli.WithProfiles([]string{"*"}),
		cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	return options.LoadProject(t.Context())
}

func project(t *testing.T, file string) *types.Project {
	t.Helper()
	var env []string
	for _, name := range secrets {
		env = append(env, name+"=secret-of-"+name)
	}
	p, err := load(t, file, env...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var composeFiles = []string{"docker-compose.yml", "docker-compose.cluster.yml"}

// TestComposeFiles holds both against the Compose schema and what we ask of every service.
// With an image's tag, a limit or a health check taken out of a copy it named the service.
func TestComposeFiles(t *testing.T) {
	for _, file := range composeFiles {
		for name, s := range project(t, file).Services {
			complain := func(what string) { t.Errorf("%s: %s: %s", file, name, what) }
			once := s.Restart == "no"
			if !regexp.MustCompile(`^[a-z/-]+:(v?\d+\.\d+[\w.-]*|dev)$`).MatchString(s.Image) {
				complain("image " + s.Image + " is not pinned to a version")
			}
			if s.Deploy == nil || s.Deploy.Resources.Limits == nil ||
				s.Deploy.Resources.Limits.MemoryBytes == 0 ||
				s.Deploy.Resources.Limits.NanoCPUs == 0 {
				complain("no limits of memory and processors")
			}
			if s.HealthCheck == nil || s.HealthCheck.Disable != once {
				complain("no health check, or one of what runs once")
			}
			if !once && s.Restart != "unless-stopped" {
				complain("is not started again")
			}
			if s.Privileged || len(s.CapAdd) > 0 || s.NetworkMode == "host" || s.Pid == "host" {
				complain("has more rights than it needs")
			}
			if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
				complain("may gain privileges")
			}
			for _, port := range s.Ports {
				if port.HostIP != "127.0.0.1" {
					complain("is open to the network by default")
				}
			}
			for _, v := range s.Volumes {
				if v.Type != types.VolumeTypeBind {
					continue
				}
				if _, err := os.Stat(v.Source); err != nil || !v.ReadOnly {
					complain("mounts " + v.Source + ", which is not there or can be written")
				}
			}
		}
	}
}

// TestComposeKeepsNoSecret: a password is asked for, not made up and not written down.
func TestComposeKeepsNoSecret(t *testing.T) {
	for _, file := range composeFiles {
		if _, err := load(t, file); err == nil || !strings.Contains(err.Error(), "set it in .env") {
			t.Errorf("%s without a password: %v", file, err)
		}
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		clear := regexp.MustCompile(`(?mi)^\s*\w*(PASSWORD|SECRET|API_KEY)\w*: *[^$ \n].*$`)
		if found := clear.FindString(string(text)); found != "" {
			t.Errorf("%s: %s", file, found)
		}
	}
}

// TestNodesWaitForTheirSchema, and are given the time that stopping takes.
func TestNodesWaitForTheirSchema(t *testing.T) {
	nodes := 0
	for _, file := range composeFiles {
		for name, s := range project(t, file).Services {
			if !strings.HasPrefix(name, "meterhouse") {
				continue
			}
			nodes++
			if s.DependsOn["migrate"].Condition != types.ServiceConditionCompletedSuccessfully {
				t.Errorf("%s: %s does not wait for migrate", file, name)
			}
			if s.StopGracePeriod == nil || int64(*s.StopGracePeriod) < 12e9 {
				t.Errorf("%s: %s is killed before its ten seconds are over", file, name)
			}
			if !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") {
				t.Errorf("%s: %s may write its root, or has capabilities", file, name)
			}
		}
	}
	if nodes != 3 {
		t.Errorf("%d nodes, want 3", nodes)
	}
}

// TestClusterIsTheOneThatIsComposed: the servers and Keepers that the files name are services, the
// cluster has the name that the nodes are told, and its shards are two of two.
func TestClusterIsTheOneThatIsComposed(t *testing.T) {
	p := project(t, "docker-compose.cluster.yml")
	var config struct {
		Servers struct {
			Clusters []struct {
				XMLName xml.Name
				Shards  []struct {
					Internal bool     `xml:"internal_replication"`
					Hosts    []string `xml:"replica>host"`
				} `xml:"shard"`
			} `xml:",any"`
		} `xml:"remote_servers"`
		Keepers []string `xml:"zookeeper>node>host"`
	}
	text, err := os.ReadFile("clickhouse/cluster.xml")
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	if len(config.Servers.Clusters) != 1 || len(config.Keepers) != 3 {
		t.Fatalf("clusters and Keepers: %+v", config)
	}
	cluster := config.Servers.Clusters[0]
	for name, s := range p.Services {
		told := s.Environment["METERHOUSE_CLUSTER"]
		if told != nil && *told != cluster.XMLName.Local {
			t.Errorf("%s is told the cluster %s, it is %s", name, *told, cluster.XMLName.Local)
		}
	}
	hosts := slices.Clone(config.Keepers)
	for i, shard := range cluster.Shards {
		if !shard.Internal || len(shard.Hosts) != 2 {
			t.Errorf("shard %d: %+v", i+1, shard)
		}
		for _, host := range shard.Hosts {
			s := p.Services[host]
			if want := []string{"1", "2"}[i]; s.Environment["CLICKHOUSE_SHARD"] == nil ||
				*s.Environment["CLICKHOUSE_SHARD"] != want ||
				*s.Environment["CLICKHOUSE_REPLICA"] != host {
				t.Errorf("%s does not know that it is in shard %s", host, want)
			}
		}
		hosts = append(hosts, shard.Hosts...)
	}
	for _, host := range hosts {
		if _, ok := p.Services[host]; !ok {
			t.Errorf("%s is no service", host)
		}
	}
}

// TestConfigurationsAreWellFormed, and what they take from the environment is given to the server.
func TestConfigurationsAreWellFormed(t *testing.T) {
	files, err := filepath.Glob("clickhouse/*.xml")
	if err != nil || len(files) == 0 {
		t.Fatal("no configuration: ", err)
	}
	given := map[string]bool{}
	for _, file := range composeFiles {
		for _, s := range project(t, file).Services {
			for name := range s.Environment {
				given[name] = true
			}
		}
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		decoder := xml.NewDecoder(strings.NewReader(string(text)))
		for err == nil {
			_, err = decoder.Token()
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", file, err)
		}
		for _, match := range regexp.MustCompile(`from_env="(\w+)"`).FindAllStringSubmatch(
			string(text), -1) {
			if !given[match[1]] {
				t.Errorf("%s: no service is given %s", file, match[1])
			}
		}
	}
}

// TestSettingsExist: a variable that a file sets is one that the program reads, and the unit's
// flags are its own.
func TestSettingsExist(t *testing.T) {
	var code strings.Builder
	sources, err := filepath.Glob(filepath.Join(root, "cmd/meterhouse/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(text)
	}
	set := regexp.MustCompile(`\b(METERHOUSE_[A-Z_]+|STRIPE_[A-Z_]+|LIBCHDB_PATH)\s*[:=]`)
	own := []string{"METERHOUSE_VERSION", "METERHOUSE_PORT"} // Compose's
	for _, file := range []string{
		"docker-compose.yml", "docker-compose.cluster.yml", "Dockerfile",
		"docs/deploy/systemd/environment.example",
	} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range set.FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(code.String(), `"`+match[1]+`"`) && !slices.Contains(own, match[1]) {
				t.Errorf("%s sets %s, which nobody reads", file, match[1])
			}
		}
	}
	unit, err := os.ReadFile("systemd/meterhouse.service")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^ExecStart=(.*)$`).FindSubmatch(unit)
	if line == nil {
		t.Fatal("the unit starts nothing")
	}
	for _, word := range strings.Fields(string(line[1])) {
		flag, is := strings.CutPrefix(word, "--")
		if is && !strings.Contains(code.String(), `"`+flag+`"`) {
			t.Errorf("the unit gives --%s, which is no flag", flag)
		}
	}
	for _, want := range []string{
		"DynamicUser=yes", "StateDirectory=meterhouse", "KillSignal=SIGTERM", "TimeoutStopSec=20",
		"NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=\n",
	} {
		if !strings.Contains(string(unit), want) {
			t.Errorf("the unit lacks %s", want)
		}
	}
}
