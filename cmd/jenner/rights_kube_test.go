//go:build kube

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbac "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/cluster"
	"github.com/jenner-heal/jenner/internal/await"
)

// called runs a command as people do.
func called(t *testing.T, args ...string) (code int, said string) {
	cmd := rootCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		return exitNo, out.String() + err.Error()
	}
	return exitOK, out.String()
}

// printed is one of the roles that `jenner rbac` prints, of a namespace or of the whole cluster.
type printed struct {
	conn *cluster.Connection
	rbac.Role
}

// applied gives the service account jenner what `jenner rbac` prints. The names are made those of the test, for others apply
// roles to the same cluster.
func applied(t *testing.T, conn *cluster.Connection, text string) (roles []printed) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	name := "jenner-documents-" + conn.Namespace
	for _, document := range strings.Split(text, "---\n") {
		var of metav1.TypeMeta
		var role rbac.Role
		var binding rbac.RoleBinding
		if err := yaml.Unmarshal([]byte(document), &of); err != nil {
			t.Fatal(err)
		}
		var err error
		switch of.Kind {
		case "Role":
			err = yaml.UnmarshalStrict([]byte(document), &role)
			role.Name = name
			if err == nil {
				_, err = conn.RbacV1().Roles(role.Namespace).Create(ctx, &role, metav1.CreateOptions{})
			}
			t.Cleanup(func() { _ = conn.RbacV1().Roles(role.Namespace).Delete(ctx, name, metav1.DeleteOptions{}) })
			roles = append(roles, printed{conn, role})
		case "ClusterRole":
			err = yaml.UnmarshalStrict([]byte(document), &role)
			if err == nil {
				_, err = conn.RbacV1().ClusterRoles().Create(ctx, &rbac.ClusterRole{ObjectMeta: role.ObjectMeta, Rules: role.Rules}, metav1.CreateOptions{})
			}
			t.Cleanup(func() { _ = conn.RbacV1().ClusterRoles().Delete(ctx, name, metav1.DeleteOptions{}) })
			roles = append(roles, printed{conn, role})
		case "RoleBinding":
			err = yaml.UnmarshalStrict([]byte(document), &binding)
			binding.Name, binding.RoleRef.Name = name, name
			if err == nil {
				_, err = conn.RbacV1().RoleBindings(binding.Namespace).Create(ctx, &binding, metav1.CreateOptions{})
			}
			t.Cleanup(func() { _ = conn.RbacV1().RoleBindings(binding.Namespace).Delete(ctx, name, metav1.DeleteOptions{}) })
		case "ClusterRoleBinding":
			err = yaml.UnmarshalStrict([]byte(document), &binding)
			if err == nil {
				_, err = conn.RbacV1().ClusterRoleBindings().Create(ctx, &rbac.ClusterRoleBinding{ObjectMeta: binding.ObjectMeta, Subjects: binding.Subjects,
					RoleRef: binding.RoleRef}, metav1.CreateOptions{})
			}
			t.Cleanup(func() { _ = conn.RbacV1().ClusterRoleBindings().Delete(ctx, name, metav1.DeleteOptions{}) })
		default:
			t.Fatalf("jenner rbac prints a %q:\n%s", of.Kind, document)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return roles
}

// holds makes the role allow these and no others.
func (p printed) holds(t *testing.T, rights []jenner.Right) {
	t.Helper()
	var rules []rbac.PolicyRule
	for _, right := range rights {
		rule := rbac.PolicyRule{Verbs: []string{right.Verb}, APIGroups: []string{right.Group}, Resources: []string{right.Resource}}
		if right.Name != "" {
			rule.ResourceNames = []string{right.Name}
		}
		rules = append(rules, rule)
	}
	var err error
	if meta := (metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace}); p.Namespace == "" {
		_, err = p.conn.RbacV1().ClusterRoles().Update(t.Context(), &rbac.ClusterRole{ObjectMeta: meta, Rules: rules}, metav1.UpdateOptions{})
	} else {
		_, err = p.conn.RbacV1().Roles(p.Namespace).Update(t.Context(), &rbac.Role{ObjectMeta: meta, Rules: rules}, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// rights are those of the role, each as one.
func (p printed) rights() (rights []jenner.Right) {
	for _, rule := range p.Rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, name := range names {
					for _, verb := range rule.Verbs {
						rights = append(rights, jenner.Right{Verb: verb, Group: group, Resource: resource, Name: name, Namespace: p.Namespace, Clusterwide: p.Namespace == ""})
					}
				}
			}
		}
	}
	return rights
}

// TestCheckFindsEachMissingRightOfEverything: with exactly what `jenner rbac` prints for documents that use all that there is,
// `jenner check` finds nothing missing; with any one verb less it fails, and says which it is and which document needs it.
func TestCheckFindsEachMissingRightOfEverything(t *testing.T) {
	conn := newNamespace(t)
	dir := t.TempDir()
	raw, err := os.ReadFile(filepath.Join(allOfIt, "everything.yaml"))
	if err == nil {
		raw = bytes.ReplaceAll(raw, []byte("namespace: shop"), []byte("namespace: "+conn.Namespace))
		err = os.WriteFile(filepath.Join(dir, "everything.yaml"), raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	code, text := called(t, "rbac", dir, "--own", "--namespace", conn.Namespace)
	if code != exitOK {
		t.Fatal(text)
	}
	roles := applied(t, conn, text)
	check := func() (int, string) {
		return called(t, "check", dir, "--kube", "--namespace", conn.Namespace, "--as", "system:serviceaccount:"+conn.Namespace+":jenner")
	}
	said := ""
	await.True(t, "with all of them all is well", func() bool {
		code, said = check()
		return code == exitOK && strings.Contains(said, "Jenner has every right that they need")
	})
	tried := 0
	for _, role := range roles {
		rights := role.rights()
		for i, less := range rights {
			tried++
			role.holds(t, slices.Delete(slices.Clone(rights), i, i+1))
			await.True(t, fmt.Sprintf("check as one who may not %s says so", less), func() bool {
				code, said = check()
				unread := less.Group == cluster.Group && less.Verb == "list" && strings.Contains(said, "cannot list resource") // the documents themselves
				return code == exitNo && (unread || strings.Contains(said, "Jenner may not "+less.String()+", which is needed for "))
			})
			for _, line := range strings.Split(strings.TrimSpace(said), "\n") {
				if _, needing, is := strings.Cut(line, "which is needed for "); is && !slices.ContainsFunc(
					[]string{"runbook everything, step ", "experiment everything, fault ", "target ", "observing target ", "probe ", "the probe alive on ", "events about ", "Jenner itself"},
					func(document string) bool { return strings.HasPrefix(needing, document) }) {
					t.Errorf("it does not say which document needs it: %s", line)
				}
			}
		}
		role.holds(t, rights)
	}
	t.Logf("%d rights in %d roles", tried, len(roles))
	await.True(t, "with all of them all is well again", func() bool { code, said = check(); return code == exitOK })
}
