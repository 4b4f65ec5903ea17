package deploy_test

import (
	_ "github.com/compose-spec/compose-go/v2/loader"
	_ "github.com/prometheus/prometheus/model/rulefmt"
	_ "github.com/prometheus/prometheus/promql"
	_ "github.com/prometheus/prometheus/promql/parser"
	_ "go.yaml.in/yaml/v3"
)
