// The modules that the next files need.

package kubernetes

import (
	_ "github.com/prometheus/client_golang/api/prometheus/v1"
)
