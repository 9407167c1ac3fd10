// Package core holds the steps that belong to no technology: waiting, asking the metrics, paging.
//
// It is for looking and telling. It is not for changing anything.
package core

import "github.com/jenner-heal/jenner/internal/catalog"

// Provider is the table that every file of this package adds itself to.
var Provider = &catalog.Provider{Name: "core", Doc: "Steps of no technology: wait, query, page"}
