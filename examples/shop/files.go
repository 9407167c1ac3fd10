package shop

import "embed"

// Files describe the shop to Jenner: services, signatures, runbooks, policies and the experiments of the demo, in the
// folder `jenner`.
//
//go:embed jenner/*.yaml
var Files embed.FS
