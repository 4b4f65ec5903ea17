package schema

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Cluster is a ClickHouse cluster that one schema is spread over: its name in the servers'
// remote_servers, and the database, which has the same name on every server. The zero Cluster is
// a single server.
type Cluster struct{ Name, Database string }

// sharded are the tables that are spread by organization: the ledger and everything that is summed
// from it. Each is a <name>_local on the servers of a shard and a Distributed table <name> over
// them. Every other table is whole on every server.
var sharded = map[string]string{
	"usage_events":        "cityHash64(organization_id)",
	"dimensions":          "cityHash64(organization_id)",
	"agent_usage_15m":     "cityHash64(organization_id)",
	"billable_hourly":     "cityHash64(organization_id)",
	"consumption_daily":   "cityHash64(organization_id)",
	"consumption_monthly": "cityHash64(organization_id)",
	"event_keys":          "cityHash64(organization_id)",
	// A place has no organization: it lies where its event does, and only the view writes it. Without
	// a sharding key ClickHouse refuses any other insert.
	"event_places": "",
}

// Sharded reports whether a table is spread by organization on a cluster.
func Sharded(table string) bool { _, is := sharded[table]; return is }

// ShardedTables returns the names of the tables that are spread, in order.
func ShardedTables() []string { return slices.Sorted(maps.Keys(sharded)) }

// LocalTable returns the name of the table that has a shard's rows on a cluster, and the name
// itself where every server has the whole table.
func LocalTable(table string) string {
	if Sharded(table) {
		return table + "_local"
	}
	return table
}

// What a replica is called in Keeper. A table that every server has whole is one table of all
// shards, so its replicas are told apart by shard as well.
const (
	shardPath    = "/clickhouse/tables/{shard}/{database}/"
	shardReplica = "{replica}"
	wholePath    = "/clickhouse/tables/all/{database}/"
	wholeReplica = "{shard}-{replica}"
)

// windowSeconds is for how long a token is remembered at least, unless newer ones push it out.
// ClickHouse's own default is shorter than an outage may be.
const windowSeconds = 7 * 24 * 3600

var clusterNames = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// Check returns an error unless both names can be written into statements.
func (c Cluster) Check() error {
	if !clusterNames.MatchString(c.Name) {
		return fmt.Errorf("cluster %q: must be letters, digits, _ and -", c.Name)
	}
	if !clusterNames.MatchString(c.Database) {
		return fmt.Errorf("database %q: on a cluster it must be letters, digits, _ and -",
			c.Database)
	}
	return nil
}

// ClusterForm returns the statements that do on a cluster what one of ours does on a server: a
// migration, or one that alters or merges a table. Each may run twice if it may. A statement of a
// kind that none of ours has yet is an error that says so.
func ClusterForm(statement string, c Cluster) ([]string, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	s := clusterStatement{cluster: c, tokens: tokenize(statement)}
	var forms []string
	var err error
	switch {
	case s.starts("CREATE", "TABLE"):
		forms, err = s.createTable()
	case s.starts("CREATE", "MATERIALIZED", "VIEW"):
		forms, err = s.createView(6)
	case s.starts("CREATE", "VIEW"):
		forms, err = s.createView(5)
	case s.starts("CREATE", "OR", "REPLACE", "VIEW"):
		forms, err = s.replaceView()
	case s.starts("ALTER", "TABLE"):
		forms, err = s.alter()
	case s.starts("OPTIMIZE", "TABLE"):
		forms, err = s.optimize()
	default:
		err = errors.New("no statement of this kind has a form for a cluster")
	}
	if err != nil {
		first, _, _ := strings.Cut(s.String(), "\n")
		return nil, fmt.Errorf("cluster: %w: %s", err, first)
	}
	return forms, nil
}

type clusterStatement struct {
	cluster Cluster
	tokens  []sqlToken
}

func (s *clusterStatement) String() string {
	var b strings.Builder
	for i, t := range s.tokens {
		if i > 0 {
			b.WriteString(t.space)
		}
		b.WriteString(t.text)
	}
	return b.String()
}

// is reports whether the token at i is a word, whatever its case.
func (s *clusterStatement) is(i int, word string) bool {
	return i >= 0 && i < len(s.tokens) && strings.EqualFold(s.tokens[i].text, word)
}

func (s *clusterStatement) starts(words ...string) bool { return s.are(0, words...) }

func (s *clusterStatement) are(from int, words ...string) bool {
	for i, word := range words {
		if !s.is(from+i, word) {
			return false
		}
	}
	return true
}

// add appends text to the token at i.
func (s *clusterStatement) add(i int, text string) { s.tokens[i].text += text }

func (s *clusterStatement) onCluster() string { return " ON CLUSTER '" + s.cluster.Name + "'" }

// onTop returns the index of the first token that is a word outside all parentheses, or -1.
func (s *clusterStatement) onTop(word string) int {
	depth := 0
	for i, t := range s.tokens {
		switch {
		case t.text == "(":
			depth++
		case t.text == ")":
			depth--
		case depth == 0 && s.is(i, word):
			return i
		}
	}
	return -1
}

func (s *clusterStatement) createTable() ([]string, error) {
	const name = 5 // CREATE TABLE IF NOT EXISTS name
	if !s.are(2, "IF", "NOT", "EXISTS") || len(s.tokens) <= name {
		return nil, errors.New("a table is made IF NOT EXISTS, so that it may be made again")
	}
	table := s.tokens[name].text
	s.tokens[name].text = LocalTable(table) + s.onCluster()
	if err := s.replicate(table); err != nil {
		return nil, err
	}
	s.replaceSettings()
	forms := []string{s.String()}
	key, spread := sharded[table]
	if !spread {
		return forms, nil
	}
	if key != "" {
		key = ", " + key
	}
	return append(forms, fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s%s AS %s\n"+
		"ENGINE = Distributed('%s', '%s', '%[3]s'%[6]s)",
		table, s.onCluster(), LocalTable(table), s.cluster.Name, s.cluster.Database, key)), nil
}

// replicate makes a MergeTree of any kind its Replicated form.
func (s *clusterStatement) replicate(table string) error {
	engine := s.onTop("ENGINE") + 2 // ENGINE = name
	if engine < 2 || engine >= len(s.tokens) || !s.is(engine-1, "=") {
		return errors.New("a table without an engine")
	}
	kind := s.tokens[engine].text
	if !strings.HasSuffix(kind, "MergeTree") || strings.HasPrefix(kind, "Replicated") {
		return fmt.Errorf("a table of engine %s", kind)
	}
	if s.is(engine+1, "(") && s.is(engine+2, ")") {
		s.tokens = slices.Delete(s.tokens, engine+1, engine+3)
	}
	path, replica := wholePath, wholeReplica
	if Sharded(table) {
		path, replica = shardPath, shardReplica
	}
	s.tokens[engine].text = "Replicated" + kind
	args := fmt.Sprintf("('%s%s', '%s'", path, table, replica)
	if !s.is(engine+1, "(") {
		s.add(engine, args+")")
		return nil
	}
	s.tokens[engine+1].text = args + ", "
	return nil
}

// replaceSettings states what replicated tables call otherwise, and that what a replica fetches
// from another is on disk like what is inserted.
func (s *clusterStatement) replaceSettings() {
	beside := map[string]string{
		"non_replicated_deduplication_window": fmt.Sprintf(
			"replicated_deduplication_window_seconds = %d", windowSeconds),
		"fsync_after_insert": "min_compressed_bytes_to_fsync_after_fetch = 1",
	}
	for i, t := range s.tokens {
		more, ok := beside[t.text]
		if !ok || !s.is(i+1, "=") || i+2 >= len(s.tokens) {
			continue
		}
		s.tokens[i].text = strings.TrimPrefix(t.text, "non_")
		s.add(i+2, ","+t.space+more)
	}
}

// createView makes a view whose name is the token at name, behind IF NOT EXISTS. A materialized one
// is fed from a shard's rows and feeds them; a plain one reads the whole.
func (s *clusterStatement) createView(name int) ([]string, error) {
	if !s.are(name-3, "IF", "NOT", "EXISTS") || len(s.tokens) <= name {
		return nil, errors.New("a view is made IF NOT EXISTS, so that it may be made again")
	}
	s.add(name, s.onCluster())
	if s.is(1, "MATERIALIZED") {
		if err := s.readLocal(); err != nil {
			return nil, err
		}
	}
	return []string{s.String()}, nil
}

func (s *clusterStatement) replaceView() ([]string, error) {
	const name = 4 // CREATE OR REPLACE VIEW name
	if len(s.tokens) <= name {
		return nil, errors.New("a view without a name")
	}
	s.add(name, s.onCluster())
	return []string{s.String()}, nil
}

// readLocal names a shard's own table wherever a spread one is named.
func (s *clusterStatement) readLocal() error {
	for i, t := range s.tokens {
		if !Sharded(t.text) {
			continue
		}
		if s.is(i+1, ".") {
			return fmt.Errorf("a column that is named by its table, %s", t.text)
		}
		before := i - 1
		if slices.ContainsFunc([]string{"FROM", "JOIN", "TO"},
			func(word string) bool { return s.is(before, word) }) {
			s.tokens[i].text = LocalTable(t.text)
		}
	}
	return nil
}

// alter changes a table where its rows are. What changes columns changes the Distributed table over
// a spread one as well. A whole table tells its replicas itself, but for its settings.
func (s *clusterStatement) alter() ([]string, error) {
	const name = 2 // ALTER TABLE name
	if len(s.tokens) <= name+1 {
		return nil, errors.New("an ALTER of nothing")
	}
	columns, others := s.alterations(name + 1)
	if columns > 0 && others > 0 {
		return nil, errors.New("an ALTER of columns and of something else: make it two")
	}
	s.replaceSettings()
	table := s.tokens[name].text
	var over []string
	if Sharded(table) && columns > 0 {
		s.tokens[name].text = table + s.onCluster()
		over = []string{s.String()}
	}
	s.tokens[name].text = LocalTable(table)
	if Sharded(table) || s.are(name+1, "MODIFY", "SETTING") {
		s.add(name, s.onCluster())
	}
	if err := s.readLocal(); err != nil {
		return nil, err
	}
	return append([]string{s.String()}, over...), nil
}

// alterations counts what an ALTER does from a token on: changes of columns, and anything else.
func (s *clusterStatement) alterations(from int) (columns, others int) {
	depth, begins := 0, true
	for i := from; i < len(s.tokens); i++ {
		switch s.tokens[i].text {
		case "(":
			depth++
		case ")":
			depth--
		}
		if begins && s.is(i+1, "COLUMN") {
			columns++
		} else if i == from || begins && (s.is(i, "ADD") || s.is(i, "DROP") || s.is(i, "MODIFY")) {
			others++ // what else follows a comma is another setting or assignment of it
		}
		begins = depth == 0 && s.is(i, ",")
	}
	return columns, others
}

func (s *clusterStatement) optimize() ([]string, error) {
	const name = 2 // OPTIMIZE TABLE name
	if len(s.tokens) <= name {
		return nil, errors.New("an OPTIMIZE of nothing")
	}
	if table := s.tokens[name].text; Sharded(table) {
		s.tokens[name].text = LocalTable(table) + s.onCluster()
	}
	return []string{s.String()}, nil
}
