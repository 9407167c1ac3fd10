// The modules that the next files need.

package kubernetes

import (
	_ "github.com/prometheus/client_golang/api/prometheus/v1"
	_ "helm.sh/helm/v3/pkg/action"
)
