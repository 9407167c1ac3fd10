package expression

import "sync"

// Labels is the scope of texts about an alert's labels: `labels`.
var Labels = sync.OnceValues(func() (*Scope, error) { return NewScope([]string{"labels"}, nil) })

// Body is the scope in which alerts are read from the body of a webhook: `body`, and `alert`, the one that is looked at.
var Body = sync.OnceValues(func() (*Scope, error) { return NewScope(nil, []string{"body", "alert"}) })
