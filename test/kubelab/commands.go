package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/jenner-heal/jenner/test/kubelab/build"
	"github.com/jenner-heal/jenner/test/kubelab/image"
	"github.com/jenner-heal/jenner/test/kubelab/lab"
)

// settings are the flags that several commands have.
type settings struct {
	dir   string
	nodes int
}

func rootCommand() *cobra.Command {
	var s settings
	root := &cobra.Command{Use: "kubelab", Short: "Run a real Kubernetes on this host, for tests", SilenceUsage: true, SilenceErrors: true}
	root.PersistentFlags().StringVar(&s.dir, "dir", "", "folder of the lab's state and logs")
	up := &cobra.Command{Use: "up", Short: "Start a lab that stays until `kubelab down`", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := s.up(cmd.Context(), cmd.OutOrStdout())
			if err != nil {
				return err
			}
			return tell(cmd.OutOrStdout(), l)
		}}
	serve := &cobra.Command{Use: "serve", Short: "Start a lab that stays until Ctrl-C", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.serve(cmd.Context(), cmd.OutOrStdout()) }}
	run := &cobra.Command{Use: "run -- COMMAND…", Short: "Start a lab, run a command in it, stop it, and return the command's exit code",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return s.run(cmd.Context(), args, os.Stderr) }}
	for _, starts := range []*cobra.Command{up, serve, run} {
		starts.Flags().IntVar(&s.nodes, "nodes", 2, "number of nodes")
	}
	root.AddCommand(up, serve, run, s.downCommand(), s.statusCommand(), s.nodeCommand(), s.serviceCommand(), s.imageCommand(), buildCommand())
	return root
}

func buildCommand() *cobra.Command {
	return &cobra.Command{Use: "build", Short: "Build the programs of Kubernetes into the cache, and print their folder", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			source, err := build.Source()
			if err != nil {
				return err
			}
			bin, err := build.Kubernetes(cmd.Context(), source, cmd.ErrOrStderr())
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), bin)
			}
			return err
		}}
}

func (s *settings) downCommand() *cobra.Command {
	return &cobra.Command{Use: "down", Short: "Stop a lab and remove all but its logs", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := s.open()
			if errors.Is(err, lab.ErrNone) {
				return nil // stopping twice is as stopping once
			} else if err != nil {
				return err
			}
			return down(l)
		}}
}

func (s *settings) statusCommand() *cobra.Command {
	return &cobra.Command{Use: "status", Short: "Show the machines of a lab, and where it is reached", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := s.open()
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "API      %s\nkubectl  %s --kubeconfig %s\nlogs     %s\n", l.Plan.Server(), filepath.Join(l.Programs, "kubectl"), l.Kubeconfig(), l.Logs())
			for _, name := range l.Order {
				state := "stopped"
				if l.Running(name) {
					state = fmt.Sprintf("process %d", l.Machines[name].PID)
				}
				fmt.Fprintf(out, "%-14s %s\n", name, state)
			}
			return nil
		}}
}

func (s *settings) nodeCommand() *cobra.Command {
	node := &cobra.Command{Use: "node", Short: "Stop, start, cut off and mend nodes"}
	for _, one := range []struct {
		name, short string
		do          func(context.Context, *lab.Lab, string) error
	}{
		{"stop", "Stop a node as if its plug was pulled", func(ctx context.Context, l *lab.Lab, name string) error { return l.StopNode(ctx, name) }},
		{"start", "Start a node that was stopped", func(_ context.Context, l *lab.Lab, name string) error { return l.StartNode(name) }},
		{"cut", "Cut a node off the network; it goes on working", func(_ context.Context, l *lab.Lab, name string) error { return l.Cut(name, true) }},
		{"mend", "Let a node that was cut off into the network again", func(_ context.Context, l *lab.Lab, name string) error { return l.Cut(name, false) }},
	} {
		node.AddCommand(&cobra.Command{Use: one.name + " NAME", Short: one.short, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			l, err := s.open()
			if err != nil {
				return err
			}
			return one.do(cmd.Context(), l, args[0])
		}})
	}
	return node
}

func (s *settings) serviceCommand() *cobra.Command {
	service := &cobra.Command{Use: "service", Short: "Pause, resume and kill services of machines, such as kube-apiserver on control-plane"}
	for name, short := range map[string]string{"pause": "Let a service hang", "resume": "Let it go on", "kill": "Kill it; it is started again"} {
		service.AddCommand(&cobra.Command{Use: name + " MACHINE SERVICE", Short: short, Args: cobra.ExactArgs(2), RunE: func(_ *cobra.Command, args []string) error {
			l, err := s.open()
			if err != nil {
				return err
			}
			return l.Signal(args[0], args[1], lab.Signals[name])
		}})
	}
	return service
}

func (s *settings) imageCommand() *cobra.Command {
	images := &cobra.Command{Use: "image", Short: "Load images into the nodes that run"}
	var program string
	var tags []string
	jenner := &cobra.Command{Use: "jenner", Short: "Load a static Jenner as an image", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := s.open()
			if err != nil {
				return err
			}
			archive := filepath.Join(l.Dir, "images", "jenner.tar")
			if err := lab.WriteArchive(archive, func(w io.Writer) error { return image.Jenner(w, program, tags...) }); err != nil {
				return err
			}
			return l.Import(cmd.Context(), archive)
		}}
	jenner.Flags().StringVar(&program, "binary", "bin/jenner", "the program")
	jenner.Flags().StringArrayVar(&tags, "tag", []string{image.Repository + "jenner:dev"}, "whole name of the image, several times for several")
	images.AddCommand(jenner, &cobra.Command{Use: "import TAR…", Short: "Load archives as `docker save` writes them", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := s.open()
			if err != nil {
				return err
			}
			return l.Import(cmd.Context(), args...)
		}})
	return images
}

// open finds the lab that --dir or KUBELAB_DIR names.
func (s *settings) open() (*lab.Lab, error) {
	if s.dir == "" {
		s.dir = os.Getenv("KUBELAB_DIR")
	}
	if s.dir == "" {
		return nil, errors.New("which lab? say --dir, or set KUBELAB_DIR")
	}
	return lab.Open(s.dir)
}

func (s *settings) up(ctx context.Context, progress io.Writer) (*lab.Lab, error) {
	if s.dir == "" {
		return nil, errors.New("where? say --dir; the folder is made")
	}
	source, err := build.Source()
	if err != nil {
		return nil, err
	}
	return lab.Up(ctx, lab.Options{Dir: s.dir, Nodes: s.nodes, Source: source, Progress: progress})
}

// down stops a lab, also where the command was told to end already.
func down(l *lab.Lab) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := l.Down(ctx); err != nil {
		return fmt.Errorf("the lab in %s is not all gone: %w; `kubelab down --dir %s` tries again", l.Dir, err, l.Dir)
	}
	return nil
}

func (s *settings) serve(ctx context.Context, out io.Writer) error {
	remove, err := s.ownDir()
	if err != nil {
		return err
	}
	l, err := s.up(ctx, out)
	if err != nil {
		return err
	}
	if err := tell(out, l); err != nil {
		return errors.Join(err, down(l))
	}
	fmt.Fprintf(out, "logs are in %s; Ctrl-C stops the lab\n", l.Logs())
	<-ctx.Done()
	fmt.Fprintln(out, "stopping")
	return errors.Join(down(l), remove())
}

// ownDir makes a folder where none was named, and returns what removes it again.
func (s *settings) ownDir() (remove func() error, err error) {
	if s.dir != "" {
		return func() error { return nil }, nil
	}
	if s.dir, err = os.MkdirTemp("", "kubelab-"); err != nil {
		return nil, err
	}
	return func() error { return os.RemoveAll(s.dir) }, nil
}

// variables are those by which a command, and what it calls, finds the lab. KUBELAB is this program, for stopping nodes
// and loading images.
func variables(l *lab.Lab) ([]string, error) {
	program, err := os.Executable()
	return []string{"KUBECONFIG=" + l.Kubeconfig(), "KUBELAB_DIR=" + l.Dir, "KUBELAB=" + program}, err
}

// tell says how the lab is reached, as lines for a shell.
func tell(out io.Writer, l *lab.Lab) error {
	all, err := variables(l)
	for _, one := range append(all, "PATH="+l.Programs+":$PATH") {
		fmt.Fprintln(out, "export", one)
	}
	return err
}

// environment is that of a command in a lab, whose kubectl comes first in the PATH.
func environment(l *lab.Lab) ([]string, error) {
	all, err := variables(l)
	env := append(os.Environ(), all...) // of two entries of a name the later one counts
	return append(env, "PATH="+l.Programs+":"+os.Getenv("PATH")), err
}
