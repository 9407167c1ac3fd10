package redis

import (
	"errors"
	"fmt"
)

func init() {
	Provider.Target("redis", "A database of a Redis server", func() any { return &Target{} })
}

// Target is one database of a Redis server.
type Target struct {
	Address     string `json:"address"`                // host:port
	Database    int    `json:"database,omitempty"`     // its number
	User        string `json:"user,omitempty"`         // of an ACL; the default user where not said
	PasswordEnv string `json:"password_env,omitempty"` // the variable of Jenner's environment that holds the password
}

// Validate checks what can be checked without asking the server.
func (t *Target) Validate() error {
	switch {
	case t.Address == "":
		return errors.New("address is missing; write host:port")
	case t.Database < 0:
		return fmt.Errorf("database %d is less than 0", t.Database)
	case t.PasswordEnv == "" && t.User != "":
		return errors.New("user is there and password_env is missing; write the name of the variable that holds the password")
	}
	return nil
}
