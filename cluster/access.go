package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorization "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
)

// Missing are those of the rights that this connection does not have. Those at other clusters are asked of these: connect
// makes a connection to one. An error is that an API server could not be asked.
func (c *Connection) Missing(ctx context.Context, rights []jenner.Right, connect func(kubeconfig, contextName string) (*Connection, error)) ([]jenner.Right, error) {
	others := map[[2]string]*Connection{{}: c}
	allowed := map[string][]authorization.ResourceRule{}
	var missing []jenner.Right
	for _, right := range rights {
		at := [2]string{right.Kubeconfig, right.Context}
		conn := others[at]
		if conn == nil {
			var err error
			if conn, err = connect(right.Kubeconfig, right.Context); err != nil {
				return nil, err
			}
			others[at] = conn
		}
		whole := right
		if right.Namespace == "" && !right.Clusterwide {
			whole.Namespace = conn.Namespace
		}
		has, err := conn.may(ctx, whole, strings.Join(at[:], " "), allowed)
		if err != nil {
			return nil, err
		}
		if !has {
			missing = append(missing, right)
		}
	}
	return missing, nil
}

// may looks into the rules of the right's namespace first, which are asked for once, and asks for the very right where they do
// not allow it: not all that decide show their rules.
func (c *Connection) may(ctx context.Context, right jenner.Right, server string, allowed map[string][]authorization.ResourceRule) (bool, error) {
	if !right.Clusterwide {
		key := server + "/" + right.Namespace
		rules, asked := allowed[key]
		if !asked {
			review, err := c.AuthorizationV1().SelfSubjectRulesReviews().Create(ctx,
				&authorization.SelfSubjectRulesReview{Spec: authorization.SelfSubjectRulesReviewSpec{Namespace: right.Namespace}}, metav1.CreateOptions{})
			if err != nil {
				return false, jenner.Retryable(fmt.Errorf("the API server does not say what Jenner may do in %s: %w", right.Namespace, err), "")
			}
			rules = review.Status.ResourceRules
			allowed[key] = rules
		}
		if slices.ContainsFunc(rules, func(rule authorization.ResourceRule) bool { return allows(rule, right) }) {
			return true, nil
		}
	}
	resource, subresource, _ := strings.Cut(right.Resource, "/")
	review, err := c.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorization.SelfSubjectAccessReview{
		Spec: authorization.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorization.ResourceAttributes{Verb: right.Verb, Group: right.Group,
			Resource: resource, Subresource: subresource, Namespace: right.Namespace, Name: right.Name}}}, metav1.CreateOptions{})
	if err != nil {
		return false, jenner.Retryable(fmt.Errorf("the API server does not say whether Jenner may %s: %w", right, err), "")
	}
	return review.Status.Allowed, nil
}

// allows tells whether a rule surely gives a right.
func allows(rule authorization.ResourceRule, right jenner.Right) bool {
	has := func(list []string, word string) bool {
		return slices.Contains(list, word) || slices.Contains(list, "*")
	}
	return has(rule.Verbs, right.Verb) && has(rule.APIGroups, right.Group) && has(rule.Resources, right.Resource) &&
		(len(rule.ResourceNames) == 0 || right.Name != "" && slices.Contains(rule.ResourceNames, right.Name))
}
