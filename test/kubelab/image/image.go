// Package image makes container images from files, without a registry, a daemon or a build language: an archive in the
// form of `docker save`, with a manifest, a configuration for each image, and one layer that they may share.
//
// It is for static programs of one's own. It is not for images that build on others, or of other machines than this one.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"time"
)

// File is one file of the layer, with its folders.
type File struct {
	Path string // absolute
	Mode fs.FileMode
	Body []byte
}

// Image is one configuration of the layer.
type Image struct {
	Tags       []string // whole names, such as docker.io/jenner-test/app:v1
	Entrypoint []string
	Env        []string
	User       string // number, or number:number; root where empty
	Labels     map[string]string
}

// User is a number that belongs to nobody: with it a container runs where root is forbidden.
const User = "65532:65532"

// Write writes an archive with all images; each has the same layer. The same input gives the same bytes.
func Write(w io.Writer, files []File, images ...Image) error {
	layer, err := layerOf(files)
	if err != nil {
		return err
	}
	type entry struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	layerName := digest(layer) + "/layer.tar"
	members := []File{{Path: layerName, Body: layer}}
	var manifest []entry
	for _, image := range images {
		for _, tag := range image.Tags {
			if name := tag[strings.LastIndexByte(tag, '/')+1:]; !strings.Contains(name, ":") || strings.Count(tag, "/") < 2 {
				return fmt.Errorf("image %q: write the whole name, such as docker.io/jenner-test/app:v1", tag)
			}
		}
		text, err := configOf(image, digest(layer))
		if err != nil {
			return err
		}
		name := digest(text) + ".json"
		manifest = append(manifest, entry{Config: name, RepoTags: image.Tags, Layers: []string{layerName}})
		if !slices.ContainsFunc(members, func(f File) bool { return f.Path == name }) {
			members = append(members, File{Path: name, Body: text})
		}
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	members = append(members, File{Path: "manifest.json", Body: text})
	return archive(w, members)
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// configOf is the configuration as the image specification of the OCI has it.
func configOf(image Image, layer string) ([]byte, error) {
	return json.Marshal(map[string]any{
		"created": epoch.Format(time.RFC3339), "architecture": runtime.GOARCH, "os": "linux",
		"config":  map[string]any{"Entrypoint": image.Entrypoint, "Env": image.Env, "User": image.User, "WorkingDir": "/", "Labels": image.Labels},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + layer}},
		"history": []map[string]string{{"created": epoch.Format(time.RFC3339), "created_by": "kubelab"}},
	})
}

// epoch is the time of every file, so that the same files make the same image.
var epoch = time.Unix(0, 0).UTC()

// layerOf has the folders of the files too, and a /tmp.
func layerOf(files []File) ([]byte, error) {
	members := []File{{Path: "tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777}}
	made := map[string]bool{"tmp": true}
	for _, file := range files {
		path := strings.TrimPrefix(file.Path, "/")
		if path == file.Path || strings.HasSuffix(path, "/") || !fs.ValidPath(path) {
			return nil, fmt.Errorf("%q is not the absolute path of a file", file.Path)
		}
		for i := range path {
			if folder := path[:i]; path[i] == '/' && !made[folder] {
				made[folder] = true
				members = append(members, File{Path: folder, Mode: fs.ModeDir | 0o755})
			}
		}
		members = append(members, File{Path: path, Mode: file.Mode, Body: file.Body})
	}
	var layer bytes.Buffer
	err := archive(&layer, members)
	return layer.Bytes(), err
}

func archive(w io.Writer, members []File) error {
	out := tar.NewWriter(w)
	for _, member := range members {
		header := &tar.Header{Name: member.Path, Mode: int64(member.Mode.Perm()), Size: int64(len(member.Body)), ModTime: epoch, Typeflag: tar.TypeReg}
		switch {
		case member.Mode.IsDir():
			header.Name, header.Typeflag = member.Path+"/", tar.TypeDir
			if member.Mode&fs.ModeSticky != 0 {
				header.Mode |= 0o1000
			}
		case header.Mode == 0:
			header.Mode = 0o644
		}
		if err := out.WriteHeader(header); err != nil {
			return err
		}
		if _, err := out.Write(member.Body); err != nil {
			return err
		}
	}
	return out.Close()
}
