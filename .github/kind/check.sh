#!/usr/bin/env bash
# Applies overlays/cpu to the cluster of kubectl's context: one prediction, then a rollout and a drain
# under load, of which no request may be lost. Images are in the nodes, models in their folder.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=.github/kind
in_namespace() { kubectl --namespace second-opinion "$@"; }

kubectl apply --filename "$here/postgresql.yaml"
kubectl --namespace database rollout status deployment/postgresql --timeout=5m
kubectl create namespace second-opinion
secrets=$(mktemp --directory)
GATEWAY_SECRETS_DIR=$secrets .venv/bin/python -m gateway secrets init
in_namespace create secret generic gateway-secrets --from-file="$secrets"
in_namespace create secret generic gateway-database \
  --from-literal=url=postgresql://postgres:kind@postgresql.database/second_opinion
kubectl apply --kustomize k8s/overlays/cpu
# A runner has 4 cores, and a rollout has three Tritons for a while.
in_namespace set resources deployment/triton --containers=triton --requests=cpu=250m,memory=1536Mi
# One of each cannot be drained without an interruption.
in_namespace scale deployment gateway triton --replicas=2
in_namespace rollout status deployment/triton --timeout=30m
in_namespace rollout status deployment/gateway --timeout=10m
key=$(in_namespace exec deployment/gateway --container gateway -- \
  python -m gateway keys create --name kind --role predict)

kubectl create namespace callers
kubectl label namespace callers second-opinion/callers=allowed
kubectl --namespace callers create configmap ask --from-file="$here/ask.py"

# Asks for some seconds; kubectl's exit status is the program's.
ask() {
  local name=$1 seconds=$2
  kubectl --namespace callers run "$name" --restart=Never --attach --rm --quiet \
    --image=second-opinion-loadtest:0.1.0 --image-pull-policy=Never \
    --env="API_KEY=$key" --env="SECONDS=$seconds" --overrides='{"spec": {
      "nodeSelector": {"node-role.kubernetes.io/control-plane": ""},
      "tolerations": [{"operator": "Exists"}],
      "volumes": [{"name": "ask", "configMap": {"name": "ask"}}],
      "containers": [{"name": "'"$name"'", "image": "second-opinion-loadtest:0.1.0",
        "command": ["python", "/ask/ask.py"],
        "env": [{"name": "API_KEY", "value": "'"$key"'"}, {"name": "SECONDS", "value": "'"$seconds"'"}],
        "volumeMounts": [{"name": "ask", "mountPath": "/ask"}]}]}}'
}

echo "one prediction"
ask once 1

echo "a rollout under load"
ask rollout 300 & asking=$!
in_namespace rollout restart deployment/triton deployment/gateway
in_namespace rollout status deployment/triton --timeout=15m
in_namespace rollout status deployment/gateway --timeout=10m
wait "$asking"

echo "a drain under load"
node=$(in_namespace get pods --selector app.kubernetes.io/name=triton \
  --output jsonpath='{.items[0].spec.nodeName}')
ask drain 300 & asking=$!
kubectl drain "$node" --ignore-daemonsets --delete-emptydir-data --timeout=10m
wait "$asking"
echo "no request was lost"
