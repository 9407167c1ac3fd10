package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/examples/shop"
)

// shopHost is the loopback address that the shop's files name. Each demo gets one of its own in its place, so that
// several demos, and whatever else listens on these ports, do not meet.
const shopHost = "127.0.0.1"

// makeWorld makes a folder with the shop's files and with this program under the names that they start.
func makeWorld() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "jenner-demo-"); err != nil {
		return "", fmt.Errorf("cannot make a folder for the demo: %w", err)
	}
	host, err := ownHost()
	if err != nil {
		return dir, err
	}
	err = fs.WalkDir(shop.Files, "jenner", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(shop.Files, path)
		if err != nil {
			return err
		}
		text := strings.ReplaceAll(string(raw), shopHost, host)
		return os.WriteFile(filepath.Join(dir, entry.Name()), []byte(text), 0o600)
	})
	self, exeErr := os.Executable()
	err = errors.Join(err, exeErr, os.Symlink(self, filepath.Join(dir, "shop")), os.Symlink(self, filepath.Join(dir, "jenner")),
		os.Mkdir(filepath.Join(dir, "run"), 0o700), os.Mkdir(filepath.Join(dir, "data"), 0o700),
		os.WriteFile(filepath.Join(dir, "flags.json"), []byte("{\"partner_cached\": false}\n"), 0o600))
	if err != nil {
		return dir, fmt.Errorf("cannot prepare the demo's folder: %w", err)
	}
	return dir, nil
}

// shopPorts are the ports that the shop's files name.
var shopPorts = []string{"18080", "18081", "18082", "18083", "18084", "18085", "18086", "18095", "18096"}

// hostsGiven counts the addresses that this process took.
var hostsGiven atomic.Int64

// ownHost is a loopback address on which the shop's ports are free, another one at each call.
func ownHost() (string, error) {
	for range 100 {
		n := os.Getpid() + int(hostsGiven.Add(1))<<10
		host := fmt.Sprintf("127.%d.%d.%d", 64+n>>16&63, n>>8&255, 1+n&253)
		if free(host) {
			return host, nil
		}
	}
	return "", fmt.Errorf("on none of 100 loopback addresses are the ports %v free; does something listen on 0.0.0.0 there?", shopPorts)
}

func free(host string) bool {
	for _, port := range shopPorts {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
		if err != nil {
			return false
		}
		listener.Close()
	}
	return true
}

// startWorld starts the shop's processes, those that others depend on first.
func startWorld(ctx context.Context, a *app.App, progress func(string)) error {
	for _, service := range byDependency(a.Docs().Services) {
		for _, target := range service.Targets {
			if target.Kind != "process" {
				continue
			}
			progress("starting " + target.Name)
			name, action, err := a.Action("start", target.Kind, nil)
			if err != nil {
				return err
			}
			order := act.Order{Name: name, Action: action, By: "demo", Call: act.Call{Key: "demo/start/" + target.Name,
				Service: service, Target: target}}
			if _, err := a.Executor().Do(ctx, order); err != nil {
				return fmt.Errorf("cannot start the shop: %w", err)
			}
		}
	}
	return nil
}

// stopWorld ends the processes that the files in a folder describe, the last started first.
func stopWorld(ctx context.Context, dir string) error {
	docs, err := app.Read([]string{dir}, providers, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	services := byDependency(docs.Services)
	slices.Reverse(services)
	for _, service := range services {
		for _, target := range service.Targets {
			if target.Kind == "process" {
				err = errors.Join(err, stopTarget(ctx, service, target))
			}
		}
	}
	return err
}

func stopTarget(ctx context.Context, service jenner.Service, target jenner.Target) error {
	entry, err := providers.Action("stop", target.Kind)
	if err != nil {
		return err
	}
	action := entry.New()
	call := act.Call{Key: "demo/stop/" + target.Name, Service: service, Target: target}
	if checker, ok := action.(act.Checker); ok && checker.Check(ctx, call) != nil {
		return nil // it does not run
	}
	_, err = action.Do(ctx, call)
	return err
}

// byDependency puts those first that others depend on; what nothing depends on keeps its order.
func byDependency(services []jenner.Service) []jenner.Service {
	var ordered []jenner.Service
	seen := map[string]bool{}
	var add func(name string)
	add = func(name string) {
		for _, service := range services {
			if service.Name != name || seen[name] {
				continue
			}
			seen[name] = true
			for _, dependency := range service.DependsOn {
				add(dependency)
			}
			ordered = append(ordered, service)
		}
	}
	for _, service := range services {
		add(service.Name)
	}
	return ordered
}
