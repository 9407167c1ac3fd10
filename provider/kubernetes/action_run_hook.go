package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	sigsjson "sigs.k8s.io/json"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("run_hook", "Run a Job and wait for its success, before or after what else is done to the target", func() act.Action {
		return &RunHook{Timeout: jenner.Duration(5 * time.Minute), Keep: jenner.Duration(10 * time.Minute)}
	})
}

// RunHook runs a Job once and waits until it has succeeded: to let work in flight end before a restart, to clean up what
// a killed pod left behind, to reconcile afterwards. The Job's pods are written as an image with a command, as a whole
// template, or taken from a CronJob or a Job of the namespace. They are not tried again where they fail; the step may be.
//
// The hook finds out what it runs for by the environment variables JENNER_INCIDENT, JENNER_RUN, JENNER_STEP,
// JENNER_SERVICE, JENNER_TARGET_KIND, JENNER_TARGET and JENNER_NAMESPACE. A hook that failed fails the step, with the end
// of what it logged. It has no undo: what a hook does only its author knows; write the step's undo as another hook.
type RunHook struct {
	// From is a CronJob or a Job whose pods are taken: `cronjob/drain-orders` or `job/drain-orders`.
	From string `json:"from,omitempty"`
	// Image is the image, in place of from.
	Image string `json:"image,omitempty"`
	// Command is what runs in the image; its own entry point where not said. With from, the first container's command.
	Command []string `json:"command,omitempty"`
	// Env are variables of the environment of every container.
	Env map[string]string `json:"env,omitempty"`
	// Template is a whole pod template, in place of from and image.
	Template json.RawMessage `json:"template,omitempty"`
	// Namespace is where the hook runs; where the target is, where not said.
	Namespace string `json:"namespace,omitempty"`
	// Timeout is how long it may take, 5m where not said; then it is stopped.
	Timeout jenner.Duration `json:"timeout,omitempty"`
	// Keep is for how long the Job and its logs are kept after its end; 10m where not said. A Job that was stopped is not.
	Keep jenner.Duration `json:"keep,omitempty"`
}

// hookDone is the output.
type hookDone struct {
	Job     string `json:"job"`
	Seconds int    `json:"seconds"` // it took
}

// Validate checks the parameters.
func (h *RunHook) Validate() error {
	ways := 0
	for _, written := range []bool{h.From != "", h.Image != "", len(h.Template) > 0} {
		if written {
			ways++
		}
	}
	kind, name, _ := strings.Cut(h.From, "/")
	switch {
	case ways != 1:
		return errors.New("write one of from, image and template")
	case h.From != "" && (kind != "cronjob" && kind != kindJob || name == ""):
		return fmt.Errorf("from is %q; write cronjob/NAME or job/NAME", h.From)
	case len(h.Template) > 0 && len(h.Command) > 0:
		return errors.New("the command of a template stands in the template")
	}
	if h.Namespace != "" && len(validation.IsDNS1123Label(h.Namespace)) > 0 {
		return fmt.Errorf("namespace %q is none", h.Namespace)
	}
	for name := range h.Env {
		if len(validation.IsEnvVarName(name)) > 0 {
			return fmt.Errorf("env: %q is no name of a variable", name)
		}
	}
	_, err := h.template()
	return err
}

// template reads the written template, strictly.
func (h *RunHook) template() (corev1.PodTemplateSpec, error) {
	var template corev1.PodTemplateSpec
	if len(h.Template) == 0 {
		return template, nil
	}
	mistakes, err := sigsjson.UnmarshalStrict(h.Template, &template)
	if err = errors.Join(append(mistakes, err)...); err != nil {
		return template, fmt.Errorf("template is no pod template: %w", err)
	}
	if len(template.Spec.Containers) == 0 {
		return template, errors.New("template has no containers")
	}
	return template, nil
}

// place is where the hook runs, and under which name.
func (h *RunHook) place(call act.Call) (c *cluster, namespace, name string, err error) {
	t, c, err := reach(call.Target)
	if err != nil {
		return nil, "", "", err
	}
	if namespace = h.Namespace; namespace == "" {
		namespace = t.Namespace
	}
	step := strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(call.Step)), "-")
	return c, namespace, nameFor(strings.TrimSuffix("jenner-hook-"+step, "-"), call.Key), nil
}

// Check refuses where the hook cannot be made.
func (h *RunHook) Check(ctx context.Context, call act.Call) error {
	_, err := h.job(ctx, call)
	return err
}

// job is the Job as it is made.
func (h *RunHook) job(ctx context.Context, call act.Call) (*batchv1.Job, error) {
	c, namespace, name, err := h.place(call)
	if err != nil {
		return nil, err
	}
	labels, spec, err := h.spec(ctx, c, namespace)
	if err != nil {
		return nil, err
	}
	labels[labelManagedBy] = fieldManager
	limit, tries, keep := int64(max(1, h.Timeout.Or(5*time.Minute).Seconds())), int32(0), int32(h.Keep.Std().Seconds())
	spec.ActiveDeadlineSeconds, spec.BackoffLimit, spec.TTLSecondsAfterFinished = &limit, &tries, &keep
	if spec.Template.Spec.RestartPolicy != corev1.RestartPolicyOnFailure {
		spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	}
	h.furnish(&spec.Template.Spec, namespace, call)
	return &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: labels,
		Annotations: map[string]string{lastAction: call.Key}}, Spec: spec}, nil
}

// spec is the spec that the parameters name, with the labels of what it is taken from.
func (h *RunHook) spec(ctx context.Context, c *cluster, namespace string) (map[string]string, batchv1.JobSpec, error) {
	kind, name, _ := strings.Cut(h.From, "/")
	switch {
	case h.Image != "":
		return map[string]string{}, batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "hook", Image: h.Image, Command: h.Command}}}}}, nil
	case kind == "cronjob":
		from, err := c.BatchV1().CronJobs(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, batchv1.JobSpec{}, told(err, fmt.Sprintf("reading cronjob %s/%s", namespace, name))
		}
		labels, spec := unchained(&batchv1.Job{ObjectMeta: from.Spec.JobTemplate.ObjectMeta, Spec: from.Spec.JobTemplate.Spec})
		return labels, spec, nil
	case kind == kindJob:
		from, err := c.BatchV1().Jobs(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, batchv1.JobSpec{}, told(err, fmt.Sprintf("reading job %s/%s", namespace, name))
		}
		labels, spec := unchained(from)
		return labels, spec, nil
	}
	template, err := h.template()
	return map[string]string{}, batchv1.JobSpec{Template: template}, err
}

// furnish tells the containers what they run for.
func (h *RunHook) furnish(spec *corev1.PodSpec, namespace string, call act.Call) {
	about := map[string]string{"JENNER_INCIDENT": call.Incident, "JENNER_RUN": call.Run, "JENNER_STEP": call.Step, "JENNER_SERVICE": call.Service.Name,
		"JENNER_TARGET_KIND": call.Target.Kind, "JENNER_TARGET": call.Target.Name, "JENNER_NAMESPACE": namespace}
	maps.Copy(about, h.Env)
	if h.From != "" && len(h.Command) > 0 && len(spec.Containers) > 0 {
		spec.Containers[0].Command, spec.Containers[0].Args = h.Command, nil
	}
	for i := range spec.Containers {
		container := &spec.Containers[i]
		container.Env = slices.DeleteFunc(container.Env, func(one corev1.EnvVar) bool { _, ours := about[one.Name]; return ours })
		for _, name := range slices.Sorted(maps.Keys(about)) {
			container.Env = append(container.Env, corev1.EnvVar{Name: name, Value: about[name]})
		}
	}
}

// Happened is done where the hook succeeded. One that still runs is not done: doing it again waits for it.
func (h *RunHook) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	c, namespace, name, err := h.place(call)
	if err != nil {
		return act.HappenedUnknown, err
	}
	job, err := c.BatchV1().Jobs(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return act.HappenedNot, nil
	}
	if err != nil {
		return act.HappenedUnknown, told(err, fmt.Sprintf("reading job %s/%s", namespace, name))
	}
	if end, _ := endOf(job); end == jobDone {
		return act.HappenedDone, nil
	}
	return act.HappenedNot, nil
}

// DryRun asks the API server whether the Job can be made.
func (h *RunHook) DryRun(ctx context.Context, call act.Call) (act.Result, error) {
	job, err := h.make(ctx, call, true)
	if err != nil {
		return act.Result{}, err
	}
	return act.Result{Summary: fmt.Sprintf("job %s/%s would run %s", job.Namespace, job.Name, job.Spec.Template.Spec.Containers[0].Image), Changed: true}, nil
}

// make makes the Job, or finds the one that this very call made before a crash.
func (h *RunHook) make(ctx context.Context, call act.Call, dry bool) (*batchv1.Job, error) {
	c, namespace, name, err := h.place(call)
	if err != nil {
		return nil, err
	}
	job, err := h.job(ctx, call)
	if err != nil {
		return nil, err
	}
	options := metav1.CreateOptions{FieldManager: fieldManager}
	if dry {
		options.DryRun = []string{metav1.DryRunAll}
	}
	made, err := c.BatchV1().Jobs(namespace).Create(ctx, job, options)
	if apierrors.IsAlreadyExists(err) {
		made, err = c.BatchV1().Jobs(namespace).Get(ctx, name, metav1.GetOptions{})
	}
	return made, told(err, fmt.Sprintf("making job %s/%s", namespace, name))
}

// Do runs the hook.
func (h *RunHook) Do(ctx context.Context, call act.Call) (act.Result, error) {
	c, namespace, name, err := h.place(call)
	if err != nil {
		return act.Result{}, err
	}
	job, err := h.make(ctx, call, false)
	if err != nil {
		return act.Result{}, err
	}
	patience, cancel := context.WithTimeoutCause(ctx, h.Timeout.Or(5*time.Minute), fmt.Errorf("not within %s", h.Timeout))
	defer cancel()
	err = c.awaitJob(patience, namespace, name, call.Host.Progress)
	switch {
	case err == nil:
		took := time.Since(job.CreationTimestamp.Time).Round(time.Second)
		return act.Result{Summary: fmt.Sprintf("job %s succeeded after %s", name, took), Changed: true, Output: hookDone{name, int(took.Seconds())}}, nil
	case errors.Is(err, errJobFailed):
		return act.Result{}, jenner.Permanent(err, "")
	case errors.Is(ctx.Err(), context.Canceled):
		return act.Result{}, err // it goes on; whoever takes this up again waits for it
	case patience.Err() != nil:
		return act.Result{}, errors.Join(jenner.Permanent(err, ""), h.stop(ctx, c, job))
	}
	return act.Result{}, err
}

// stop ends a hook that takes too long.
func (h *RunHook) stop(ctx context.Context, c *cluster, job *batchv1.Job) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), backPatience)
	defer cancel()
	_, err := c.deleteJob(ctx, job.Namespace, job.Name, job.UID, false)
	return err
}

// Rights are to read, make and delete Jobs, to read what they are made of, and the logs of their pods.
func (h *RunHook) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	list := []jenner.Right{t.right("get", "batch", "jobs"), t.right("create", "batch", "jobs"), t.right("delete", "batch", "jobs"),
		t.right("list", "", "pods"), t.right("get", "", "pods/log")}
	if kind, name, _ := strings.Cut(h.From, "/"); kind == "cronjob" {
		from := t.right("get", "batch", "cronjobs")
		from.Name = name
		list = append(list, from)
	}
	for i := range list {
		list[i].Clusterwide = false
		list[i].Namespace = t.Namespace
		if h.Namespace != "" {
			list[i].Namespace = h.Namespace
		}
	}
	return list, nil
}
