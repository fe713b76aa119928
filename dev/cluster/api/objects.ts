import { z } from "zod";

/**
 * The parts of Kubernetes' objects that this cluster uses. Objects come from clients, so the schemas below
 * are checked at admission. They are open: unknown fields are kept. Stored objects are never changed in
 * place, only replaced.
 */
export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
}

export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid: string;
  resourceVersion: string;
  creationTimestamp: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  [field: string]: unknown;
}

export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  [field: string]: unknown;
}

const stringMap = z.record(z.string(), z.string());
const port = z.int().min(1).max(65535);

export const metadataSchema = z.looseObject({
  name: z.string().optional(),
  generateName: z.string().optional(),
  namespace: z.string().optional(),
  labels: stringMap.nullish(),
  annotations: stringMap.nullish(),
});

export const containerSchema = z.looseObject({
  name: z.string().min(1),
  image: z.string().default(""),
  command: z.array(z.string()).optional(),
  args: z.array(z.string()).optional(),
  env: z.array(z.looseObject({ name: z.string(), value: z.string().optional() })).optional(),
  ports: z.array(z.looseObject({ containerPort: port, name: z.string().optional() })).optional(),
  stdin: z.boolean().optional(),
  stdinOnce: z.boolean().optional(),
  tty: z.boolean().optional(),
});

export const ephemeralContainerSchema = containerSchema.extend({
  image: z.string().min(1, "Required value"),
  targetContainerName: z.string().optional(),
});

export const podSpecSchema = z.looseObject({
  containers: z.array(containerSchema).min(1),
  ephemeralContainers: z.array(ephemeralContainerSchema).optional(),
  // Always present on a real cluster. `kubectl debug` fails without it.
  securityContext: z.looseObject({}).default({}),
  restartPolicy: z.enum(["Always", "OnFailure", "Never"]).default("Always"),
  terminationGracePeriodSeconds: z.int().min(0).default(30),
  nodeName: z.string().optional(),
});

const selectorSchema = z.looseObject({ matchLabels: stringMap });
const templateSchema = z.looseObject({
  metadata: z.looseObject({ labels: stringMap }),
  spec: podSpecSchema.extend({
    ephemeralContainers: z
      .array(ephemeralContainerSchema)
      .max(0, "Forbidden: ephemeral containers not allowed in pod template")
      .optional(),
  }),
});

/** Deployment and ReplicaSet, as far as their controllers here use them. */
export const workloadSpecSchema = z.looseObject({
  replicas: z.int().min(0).max(20).default(1),
  selector: selectorSchema,
  template: templateSchema,
});

export const serviceSpecSchema = z.looseObject({
  type: z.string().default("ClusterIP"),
  clusterIP: z.string().optional(),
  selector: stringMap.optional(),
  ports: z
    .array(
      z.looseObject({
        port,
        name: z.string().optional(),
        protocol: z.string().default("TCP"),
        targetPort: z.union([port, z.string()]).optional(),
        nodePort: port.optional(),
      }),
    )
    .default([]),
});

export type Container = z.infer<typeof containerSchema>;
export type EphemeralContainer = z.infer<typeof ephemeralContainerSchema>;
export type PodSpec = z.infer<typeof podSpecSchema>;
export type WorkloadSpec = z.infer<typeof workloadSpecSchema>;
export type ServiceSpec = z.infer<typeof serviceSpecSchema>;

export interface ContainerState {
  waiting?: { reason: string; message?: string };
  running?: { startedAt: string };
  terminated?: {
    exitCode: number;
    signal?: number;
    reason: string;
    message?: string;
    startedAt: string;
    finishedAt: string;
  };
}

export interface ContainerStatus {
  name: string;
  ready: boolean;
  started?: boolean;
  restartCount: number;
  image: string;
  imageID: string;
  containerID?: string;
  state: ContainerState;
  lastState: ContainerState;
}

export interface PodStatus {
  phase: "Pending" | "Running" | "Succeeded" | "Failed";
  conditions?: { type: string; status: "True" | "False"; lastTransitionTime: string; reason?: string }[];
  containerStatuses?: ContainerStatus[];
  ephemeralContainerStatuses?: ContainerStatus[];
  hostIP?: string;
  podIP?: string;
  podIPs?: { ip: string }[];
  startTime?: string;
  qosClass: "BestEffort";
  [field: string]: unknown;
}

export interface Pod extends KubeObject {
  spec: PodSpec;
  status: PodStatus;
}

export interface Workload extends KubeObject {
  spec: WorkloadSpec;
}

export interface Service extends KubeObject {
  spec: ServiceSpec;
}

/** Formats a time as Kubernetes does in metadata: RFC 3339, whole seconds. */
export function timestamp(time: Date = new Date()): string {
  return `${time.toISOString().slice(0, 19)}Z`;
}
