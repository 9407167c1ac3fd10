package main

import (
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/provider/command"
	"github.com/jenner-heal/jenner/provider/core"
	"github.com/jenner-heal/jenner/provider/file"
	"github.com/jenner-heal/jenner/provider/http"
	"github.com/jenner-heal/jenner/provider/process"
	"github.com/jenner-heal/jenner/provider/tcp"
)

// providers is the only list of providers.
var providers = catalog.Merge(
	core.Provider,
	command.Provider,
	file.Provider,
	http.Provider,
	process.Provider,
	tcp.Provider,
)
