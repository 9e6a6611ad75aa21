"""Each check fails on an error of its kind, and names it."""

import pytest

from k8s.checks import (
    autoscaling,
    canary,
    conventions,
    drain,
    facts,
    memory,
    models,
    references,
    rendering,
    schemas,
    split,
    traffic,
)
from k8s.checks.tree import Tree

BASE = "k8s/base/kustomization.yaml"
GATEWAY = "k8s/base/gateway/deployment.yaml"
TRITON = "k8s/base/triton/deployment.yaml"
TRITON_POLICY = "k8s/base/triton/network-policy.yaml"
KEDA_FOLDER, HPA_FOLDER = "k8s/components/keda", "k8s/components/hpa"
KEDA = f"{KEDA_FOLDER}/scaled-object.yaml"
HPA = f"{HPA_FOLDER}/autoscaler.yaml"
ADAPTER = "k8s/components/hpa/prometheus-adapter.yaml"
GPU = "k8s/components/gpu/gpu.yaml"
INGRESS = "k8s/components/ingress/ingress.yaml"
INGRESS_SETTINGS = "k8s/components/ingress/kustomization.yaml"
WAY_IN = "k8s/components/gateway-api/gateway.yaml"
ROUTES = "k8s/components/gateway-api/routes.yaml"
BACKEND_TLS = "k8s/components/backend-tls/backend-tls-policy.yaml"
BEHIND_TLS = "k8s/components/backend-tls/kustomization.yaml"
CANARIES = "k8s/components/canary"
TRACES = "k8s/components/otlp/kustomization.yaml"
MTLS = "k8s/components/mtls/gateway.yaml"
MONITOR = "k8s/monitoring/triton.yaml"
NODES = "k8s/overlays/gpu-nodes/node-pool.yaml"
NODES_TOGETHER = "k8s/overlays/gpu-nodes/kustomization.yaml"
SPARE = "k8s/components/cpu-spare/kustomization.yaml"
CLUSTER = "k8s/components/cloudnative-pg/cluster.yaml"
CLUSTER_POLICY = "k8s/components/cloudnative-pg/network-policy.yaml"
SITE = "k8s/overlays/site-example/kustomization.yaml"
SITE_PODS = "k8s/overlays/site-example/pods.yaml"
SITE_GPU = "k8s/overlays/site-example/gpu-product.yaml"
PLACEHOLDER = "k8s/overlays/gpu-nodes/placeholder.yaml"
ARGO = "k8s/overlays/argo-cd/application.yaml"
DRA = "k8s/overlays/gpu-dra/claim-template.yaml"
KSERVE = "k8s/overlays/kserve/serving-runtime.yaml"
MODELS_IMAGE = "k8s/overlays/models-image/release.yaml"
MODELS_CLAIM = "k8s/components/models-claim/claim.yaml"
MODELS_FOLDER = "k8s/components/models-claim/folder.yaml"
MODELS_LOADER = "k8s/overlays/models-loader/kustomization.yaml"
MODELS_STORE = "k8s/components/s3-models/fetch.yaml"
SPLIT_GATEWAY = "k8s/components/split/gateway.yaml"
SPLIT = "k8s/overlays/split/kustomization.yaml"
JUDGEMENTS = "k8s/split/judgements.json"
STEPS = "k8s/split/kustomization.yaml"
CANARY_RUN = "k8s/overlays/canary-run/cron-job.yaml"
CANARY_RUN_POLICY = "k8s/overlays/canary-run/network-policy.yaml"

RENDER = [
    (BASE, "- namespace.yaml", "- namespaces.yaml", "namespaces.yaml"),
    (BASE, "configMapGenerator", "configMapsGenerator", "invalid Kustomization"),
]
SCHEMAS = [
    (GATEWAY, "replicas: 2", "replica: 2", "'replica' was unexpected"),
    (CANARY_RUN, "timeZone:", "zone:", "'zone' was unexpected"),
    (GATEWAY, "replicas: 2", 'replicas: "2"', "is not of type"),
    (GATEWAY, "  selector:\n", "  selectors:\n", "'selector' is a required property"),
    (HPA, "autoscaling/v2", "autoscaling/v2beta2", "no HorizontalPodAutoscaler in autoscaling/v2b"),
    (HPA, "kind: HorizontalPodAutoscaler", "kind: PodAutoscaler", "no PodAutoscaler in"),
    (KEDA, "maxReplicaCount", "maxReplicas", "'maxReplicas' was unexpected"),
    (KEDA, "keda.sh/v1alpha1", "keda.sh/v1", "no ScaledObject in keda.sh/v1"),
    (KEDA, "pollingInterval: 15", "pollingInterval: 15s", "'15s' is not of type"),
    (CLUSTER, "instances: 3", "replicas: 3", "'replicas' was unexpected"),
    (WAY_IN, "hostname:", "host:", "'host' was unexpected"),
    (WAY_IN, "protocol: HTTPS", "protocol: 6", "6 is not of type 'string'"),
    (ROUTES, "k8s.io/v1", "k8s.io/v1alpha1", "no HTTPRoute in gateway.networking.k8s.io/v1alpha1"),
    (ROUTES, "request: 65s", "read: 65s", "'read' was unexpected"),
    (ROUTES, "service: inference", "name: inference", "'name' was unexpected"),
    (BACKEND_TLS, "hostname:", "host:", "'host' was unexpected"),
    (ARGO, "targetRevision: main", "revision: main", "'revision' was unexpected"),
    (KSERVE, "- grpc-v2", "- grpc-v3", "'grpc-v3' is not one of"),
    (
        KSERVE,
        "imagePullPolicy: IfNotPresent",
        "imagePolicy: IfNotPresent",
        "'imagePolicy' was unexp",
    ),
    (DRA, "deviceClassName:", "deviceClass:", "Kubernetes 1.34: 'deviceClassName' is a required"),
    (f"{CANARIES}/rollout.yaml", "setWeight: 25", "weight: 25", "'weight' was unexpected"),
    (f"{CANARIES}/analysis.yaml", "address: http", "url: http", "'url' was unexpected"),
]
CONVENTIONS = [
    (TRITON, "              protocol: TCP\n", "", "has no protocol"),
    (TRITON_POLICY, "          protocol: TCP\n", "", "has no protocol"),
    (GPU, 'nvidia.com/gpu: "1"', "nvidia.com/gpu: 1", 'write "1"'),
    (MODELS_STORE, "docker.io/amazon", "amazon", "names no registry, and some"),
    ("k8s/base/triton/kustomization.yaml", "newTag: 0.1.0", "newName: x/y", "image x/y"),
    (NODES_TOGETHER, "resources:", "namespace: x\nresources:", "it belongs to no namespace"),
]
REFERENCES = [
    ("k8s/base/triton/service.yaml", "name: triton\n  ports", "name: tritons\n  ports", "no pod"),
    ("k8s/base/gateway/service.yaml", "targetPort: grpc", "targetPort: rpc", "port rpc: "),
    ("k8s/base/triton/disruption-budget.yaml", "io/name: triton", "io/name: trito", "no pod"),
    (TRITON_POLICY, "port: 8001", "port: 8004", "port 8004: none of"),
    (TRITON_POLICY, "kubernetes.io/name: gateway", "kubernetes.io/name: gate", "takes no pod"),
    (TRITON, "serviceAccountName: triton", "serviceAccountName: tritons", "ServiceAccount tritons"),
    (TRITON, "priorityClassName: second-opinion", "priorityClassName: high", "PriorityClass high"),
    (TRITON, "claimName: models", "claimName: model", "PersistentVolumeClaim model is not"),
    (GATEWAY, "secretName: gateway-secrets", "secretName: keys", "Secret keys is not there"),
    (TRITON, "              port: server-metrics", "              port: probes", "port probes: "),
    (INGRESS, "name: http\n", "name: web\n", "is no Service with such a port"),
    (INGRESS, "secretName: gateway-tls", "secretName: tls", "Secret tls is not there"),
    (INGRESS, "- host: second", "- host: another", "not among the hosts"),
    (WAY_IN, "name: gateway-tls", "name: tls", "Secret tls is not there"),
    (
        BACKEND_TLS,
        "name: gateway-service-ca",
        "name: authority",
        "ConfigMap authority is not there",
    ),
    (KEDA, "  scaleTargetRef:\n    name: triton", "  scaleTargetRef:\n    name: server", "server"),
    (MONITOR, "port: metrics", "port: metric", "port metric: "),
    (CLUSTER, "name: gateway-database", "name: database", "takes no pod"),
    (CLUSTER, "name: gateway-database", "name: database", "Secret gateway-database-app is not"),
    (CLUSTER_POLICY, "5432", "5433", "port 5433: none of"),
    (SITE_PODS, "name: registry", "name: pull", "Secret pull is not there"),
    (SITE_GPU, "value: nvidia", "value: gpu", "RuntimeClass gpu is not there"),
    (CANARY_RUN, "name: canary-key", "name: key", "Secret key is not there"),
    (CANARY_RUN, "claimName: canary-photos", "claimName: photos", "PersistentVolumeClaim photos"),
    (CANARY_RUN_POLICY, "name: canary-run\n  policy", "name: canary\n  policy", "takes no pod"),
]
FACTS = [
    (TRITON, "containerPort: 8002", "containerPort: 8012", "pipelines/ports.py says 8002"),
    (TRITON, "--pipelines=oral_cancer", "--pipelines=oral", "no pipelines/oral.yaml"),
    ("k8s/components/gpu/profile.yaml", "=gpu", "=gpus", "has none of this name"),
    (BASE, "GATEWAY_TRITON_HOST=triton", "GATEWAY_TRITON_HOST=tritons", "no Service of this name"),
    (SPARE, "=triton-spare:", "=triton-cpu:", "GATEWAY_SPARE_TRITON=triton-cpu:8001: there is no"),
    (BASE, "GATEWAY_TRITON_CALLS", "GATEWAY_TRITON_CALL", "nothing reads such a setting"),
    (BASE, "GATEWAY_MAX_IN_FLIGHT=128", "GATEWAY_MAX_IN_FLIGHT=0", "the gateway refuses max_in_fl"),
    (
        BASE,
        "      - GATEWAY_SECRETS_DIR=",
        "      - GATEWAY_AUTH=off\n      - GATEWAY_SECRETS_DIR=",
        "would let everyone in",
    ),
    (MTLS, "TRITON_TLS_CA_FILE", "TRITON_TLS_CA", "TRITON_TLS_CA: nothing reads such a setting"),
]
MEMORY = [
    (TRITON, "memory: 3Gi", "memory: 1Gi", "resources.requests.memory is 1Gi; it needs 1.7Gi"),
    (TRITON, "memory: 6Gi", "memory: 3584Mi", "resources.limits.memory is 3584Mi; it needs 3.7Gi"),
    (TRITON, "=oral_cancer", "=oral_cancer,mhist", "requests.memory is 3Gi; it needs 5.5Gi"),
    (TRITON, "=oral_cancer", "=all", "it needs 7.1Gi"),
]
MODELS = [
    (MODELS_IMAGE, "@sha256:" + 64 * "0", ":latest", "may become another one; name its digest"),
    (MODELS_CLAIM, "- ReadWriteMany", "- ReadOnlyMany", "a provisioner makes it empty"),
    (MODELS_FOLDER, "subPath: oral_cancer-1-", "subPath: oral_cancer-2-", "fills oral_cancer-1-"),
    (MODELS_LOADER, "RELEASE=oral_cancer-1-", "RELEASE=oral_cancer-2-", "fills oral_cancer-2-"),
    (
        MODELS_STORE,
        "              ephemeral-storage: 20Gi\n",
        "",
        "may take 20 Gi of the node's disk",
    ),
]
TRAFFIC = [
    (ROUTES, "- name: second-opinion", "- name: proxies", "is no listener of a Gateway"),
    (ROUTES, "sectionName: https", "sectionName: http", "is no listener of a Gateway"),
    (ROUTES, "- second-opinion.example", "- opinion.example", "are not the listener's name"),
    (WAY_IN, "hostname: grpc.", "hostname: rpc.", "are not the listener's name, rpc.second"),
    (ROUTES, "port: 8080", "port: 80", "is no Service with such a port"),
    (
        ROUTES,
        "- name: gateway\n          port: 8011",
        "- name: grpc\n          port: 8011",
        "is no S",
    ),
    (ROUTES, "service: inference.GRPCInf", "service: kserve.GRPCInf", "has no gRPC service kserve"),
    (ROUTES, "value: /api", "value: /metrics", "leads to what is not for callers"),
    (
        ROUTES,
        "type: Exact\n            value: /\n",
        "type: PathPrefix\n            value: /\n",
        "not f",
    ),
    (
        BACKEND_TLS,
        "hostname: gateway.",
        "hostname: api.",
        "its hostname is not gateway.second-opin",
    ),
    (BEHIND_TLS, "  - path: gateway.yaml\n", "", "and the gateway speaks no TLS"),
    (
        BEHIND_TLS,
        "  - backend-tls-policy.yaml\n",
        "  []\n",
        "no BackendTLSPolicy tells the proxies",
    ),
    (BEHIND_TLS, "/spec/ports/1/appProtocol", "/spec/ports/1/protocol", "is h2c and behind TLS"),
    (INGRESS_SETTINGS, "PER_ADDRESS=2048", "PER_ADDRESS=512", "for all callers of a proxy"),
    (TRACES, ":4318", ":4317", "no NetworkPolicy lets the gateways reach it"),
]
CANARY = [
    (
        f"{CANARIES}/deployment.yaml",
        "replicas: 0",
        "replicas: 2",
        "triton runs pods of its own besi",
    ),
    (
        f"{CANARIES}/rollout.yaml",
        "    name: triton\n  strategy",
        "    name: x\n  strategy",
        "Deployment x",
    ),
    (f"{CANARIES}/rollout.yaml", "setWeight: 25", "setWeight: 20", "of 4 pods is less than one"),
    (
        f"{CANARIES}/rollout.yaml",
        "templateName: releases",
        "templateName: any",
        "Template any is not",
    ),
    (
        f"{CANARIES}/rollout.yaml",
        "- name: namespace",
        "- name: place",
        "gives releases no namespace",
    ),
    (
        f"{CANARIES}/analysis.yaml",
        "    - name: namespace\n",
        "    - name: x\n",
        "no argument namespace",
    ),
    (
        f"{CANARIES}/analysis.yaml",
        "Condition: len(result) > 0 && ",
        "Condition: ",
        "must begin with",
    ),
    (
        "k8s/overlays/canary/kustomization.yaml",
        "components:",
        "components:\n  - ../../components/keda",
        "would start that one's pods",
    ),
]
DRAIN = [
    (
        TRITON,
        "terminationGracePeriodSeconds: 90",
        "terminationGracePeriodSeconds: 50",
        "preStop 45",
    ),
    (
        GATEWAY,
        "terminationGracePeriodSeconds: 90",
        "terminationGracePeriodSeconds: 80",
        "is not mo",
    ),
    (
        GATEWAY,
        "                seconds: 15",
        "                seconds: 25",
        "preStop 25 s and 70 s",
    ),
    (BASE, "SHUTDOWN_SECONDS=65", "SHUTDOWN_SECONDS=30", "raise it above that"),
    (TRITON, "seconds: 45", "seconds: 30", "is shorter than the 45 s in which gateways may"),
]
AUTOSCALING = [
    (
        "k8s/overlays/keda/kustomization.yaml",
        "components:",
        "components:\n  - ../../components/hpa",
        "fight",
    ),
    (f"{KEDA_FOLDER}/replicas.yaml", "replicas: null", "replicas: 3", "each apply would undo"),
    (f"{HPA_FOLDER}/replicas.yaml", "replicas: null", "replicas: 3", "each apply would undo"),
    (GPU, "replicas: 2", "replicas: 1", "gpu: Deployment triton may be one pod"),
    (GPU, "  replicas: 2\n", "", "gpu: Deployment triton may be one pod"),
    (KEDA, "minReplicaCount: 2", "minReplicaCount: 1", "keda: Deployment triton may be one pod"),
    (KEDA, "minReplicaCount: 2", "minReplicaCount: 3", "differ in their smallest size"),
    (KEDA, "behavior: currentReplicasIfHigher", "behavior: static", "while Prometheus is away"),
    (KEDA, "    replicas: 2\n", "    replicas: 1\n", "its fallback leaves 1 replica"),
    (HPA, "minReplicas: 2", "minReplicas: 1", "hpa: Deployment triton may be one pod"),
    (BASE, "MAX_IN_FLIGHT=128", "MAX_IN_FLIGHT=64", "the last replicas would never come"),
    (BASE, "TRITON_CALLS=16", "TRITON_CALLS=4", "without a second call"),
    (
        KEDA,
        'threshold: "16"',
        'threshold: "17"',
        "components/hpa Metric(kind='AverageValue', target=16",
    ),
    (KEDA, "metricType: AverageValue", "metricType: Value", "makes it proportional"),
    (
        KEDA,
        'ignoreNullValues: "false"',
        'ignoreNullValues: "true"',
        "looks like a service that nobody",
    ),
    (KEDA, "stabilizationWindowSeconds: 600", "stabilizationWindowSeconds: 60", "differ in their"),
    (KEDA, "maxReplicaCount: 8", "maxReplicaCount: 9", "differ in their largest size"),
    (KEDA, "gateway_requests_in_flight", "gateway_requests", "is another one than"),
    (ADAPTER, "as: second_opinion_demand", "as: demand", "no rule for second_opinion_demand"),
    (
        SITE,
        "namespace: second-opinion",
        "namespace: opinions",
        "does not ask for namespace opinions",
    ),
    (NODES, 'gpu: "9"', 'gpu: "8"', "8 GPUs for 9 pods"),
    (PLACEHOLDER, "image: second-opinion-server", "image: second-opinion-gateway", "holds second"),
    (PLACEHOLDER, 'cpu: "4"', 'cpu: "2"', "requests something else than replicas do"),
]
SPLIT_ERRORS = [
    (SPLIT_GATEWAY, "mountPath: /models", "mountPath: /model", "nothing that it may write"),
    (
        SPLIT_GATEWAY,
        "mountPath: /models",
        "mountPath: /models\n              readOnly: true",
        "may wr",
    ),
    (
        SPLIT_GATEWAY,
        "mountPath: /models",
        "mountPath: /models\n              subPath: a",
        "different",
    ),
    (SPLIT_GATEWAY, "claimName: models", "claimName: others", "mount different models"),
    (
        "k8s/overlays/split/claim.yaml",
        "- ReadWriteMany",
        "- ReadWriteOnce",
        "ask for ReadWriteMany",
    ),
    (
        SPLIT,
        "components:",
        "components:\n  - ../../components/models-image",
        "a copy of its own or",
    ),
    (SPLIT, "components:", "components:\n  - ../../components/s3-models", "a copy of its own or"),
    (JUDGEMENTS, '"below": 0.1', '"below": 0.2', "disagreement is judged by another figure"),
    (JUDGEMENTS, "increase1h >= 50", "increase1h >= 5", "is judged by another figure or limit"),
    (STEPS, "      - judgements.json\n", "", "it has no judgements.json: nothing would stop it"),
]


CHECKS = {
    "render": lambda rendered, _tree, _exceptions: rendered.problems,
    "schemas": lambda rendered, _tree, _exceptions: schemas.problems(rendered),
    "conventions": lambda rendered, _tree, _exceptions: conventions.problems(rendered),
    "references": lambda rendered, _tree, exceptions: references.problems(rendered, exceptions),
    "facts": lambda rendered, _tree, _exceptions: facts.problems(rendered),
    "memory": lambda rendered, _tree, _exceptions: memory.problems(rendered),
    "models": lambda rendered, _tree, _exceptions: models.problems(rendered),
    "traffic": lambda rendered, _tree, _exceptions: traffic.problems(rendered),
    "canary": lambda rendered, _tree, _exceptions: canary.problems(rendered),
    "split": lambda rendered, _tree, _exceptions: split.problems(rendered),
    "drain": lambda rendered, _tree, _exceptions: drain.problems(rendered),
    "autoscaling": lambda rendered, tree, _exceptions: autoscaling.problems(tree, rendered),
}
CASES = {
    "render": RENDER,
    "schemas": SCHEMAS,
    "conventions": CONVENTIONS,
    "references": REFERENCES,
    "facts": FACTS,
    "memory": MEMORY,
    "models": MODELS,
    "traffic": TRAFFIC,
    "canary": CANARY,
    "split": SPLIT_ERRORS,
    "drain": DRAIN,
    "autoscaling": AUTOSCALING,
}
NEEDED = {
    "render": {"gpu"},
    "schemas": {"keda", "hpa"},
    "conventions": {"gpu"},
    "references": {"keda"},
    "facts": {"gpu"},
    "memory": {"cpu"},
    "models": {"models-claim", "models-image", "models-loader", "s3-models"},
    "traffic": {"gateway-api"},
    "canary": {"canary"},
    "split": {"canary", "split", "split-steps"},
    "drain": {"gpu"},
    "autoscaling": {"gpu", "keda", "hpa"},
}
"""Overlays that show the errors of a check, but for those in these files."""
SHOWN_BY = {
    ARGO: {"argo-cd"},
    DRA: {"gpu-dra"},
    KSERVE: {"kserve"},
    CLUSTER: {"site-example"},
    CLUSTER_POLICY: {"site-example"},
    INGRESS: {"tls-ingress"},
    INGRESS_SETTINGS: {"tls-ingress"},
    WAY_IN: {"gateway-api"},
    ROUTES: {"gateway-api"},
    BACKEND_TLS: {"gateway-api"},
    f"{CANARIES}/rollout.yaml": {"canary"},
    f"{CANARIES}/analysis.yaml": {"canary"},
    MTLS: {"tls-ingress"},
    MONITOR: {"gpu", "monitoring"},
    MODELS_STORE: {"s3-models"},
    NODES: {"keda", "hpa", "gpu-nodes"},
    PLACEHOLDER: {"gpu", "gpu-nodes", "keda"},
    NODES_TOGETHER: {"gpu-nodes"},
    SITE: {"site-example"},
    SITE_GPU: {"site-example"},
    SITE_PODS: {"site-example"},
    SPARE: {"gpu-cpu-spare"},
    CANARY_RUN: {"canary-run", "gpu"},
    CANARY_RUN_POLICY: {"canary-run", "gpu"},
}


@pytest.mark.parametrize("check", CASES)
def test_the_manifests_as_they_are_pass(check, as_they_are, exceptions):
    assert list(CHECKS[check](as_they_are, Tree(), exceptions)) == []


@pytest.mark.parametrize(
    ("check", "file", "old", "new", "told"),
    [(check, *case) for check, cases in CASES.items() for case in cases],
)
def test_a_planted_error_is_found(
    check, file, old, new, told, *, tree, rendered, plant, exceptions
):
    plant(file, old, new)
    found = rendered(SHOWN_BY.get(file, NEEDED[check]), file)
    problems = list(CHECKS[check](found, tree, exceptions))
    assert any(told in problem for problem in problems), problems


def test_an_overlay_without_a_kustomization_is_found(tree, part):
    (tree.k8s / "overlays" / "new").mkdir()
    assert any(
        "overlays/new: it has no" in problem for problem in rendering.render(part()).problems
    )


def test_an_exception_that_excuses_nothing_is_found(as_they_are, exceptions):
    more = {**exceptions.site_provides, "Secret nobody-wants": "It was needed once."}
    stale = exceptions.model_copy(update={"site_provides": more})
    problems = list(references.problems(as_they_are, stale))
    assert problems == [
        "exceptions.yaml: site_provides: Secret nobody-wants excuses nothing any more; remove it"
    ]
