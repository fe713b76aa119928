import { release, type } from "node:os";
import { admitNew } from "./api/admission.ts";
import { timestamp } from "./api/objects.ts";
import { resourceNamed } from "./api/resources.ts";
import type { NewObject, Store } from "./api/storage.ts";
import { SERVER_ANNOTATION } from "./pods/demo-servers.ts";
import { EMBEDDED_NOTE, EMBEDDED_VERSION } from "./version.ts";

export const DEMO_NAMESPACE = "demo";

const NOTE_ANNOTATION = "embedded.sallyport/note";
// The same label as in the demo of the real test cluster.
const IMAGE = "localhost/busybox:1";
// Two lines a second for half an hour, then an exit, so that the pod shows a restart.
const LOGGER =
  'trap "exit 0" TERM; i=0; while [ $i -lt 3600 ]; do i=$((i+1)); echo "line $i $(date +%T)"; sleep 0.5; done';

/**
 * Fills an empty store: namespaces, the node, and the demo's pods, Deployment, Services and configuration.
 */
export function installDemo(store: Store, nodeName: string): void {
  for (const name of ["default", "kube-system", DEMO_NAMESPACE]) {
    add(store, "namespaces", "", { metadata: { name } });
    add(store, "serviceaccounts", name, { metadata: { name: "default" } });
  }
  store.create(resourceNamed("nodes"), node(nodeName));

  const pods: [string, object, object][] = [
    ["shell", {}, {}],
    ["tty", { stdin: true, tty: true, command: ["sh"] }, {}],
    ["logger", { command: ["sh", "-c", LOGGER] }, {}],
    ["echo", { ports: [{ containerPort: 8080 }, { containerPort: 7 }] }, { [SERVER_ANNOTATION]: "echo" }],
  ];
  for (const [name, container, annotations] of pods) {
    add(store, "pods", DEMO_NAMESPACE, {
      metadata: { name, labels: { app: name }, annotations: { ...annotations, [NOTE_ANNOTATION]: EMBEDDED_NOTE } },
      spec: podSpec(name, container),
    });
  }
  add(store, "deployments", DEMO_NAMESPACE, {
    metadata: { name: "web", labels: { app: "web" } },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: "web" } },
      template: {
        metadata: {
          labels: { app: "web" },
          annotations: { [SERVER_ANNOTATION]: "web", [NOTE_ANNOTATION]: EMBEDDED_NOTE },
        },
        spec: podSpec("web", { ports: [{ containerPort: 8080 }] }),
      },
    },
  });
  const http = { name: "http", port: 80, targetPort: 8080 };
  add(store, "services", DEMO_NAMESPACE, service("web", [http]));
  add(store, "services", DEMO_NAMESPACE, service("echo", [http, { name: "tcp", port: 7, targetPort: 7 }]));
  add(store, "configmaps", DEMO_NAMESPACE, { metadata: { name: "settings" }, data: { greeting: "hello" } });
  add(store, "secrets", DEMO_NAMESPACE, { metadata: { name: "demo" }, stringData: { password: "not-a-real-one" } });
}

function add(store: Store, resource: string, namespace: string, object: object): void {
  const info = resourceNamed(resource);
  store.create(info, admitNew(info, namespace, object));
}

const podSpec = (name: string, container: object): object => ({
  terminationGracePeriodSeconds: 1,
  containers: [{ name, image: IMAGE, imagePullPolicy: "Never", ...container }],
});

const service = (name: string, ports: object[]): object => ({
  metadata: { name, labels: { app: name } },
  spec: { selector: { app: name }, ports },
});

function node(name: string): NewObject {
  return {
    ...{ apiVersion: "v1", kind: "Node" },
    metadata: {
      name,
      labels: { "kubernetes.io/hostname": name, "node-role.kubernetes.io/control-plane": "" },
      annotations: { [NOTE_ANNOTATION]: EMBEDDED_NOTE },
    },
    spec: {},
    status: {
      addresses: [
        { type: "InternalIP", address: "127.0.0.1" },
        { type: "Hostname", address: name },
      ],
      conditions: [
        {
          ...{ type: "Ready", status: "True", reason: "EmbeddedClusterRuns", message: EMBEDDED_NOTE },
          ...{ lastHeartbeatTime: timestamp(), lastTransitionTime: timestamp() },
        },
      ],
      nodeInfo: {
        ...{ kubeletVersion: EMBEDDED_VERSION, osImage: type(), kernelVersion: release() },
        containerRuntimeVersion: "embedded://processes",
      },
    },
  };
}
