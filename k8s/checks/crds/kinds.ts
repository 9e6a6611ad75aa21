import type { IApplication } from "@kubernetes-models/argo-cd/argoproj.io/v1alpha1/Application";
import type { IAnalysisTemplate } from "@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1/AnalysisTemplate";
import type { IAnalysisTemplateSpec } from "@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1/AnalysisTemplateSpec";
import type { IMetric } from "@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1/Metric";
import type { IPrometheusMetric } from "@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1/PrometheusMetric";
import type { IRollout } from "@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1/Rollout";
import type { IRolloutSpec } from "@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1/RolloutSpec";
import type { ICluster } from "@kubernetes-models/cloudnative-pg/postgresql.cnpg.io/v1/Cluster";
import type { IBackendTLSPolicy } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/BackendTLSPolicy";
import type { IGRPCRoute } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/GRPCRoute";
import type { IGateway } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/Gateway";
import type { IHTTPRoute } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute";
import type { INodePool } from "@kubernetes-models/karpenter/karpenter.sh/v1/NodePool";
import type { IScaledObject } from "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject";
import type { IPodMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor";
import type { IPrometheusRule } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule";
import type { IServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor";

export type BackendTLSPolicy = IBackendTLSPolicy;
export type Application = Omit<IApplication, "status">;
export type Cluster = ICluster;
export type Gateway = IGateway;
export type GRPCRoute = IGRPCRoute;
export type HTTPRoute = IHTTPRoute;
export type NodePool = INodePool;
export type PodMonitor = IPodMonitor;
export type PrometheusRule = IPrometheusRule;
export type ScaledObject = IScaledObject;
export type ServiceMonitor = IServiceMonitor;

/** Of the providers Prometheus alone; a Job's would bring all kinds of pods along. */
type Metric = Omit<IMetric, "provider"> & { provider: { prometheus: IPrometheusMetric } };
export type AnalysisTemplate = Omit<IAnalysisTemplate, "spec"> & {
  spec: Omit<IAnalysisTemplateSpec, "metrics"> & { metrics: Metric[] };
};
/** Its pods are those of a Deployment (`workloadRef`). */
export type Rollout = Omit<IRollout, "spec"> & {
  spec: Omit<IRolloutSpec, "template" | "selector">;
};
