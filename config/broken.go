package config

// broken are the documents that could not be read as a whole. What may only follow from them is not told: once they are
// mended, it is seen whether it holds.
type broken struct {
	all      bool            // a document of any kind may be missing
	contents map[string]bool // by kind: some document's contents are not known in full
	unnamed  map[string]bool // by kind: some document's name is not known
}

// add takes note of a document of a kind with a mistake of form. Its name is empty where it was not understood.
func (b *broken) add(kind, name string) {
	if b.contents == nil {
		b.contents, b.unnamed = map[string]bool{}, map[string]bool{}
	}
	b.contents[kind] = true
	if name == "" {
		b.unnamed[kind] = true
	}
}

// about is the same document for what also depends on the contents of other kinds of documents: where some of those
// could not be read, nothing is told.
func (d document) about(kinds ...string) document {
	for _, kind := range kinds {
		if d.loaded.broken.all || d.loaded.broken.contents[kind] {
			d.silent = true
		}
	}
	return d
}

// naming is the same document for what depends only on which names the documents of a kind have.
func (d document) naming(kind string) document {
	if d.loaded.broken.all || d.loaded.broken.unnamed[kind] {
		d.silent = true
	}
	return d
}
