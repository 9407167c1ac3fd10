package main

import (
	"github.com/jenner-heal/jenner/cluster"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/provider/alarm"
	"github.com/jenner-heal/jenner/provider/alertmanager"
	"github.com/jenner-heal/jenner/provider/command"
	"github.com/jenner-heal/jenner/provider/core"
	"github.com/jenner-heal/jenner/provider/dns"
	"github.com/jenner-heal/jenner/provider/file"
	"github.com/jenner-heal/jenner/provider/git"
	"github.com/jenner-heal/jenner/provider/haproxy"
	"github.com/jenner-heal/jenner/provider/host"
	"github.com/jenner-heal/jenner/provider/http"
	"github.com/jenner-heal/jenner/provider/kubernetes"
	"github.com/jenner-heal/jenner/provider/nats"
	"github.com/jenner-heal/jenner/provider/network"
	"github.com/jenner-heal/jenner/provider/nginx"
	"github.com/jenner-heal/jenner/provider/postgres"
	"github.com/jenner-heal/jenner/provider/process"
	"github.com/jenner-heal/jenner/provider/redis"
	"github.com/jenner-heal/jenner/provider/tcp"
)

// providers is the only list of providers.
var providers = catalog.Merge(
	core.Provider,
	alarm.Provider,
	alertmanager.Provider,
	command.Provider,
	dns.Provider,
	file.Provider,
	git.Provider,
	haproxy.Provider,
	host.Provider,
	http.Provider,
	kubernetes.Provider,
	network.Provider,
	nginx.Provider,
	postgres.Provider,
	process.Provider,
	redis.Provider,
	nats.Provider,
	tcp.Provider,
)

// discoverServices finds services by the labels of workloads.
var discoverServices cluster.Find = kubernetes.Discover
