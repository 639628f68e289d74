//go:build tools

// Package peers names the programs of Jaeger's published module that send to the server under test.
package peers

import (
	_ "github.com/jaegertracing/jaeger/cmd/tracegen"
	_ "github.com/jaegertracing/jaeger/examples/hotrod"
)
