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
	host := ownHost()
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

// ownHost is a loopback address that is this process's own as far as the demo's ports go.
func ownHost() string {
	for pid := os.Getpid(); ; pid++ {
		host := fmt.Sprintf("127.%d.%d.%d", 64+pid>>16&63, pid>>8&255, 1+pid&253)
		if listener, err := net.Listen("tcp", host+":18080"); err == nil {
			listener.Close()
			return host
		}
	}
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
