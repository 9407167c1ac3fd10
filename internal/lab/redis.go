package lab

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"
)

// Redis is a running redis-server that keeps nothing on disk.
type Redis struct {
	*Process
	Port int
}

// StartRedis starts a redis-server in a folder, on a free port of the loopback address, and waits until it answers.
func StartRedis(ctx context.Context, dir string) (*Redis, error) {
	program, err := Need("redis-server", "redis-server")
	if err != nil {
		return nil, err
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	process, err := Start(Options{Dir: dir}, program, "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--daemonize", "no", "--dir", dir)
	if err != nil {
		return nil, err
	}
	redis := &Redis{process, port}
	if err := process.Await(ctx, redis.ping); err != nil {
		return nil, fmt.Errorf("%w (stop: %v)", err, redis.Stop())
	}
	return redis, nil
}

// Address is host:port.
func (r *Redis) Address() string { return fmt.Sprintf("127.0.0.1:%d", r.Port) }

// Stop ends it.
func (r *Redis) Stop() error { return r.Process.Stop(syscall.SIGTERM, 5*time.Second) }

func (r *Redis) ping(ctx context.Context) error {
	return greet(ctx, r.Address(), "PING\r\n", "+PONG")
}

// greet says a line to an address, where there is one to say, and wants an answer that begins with a text.
func greet(ctx context.Context, address, say, want string) error {
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte(say)); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, want) {
		err = fmt.Errorf("%s says %q", address, strings.TrimSpace(line))
	}
	return err
}
