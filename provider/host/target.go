package host

func init() {
	Provider.Target("host", "This machine", func() any { return &Target{} })
}

// Target is the machine that Jenner runs on.
type Target struct{}
